"""A rollout goes step by step, waits for time and calls, and does what an operator says. Time is an argument."""

import math

import pytest

from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings, TargetSettings, VersionSettings
from gateway.core.errors import Conflict, InvalidRequest
from gateway.core.record import Beside, Record
from gateway.core.usage import Usage
from gateway.routing.rollouts.course import begin, following, shares_of, steered, switched
from gateway.routing.rollouts.seen import failed, seen_of
from gateway.routing.rollouts.tally import Tally

VERSIONS = {name: VersionSettings(targets=(TargetSettings(provider="up", model=name),)) for name in ("v1", "v2", "v3")}
ROLLOUT = RolloutSettings(stable="v1", challenger="v2", dwell=60, least=10, evidence=100)
MODEL = ModelSettings(versions=VERSIONS, rollout=ROLLOUT)
PLAIN = ModelSettings(versions=VERSIONS)


@pytest.fixture
def state():
    return begin("m", MODEL, None, 0.0)


def counted(**numbers: float) -> Tally:
    tally = Tally()
    for name, number in numbers.items():
        tally.add(name.replace("_", "."), number)
    return tally


def test_it_begins_with_the_first_step(state):
    assert shares_of(state, MODEL) == (("v2", 0.01), ("v1", 0.99))


@pytest.mark.parametrize(("now", "calls"), [(59.0, 100), (100.0, 9)])
def test_a_step_waits_for_its_time_and_its_calls(state, now, calls):
    assert following(state, ROLLOUT, counted(step_0=calls), now) is None


def test_it_goes_through_all_steps_and_the_last_one_waits_for_evidence(state):
    shares, now = [], 0.0
    while state.phase == "running":
        now += 60
        calls = counted(**{f"step_{state.step}": 10}, v1_calls=99)
        moved = following(state, ROLLOUT, calls, now)
        if moved is None:
            moved = following(state, ROLLOUT, counted(**{f"step_{state.step}": 10}, v1_calls=100, v2_calls=100), now)
        assert moved is not None
        assert moved.version == state.version + 1
        state = moved
        shares.append(state.share)

    assert shares == [0.05, 0.25, 0.5, 1.0]
    assert state.phase == "promoted"
    assert shares_of(state, MODEL) == (("v2", 1.0),)
    assert following(state, ROLLOUT, counted(), now + 1000) is None


def test_a_breach_goes_back_at_once_and_says_why(state):
    tally = counted(v1_calls=100, v1_errors=1, v2_calls=6, v2_errors=5)
    tally.add("bet.error_rate.0", 5.0)

    after = following(state, ROLLOUT, tally, 0.5)
    assert after is not None
    assert (after.phase, after.active, after.share) == ("rolled_back", "v1", 0.0)
    assert after.history[-1].why.startswith(
        "v2 failed 5 of 6 calls against v1 failed 1 of 100 calls: errors, evidence 134"
    )


def test_a_step_is_not_taken_while_only_a_few_calls_are_missing_before_it_goes_back(state):
    tally = counted(v1_calls=100, v2_calls=4, v2_errors=4, step_0=104)
    tally.add("bet.error_rate.0", 9.0)

    assert following(state, ROLLOUT, tally, 100.0) is None


def test_what_is_paused_does_nothing_until_it_is_resumed(state):
    paused = steered(state, MODEL, "pause", 1.0, by="key_1", why="freeze")
    assert following(paused, ROLLOUT, counted(step_0=1000), 1000.0) is None

    resumed = steered(paused, MODEL, "resume", 2.0, by="key_1")
    assert following(resumed, ROLLOUT, counted(step_0=1000), 1000.0) is not None
    assert [(one.event, one.by) for one in resumed.history] == [
        ("begun", "system"),
        ("paused", "key_1"),
        ("resumed", "key_1"),
    ]


def test_a_share_that_was_set_goes_on_with_the_next_larger_step(state):
    state = steered(state, MODEL, "share", 1.0, by="key_1", share=30.0)
    assert shares_of(state, MODEL)[0] == ("v2", 0.3)

    after = following(state, ROLLOUT, counted(step_2=10), 100.0)
    assert after is not None
    assert after.share == 0.5


