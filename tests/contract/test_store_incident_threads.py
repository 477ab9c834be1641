"""Where the threads of incidents stand, and who may tell in one, on every database."""

import msgspec

from gateway.stores.incident_threads_sql import SqlIncidentThreads
from gateway.stores.incidents import Changes, DeliveryRow, Incident, IncidentEvent, Wanted
from gateway.stores.incidents_sql import SqlIncidents
from gateway.stores.outbox_sql import SqlOutbox

INCIDENT = Incident(id="inc_1", trigger="t", tenant="default", kind="alerts", key="k", title="PodDown", opened_at=1.0, updated_at=1.0, last_seq=1)  # fmt: skip


def said(incident, seq):
    event = IncidentEvent(incident=incident.id, seq=seq, at=1.0, name="alerts.fired")
    delivery = DeliveryRow(trigger="t", dedupe=f"{incident.id}-{seq}", at=1.0, outcome="accepted")
    return Changes(incidents=(msgspec.structs.replace(incident, last_seq=seq),), events=(event,), deliveries=(delivery,))  # fmt: skip


async def test_one_has_a_thread_at_a_time_and_goes_on_where_the_other_was(database):
    threads = SqlIncidentThreads(database)

    first = await threads.claim("inc_1", "C1", now=10.0, until=70.0)
    assert await threads.claim("inc_1", "C1", now=69.0, until=130.0) is None
    await threads.keep(msgspec.structs.replace(first, ts="1.2", shown="firing", told_seq=4, asked=("mcpr_1",)))
    await threads.release("inc_1")
    second = await threads.claim("inc_1", "C2", now=69.0, until=130.0)
    other = await threads.claim("inc_2", "C1", now=69.0, until=130.0)

    assert (second.channel, second.ts, second.told_seq, second.asked) == ("C1", "1.2", 4, ("mcpr_1",))
    assert other.ts == ""
    assert await threads.find("inc_1") == second
    assert await threads.find("inc_3") is None


async def test_who_died_with_a_thread_loses_it_to_the_next(database):
    threads = SqlIncidentThreads(database)

    await threads.claim("inc_1", "C1", now=10.0, until=70.0)

    assert await threads.claim("inc_1", "C1", now=70.0, until=130.0) is not None


async def test_what_is_told_of_an_incident_is_written_with_it_once_it_has_a_run(database):
    incidents, outbox = SqlIncidents(database), SqlOutbox(database)

    await incidents.take_in("t", Wanted(), lambda found: said(INCIDENT, 1))
    waits = await outbox.waiting()
    await incidents.take_in("t", Wanted(), lambda found: said(msgspec.structs.replace(INCIDENT, runs=1), 2))

    assert waits == 0
    (letter,) = await outbox.take(["incident"], now=100.0, until=200.0, most=10)
    assert letter.body == {"incident": "inc_1"}


async def test_a_thread_is_forgotten_with_its_incident(database):
    incidents, threads = SqlIncidents(database), SqlIncidentThreads(database)
    over = msgspec.structs.replace(INCIDENT, ended_at=5.0, state="resolved")
    await incidents.take_in("t", Wanted(), lambda found: said(over, 1))
    await threads.claim("inc_1", "C1", now=10.0, until=70.0)

    await incidents.remove_old("t", 50.0)

    assert await threads.find("inc_1") is None
