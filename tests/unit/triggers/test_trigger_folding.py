"""What deliveries make of incidents: joined, resolved, held where they flap. Many at once come to the same as one after the other."""

import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.config.trigger_settings import AlertmanagerTriggerSettings, FlappingSettings
from gateway.stores.incidents import Found
from gateway.triggers.folding import Folding
from gateway.triggers.payloads import GroupDelivery, Sent, clean, read_group

SETTINGS = AlertmanagerTriggerSettings(agent="a", token=Secret("t" * 20, source="env:T"))


class Story:
    """Folds deliveries one after the other, each over what the ones before left."""

    def __init__(self, settings=SETTINGS):
        self.settings = settings
        self.now = 1000.0
        self.incidents, self.alerts, self.events = {}, {}, []
        self._ids = iter(range(1000))

    def fold(self, *deliveries):
        found = Found(
            open={one.key: one for one in self.incidents.values() if one.ended_at is None},
            incidents=self.incidents,
            alerts=self.alerts,
            delivered=(),
        )
        folding = Folding("t", self.settings, found, now=self.now, new_id=lambda prefix: f"{prefix}{next(self._ids)}")
        outcomes = [folding.group(delivery) for delivery in deliveries]
        changes = folding.changes
        self.incidents |= {one.id: one for one in changes.incidents}
        self.alerts |= {one.fingerprint: one for one in changes.alerts}
        self.events += [event.name for event in changes.events]
        return outcomes[-1]

    @property
    def last(self):
        return list(self.incidents.values())[-1]

    def change(self, **fields):
        self.incidents[self.last.id] = msgspec.structs.replace(self.last, **fields)


def group(*alerts, key="g", cut=0):
    sent = tuple(Sent(fingerprint=name, firing=firing, title=name, shown={}) for name, firing in alerts)
    return GroupDelivery(key=key, title="T", alerts=sent, cut=cut)


UP, DOWN = ("a", True), ("a", False)


def test_deliveries_at_once_come_to_the_same_as_one_after_the_other():
    one, other = Story(), Story()
    deliveries = [group(UP), group(UP, ("b", True)), group(DOWN), group(("b", False)), group(UP)]

    one.fold(*deliveries)
    for delivery in deliveries:
        other.fold(delivery)

    assert one.events == other.events
    shown = [
        [(each.state, each.firing, each.alerts, each.last_seq) for each in story.incidents.values()]
        for story in (one, other)
    ]
    assert shown[0] == shown[1]


def test_what_is_resolved_before_its_run_began_needs_none_where_that_cancels():
    appending, cancelling = Story(), Story(msgspec.structs.replace(SETTINGS, on_resolved="cancel"))
    for story in (appending, cancelling):
        story.fold(group(UP))
        story.fold(group(DOWN))

    assert (appending.last.ended_at, appending.last.due_at) == (None, 1000.0)
    assert (cancelling.last.ended_at, cancelling.last.due_at) == (1000.0, None)


def test_a_run_that_goes_on_is_to_be_ended_only_until_it_fires_again():
    story = Story(msgspec.structs.replace(SETTINGS, on_resolved="cancel"))
    story.fold(group(UP))
    story.change(phase="running", run="resp_1", runs=1, due_at=None, told_seq=1)
    story.fold(group(DOWN))
    ending = story.last
    story.fold(group(UP))

    assert (ending.state, ending.cancel, ending.ended_at) == ("resolved", True, None)
    assert (story.last.id, story.last.state, story.last.cancel) == (ending.id, "open", False)


def test_an_alert_that_comes_and_goes_is_held_and_not_held_anew_by_each_time():
    story = Story(msgspec.structs.replace(SETTINGS, flapping=FlappingSettings(times=2, window=600)))
    for _ in range(3):
        story.fold(group(UP))
        if not story.last.held:
            story.change(due_at=None)  # its run came and went
        story.now += 10
        story.fold(group(DOWN))
        story.now += 10
    held = story.last
    for _ in range(5):
        story.fold(group(UP))
        story.fold(group(DOWN))
        story.now += 10

    assert (held.held, held.due_at, held.ended_at) == ("flapping", 1040.0 + 600, None)
    assert (story.last.id, story.last.due_at) == (held.id, held.due_at)
    assert story.events.count("held.flapping") == 1


def test_an_incident_has_no_more_runs_than_it_may():
    story = Story(msgspec.structs.replace(SETTINGS, most_runs=1))
    story.fold(group(UP))
    story.change(runs=1, due_at=None, told_seq=1)
    story.fold(group(("b", True)))

    assert story.last.due_at is None
    assert story.events[-1] == "run.not_wanted"


def test_what_was_left_over_in_a_storm_stays_so_whatever_is_delivered():
    story = Story()
    story.fold(group(UP))
    story.change(held="storm", due_at=None)
    story.fold(group(("b", True)))

    assert (story.last.held, story.last.due_at, story.last.alerts) == ("storm", None, 2)


def test_resolved_alerts_that_nobody_knew_make_no_incident():
    story = Story()

    assert story.fold(group(DOWN)).word == "ignored"
    assert story.incidents == {}


def body(**fields):
    return msgspec.json.encode(
        {"version": "4", "groupKey": "g", "alerts": [{"status": "firing", "labels": {"alertname": "A"}}], **fields}
    )


def test_alerts_beyond_the_most_are_counted():
    settings = msgspec.structs.replace(SETTINGS, most_alerts=3)
    alerts = [{"status": "firing", "labels": {"pod": str(number)}} for number in range(10)]
    read = read_group(body(alerts=alerts, truncatedAlerts=5), settings)

    assert (len(read.alerts), read.cut) == (3, 12)


def test_an_alert_without_a_fingerprint_is_known_by_its_labels():
    first, second = read_group(body(), SETTINGS), read_group(body(), SETTINGS)

    assert first.alerts[0].fingerprint == second.alerts[0].fingerprint


def test_keys_are_bounded_and_tell_apart():
    one, other = (read_group(body(groupKey="x" * 100_000 + end), SETTINGS).key for end in "ab")

    assert one != other
    assert len(one) < 600


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x1b", "\U000e0041", "\u2066", "\ufeff"])
def test_what_is_not_seen_is_shown_as_such(hidden):
    assert hidden not in clean(f"a{hidden}b", 100)
    assert clean("x" * 200, 100) == "x" * 100 + "… (100 more characters)"