def test_after_its_end_it_can_be_begun_anew_and_nothing_else(state):
    ended = steered(state, MODEL, "rollback", 1.0, by="key_1")
    with pytest.raises(Conflict, match="over"):
        steered(ended, MODEL, "promote", 2.0, by="key_1")

    again = steered(ended, MODEL, "restart", 3.0, by="key_1")
    assert (again.phase, again.step, again.epoch, again.version) == ("running", 0, 2, ended.version + 1)


@pytest.mark.parametrize("share", [None, 0, 100, -1])
def test_a_share_that_is_none_is_refused(state, share):
    with pytest.raises(InvalidRequest):
        steered(state, MODEL, "share", 1.0, by="key_1", share=share)


@pytest.mark.parametrize("action", ["resume"])
def test_what_makes_no_sense_now_is_refused(state, action):
    with pytest.raises(Conflict):
        steered(state, MODEL, action, 1.0, by="key_1")


def test_blue_and_green_are_switched_in_one_go():
    state = begin("m", PLAIN, None, 0.0)
    assert shares_of(state, PLAIN) == (("v1", 1.0),)

    green = switched(state, PLAIN, "v2", 1.0, by="key_1")
    assert shares_of(green, PLAIN) == (("v2", 1.0),)
    with pytest.raises(InvalidRequest, match="there are: v1, v2, v3"):
        switched(state, PLAIN, "v9", 1.0, by="key_1")


def test_a_switch_during_a_rollout_ends_it(state):
    assert switched(state, MODEL, "v2", 1.0, by="key_1").phase == "promoted"
    assert switched(state, MODEL, "v1", 1.0, by="key_1").phase == "rolled_back"
    with pytest.raises(Conflict):
        switched(state, MODEL, "v3", 1.0, by="key_1")


def test_what_was_promoted_stays_active_when_the_rollout_leaves_the_configuration(state):
    promoted = steered(state, MODEL, "promote", 1.0, by="key_1")

    assert begin("m", PLAIN, promoted, 2.0).active == "v2"
    assert begin("m", ModelSettings(versions=VERSIONS, active="v3"), promoted, 2.0).active == "v3"


def test_a_fixed_split_is_as_its_weights_say():
    model = ModelSettings(versions=VERSIONS, ab={"v1": 50, "v3": 150})
    assert shares_of(begin("m", model, None, 0.0), model) == (("v1", 0.25), ("v3", 0.75))


def test_the_history_is_bounded(state):
    for _ in range(150):
        state = steered(state, MODEL, "share", 1.0, by="key_1", share=5.0)
    assert len(state.history) == 100


def record(**changes) -> Record:
    fields = {
        "id": "call_1", "started_at": 0.0, "operation": "generate", "dialect": "openai_chat", "stream": False, "caller": "key_1",
        "model": "m", "provider": "up", "served": "v2", "route": (), "status": 200, "duration": 1.0, "first_token": 0.5,
        "upstream": None, "usage": None, "cost": None, "finish_reason": "stop", "error": None, "parameters": {}, "version": "v2",
    }  # fmt: skip
    return Record(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, False),
        ({"status": 502, "error": "upstream_broken"}, True),
        ({"status": 503, "error": "unavailable"}, True),
        ({"status": 429, "error": "rate_limit_exceeded"}, True),
        ({"status": 401, "error": "upstream_refused"}, True),
        ({"status": 200, "error": "upstream_broken"}, True),  # in the middle of a stream
        ({"served": "helper"}, True),  # another model had to help out
        ({"status": 400, "error": "invalid_request"}, None),
        ({"status": 404, "error": "not_found"}, None),
        ({"status": 499, "error": "client_left"}, None),
    ],
)
def test_a_failure_is_the_versions_unless_the_caller_could_mend_it(changes, said):
    assert failed(record(**changes), {"up/v2"}) is said


def test_a_calls_cost_is_all_that_was_used_for_it():
    beside = Beside("up/v2", "hedge", Usage(input=1, output=1), 300)
    whole = seen_of(record(cost_nano=100, beside=(beside,)), {"up/v2"}, challenger=True, share=0.5)

    assert dict(whole.values)["cost"] == pytest.approx(math.log(400))
    assert "cost" not in dict(seen_of(record(), {"up/v2"}, challenger=True, share=0.5).values)
