"""Incidents, on every database: written whole or not at all, and among several replicas once."""

from functools import partial

import anyio
import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.config.trigger_settings import AlertmanagerTriggerSettings, StormSettings
from gateway.core.errors import SwitchgearError
from gateway.stores.incidents import Beginning, Changes, Incident, IncidentEvent, Schedule, Wanted
from gateway.stores.incidents_sql import SqlIncidents
from gateway.triggers.beginning import STARTING, decide, run_id
from gateway.triggers.folding import Folding
from gateway.triggers.payloads import GroupDelivery, Sent, read_group

SETTINGS = AlertmanagerTriggerSettings(
    agent="a", token=Secret("t" * 20, source="env:T"), storm=StormSettings(per_minute=3, at_once=2, gather=5)
)
NOW = 1000.0


def delivery(*names, key="group:g", firing=True):
    return GroupDelivery(
        key=key,
        title=f"title {names[0]}",
        cut=0,
        alerts=tuple(Sent(fingerprint=name, firing=firing, title=name, shown={"n": name}) for name in names),
    )


async def take(store, *deliveries, now=NOW, prefix=""):
    numbers = iter(range(10_000))
    outcomes = []

    def fold(found):
        folding = Folding("t", SETTINGS, found, now=now, new_id=lambda kind: f"{kind}{prefix}{next(numbers)}")
        outcomes.extend(folding.group(each) for each in deliveries)
        return folding.changes

    wanted = Wanted(
        keys={each.key for each in deliveries},
        fingerprints={sent.fingerprint for each in deliveries for sent in each.alerts},
    )
    await store.take_in("t", wanted, fold)
    return outcomes


async def begin(store, now=NOW, settings=SETTINGS, prefix="s"):
    numbers = iter(range(10_000))
    deciding = partial(decide, "t", settings, now=now, new_id=lambda kind: f"{kind}{prefix}{next(numbers)}")
    return await store.begin_due("t", now=now, most=100, decide=deciding)


async def test_what_was_taken_in_is_there(database):
    store = SqlIncidents(database)
    (outcome,) = await take(store, delivery("a", "b"))
    found = await store.find("default", outcome.incident)

    assert (found.state, found.firing, found.title, found.due_at) == ("open", 2, "title a", NOW)
    assert await store.find("other", outcome.incident) is None
    assert [event.name for event in await store.events(found.id)] == ["alerts.fired"]
    assert [alert.shown for alert in await store.alerts(found.id)] == [{"n": "a"}, {"n": "b"}]
    assert await store.due(NOW) == ["t"]
    assert await store.due(NOW - 1) == []
    assert (await store.figures("t")).last_outcome == "accepted"


async def test_replicas_that_take_the_same_group_at_once_make_one_incident(replicas):
    found = []

    async def one(number):
        found.extend(await take(SqlIncidents(replicas[number]), delivery(f"alert-{number}"), prefix=f"r{number}-"))

    async with anyio.create_task_group() as tasks:
        for number in range(len(replicas)):
            tasks.start_soon(one, number)

    assert len({outcome.incident for outcome in found}) == 1
    incident = await SqlIncidents(replicas[0]).find(None, found[0].incident)
    assert (incident.firing, incident.last_seq) == (3, 3)


async def test_replicas_that_begin_at_once_begin_each_run_once_and_within_the_bounds(replicas):
    await take(SqlIncidents(replicas[0]), *(delivery(f"a{n}", key=f"group:{n}") for n in range(20)))
    begun = []

    async def one(number):
        begun.extend(await begin(SqlIncidents(replicas[number]), prefix=f"s{number}-"))

    async with anyio.create_task_group() as tasks:
        for number in range(len(replicas)):
            tasks.start_soon(one, number)

    store = SqlIncidents(replicas[0])
    assert len(begun) == len({each.run for each in begun}) == SETTINGS.storm.at_once
    (storm,) = [each for each in await store.active() if each.kind == "storm"]
    assert storm.alerts == 18
    assert (await store.left_over(storm.id, most=5))[1] == 18
    assert len(await store.list(None, storm=storm.id)) == 18


async def test_the_storm_is_told_once_whatever_comes_after(database):
    store = SqlIncidents(database)
    await take(store, *(delivery(f"a{n}", key=f"group:{n}") for n in range(5)))
    await begin(store)
    assert not await begin(store, NOW + 4)
    (told,) = await begin(store, NOW + 5)
    await store.change("t", told.id, lambda found: Changes(incidents=(msgspec.structs.replace(found, phase=""),)))
    await take(store, *(delivery(f"b{n}", key=f"group:b{n}") for n in range(5)), now=NOW + 6, prefix="x")
    again = await begin(store, NOW + 7, prefix="y")

    assert told.kind == "storm"
    assert again == []
    assert (await store.find(None, told.id)).alerts == 3 + 5
    assert [event.name for event in await store.events(told.id)] == ["storm.began", *["incidents.held"] * 2]


async def test_what_was_begun_and_not_said_to_be_is_begun_again_with_the_same_run_and_the_same_news(database):
    store = SqlIncidents(database)
    (outcome,) = await take(store, delivery("a"))
    (first,) = await begin(store)
    await take(store, delivery("b"), now=NOW + 1, prefix="x")

    assert await begin(store, NOW + STARTING - 1) == ()
    (again,) = await begin(store, NOW + STARTING)
    assert again.run == first.run == run_id(outcome.incident, 1)
    assert (again.telling_seq, again.runs, again.last_seq) == (1, 1, 2)
    assert [alert.fingerprint for alert in (await store.told(again, most=5))[0]] == ["a"]
    assert await store.runs(outcome.incident) == [first.run]


async def test_a_time_of_a_schedule_is_one_replicas(replicas):
    before, after = Schedule(trigger="s", spec="x", last=1.0), Schedule(trigger="s", spec="x", last=2.0)
    assert await SqlIncidents(replicas[0]).advance(before, None)
    won = []

    async def one(database):
        won.append(await SqlIncidents(database).advance(after, before))

    async with anyio.create_task_group() as tasks:
        for database in replicas:
            tasks.start_soon(one, database)

    assert sorted(won) == [False, False, True]
    assert await SqlIncidents(replicas[1]).schedule("s") == after


async def test_what_raises_in_the_middle_leaves_nothing(database):
    store = SqlIncidents(database)
    event = IncidentEvent(incident="inc_x", seq=1, at=NOW, name="n")
    incident = Incident(
        id="inc_x", trigger="t", tenant="d", kind="event", key="k", title="t", opened_at=NOW, updated_at=NOW
    )

    with pytest.raises(SwitchgearError):
        await store.take_in("t", Wanted(), lambda found: Changes(incidents=(incident,), events=(event, event)))

    assert await store.find(None, "inc_x") is None


async def test_text_that_no_database_takes_as_it_is_is_kept(database):
    store = SqlIncidents(database)
    labels = {"alertname": "\0\u202e", "severity": "ä"}
    body = {"version": "4", "groupKey": "\0", "alerts": [{"status": "firing", "labels": labels, "fingerprint": "\0f"}]}
    (outcome,) = await take(store, read_group(msgspec.json.encode(body), SETTINGS))

    assert (await store.find(None, outcome.incident)).title == "\ufffd\ufffd (ä)"


async def test_old_incidents_go_with_all_that_belongs_to_them_and_open_ones_stay(database):
    store = SqlIncidents(database)
    (gone,) = await take(store, delivery("a"))
    await take(store, delivery("a", firing=False), prefix="x")
    await store.change(
        "t",
        gone.incident,
        lambda found: Changes(incidents=(msgspec.structs.replace(found, ended_at=NOW, due_at=None),)),
    )
    (kept,) = await take(store, delivery("b", key="group:other"), prefix="y")

    assert await store.remove_old("t", NOW) == 0
    assert await store.remove_old("t", NOW + 1) == 1
    assert [each.id for each in await store.list(None)] == [kept.incident]
    assert await store.events(gone.incident) == []
    assert await store.alerts(gone.incident) == []


async def test_incidents_are_listed_page_by_page(database):
    store = SqlIncidents(database)
    for number in range(5):
        await take(store, delivery(f"a{number}", key=f"group:{number}"), now=NOW + number, prefix=f"p{number}-")
    first = await store.list("default", limit=3)
    rest = await store.list("default", limit=3, after=first[-1].id)

    assert [each.opened_at for each in (*first, *rest)] == [NOW + number for number in reversed(range(5))]
    assert await store.list("default", after="inc_none") == []
    assert await store.list("default", trigger="other") == []


async def test_what_a_storm_left_over_is_given_by_severity_and_age_and_not_what_is_resolved(database):
    store = SqlIncidents(database)
    severities = ["info", "Critical", "odd", "warning", "critical", "page"]
    for number, severity in enumerate(severities):
        one = msgspec.structs.replace(delivery(f"a{number}", key=f"group:{number}"), severity=severity)
        await take(store, one, now=NOW + number, prefix=str(number))
    await begin(store, now=NOW + 10, settings=msgspec.structs.replace(SETTINGS, storm=StormSettings(at_once=1)))
    await take(store, delivery("a4", key="group:4", firing=False), now=NOW + 11)
    boards = []

    def deciding(board):
        boards.append(board)
        return Beginning(changes=Changes())

    await store.begin_due("t", now=NOW + 12, most=10, decide=deciding)

    assert [one.severity for one, _ in boards[0].left] == ["Critical", "page", "odd", "warning"]
    assert [had for _, had in boards[0].left] == [0, 0, 0, 0]
    assert await store.with_left_over() == ["t"]
