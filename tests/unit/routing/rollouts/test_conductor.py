"""One process without a database conducts its rollouts, on a clock that a test moves; with a database see the contract."""

import random

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings, TargetSettings, VersionSettings
from gateway.core.errors import Conflict, NotFound
from gateway.core.record import Record
from gateway.routing.rollouts.conductor import MOST_CALLS, MOST_NAMES, Conductor
from gateway.routing.rollouts.course import steered, switched
from gateway.routing.rollouts.readings import rollout_readings
from gateway.routing.rollouts.report import report
from gateway.routing.rollouts.split import Splits
from gateway.stores.rollouts import Score

VERSIONS = {name: VersionSettings(targets=(TargetSettings(provider="up", model=name),)) for name in ("v1", "v2")}
ROLLOUT = RolloutSettings(
    stable="v1", challenger="v2", steps=(50.0, 100.0), dwell=10, least=2, evidence=20, score="good"
)
MODEL = ModelSettings(versions=VERSIONS, rollout=ROLLOUT)
AB = ModelSettings(versions=VERSIONS, ab={"v1": 1, "v2": 3})


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class World:
    def __init__(self, model: ModelSettings) -> None:
        self.clock, self.splits, self.told = Clock(), Splits(), []
        self.conductor = Conductor(self.splits, self.clock, replica="r", told=lambda *told: self.told.append(told))
        self.conductor.configure(
            {"m": model, "plain": ModelSettings(targets=(TargetSettings(provider="up", model="x"),))}
        )

    def calls(self, version: str, number: int, *, error: str | None = None, at: float | None = None, **changes) -> None:
        record = Record(
            id="call_1", started_at=self.clock.now if at is None else at, operation="generate", dialect="openai_chat",
            stream=False, caller="key_1", model="m", provider="up", served=version, route=(), status=502 if error else 200,
            duration=0.1, first_token=0.2, upstream=None, usage=None, cost=None, finish_reason=None, error=error, parameters={},
            version=version,
        )  # fmt: skip
        self.conductor.take([msgspec.structs.replace(record, **changes)] * number)

    @property
    def state(self):
        return self.conductor.find("m").state

    @property
    def shares(self):
        return self.splits.of("m").shares


@pytest.fixture
def world():
    return World(MODEL)


async def test_it_is_promoted_when_nothing_speaks_against_it(world):
    for version in ("v1", "v2"):
        world.calls(version, 20)
    world.clock.now += 9
    await world.conductor.tick()
    assert world.state.phase == "running"

    world.clock.now += 1
    await world.conductor.tick()
    assert world.state.phase == "promoted"
    assert world.shares == (("v2", 1.0),)
    assert [(event, model) for event, model, _ in world.told] == [("rollout.promoted", "m")]


async def test_it_goes_back_at_once_when_it_fails(world):
    world.calls("v1", 10)
    world.calls("v2", 10, error="upstream_broken")
    await world.conductor.tick()

    assert world.state.phase == "rolled_back"
    assert world.shares == (("v1", 1.0),)


async def test_going_back_by_itself_is_a_warning_in_the_log(world):
    world.calls("v1", 10)
    world.calls("v2", 10, error="upstream_broken")
    with capture_logs() as logs:
        await world.conductor.tick()

    assert [(line["event"], line["log_level"]) for line in logs] == [("rollout.rolled_back", "warning")]
    assert "v2 failed 10 of 10 calls" in logs[0]["why"]


async def test_calls_that_began_before_it_are_not_counted(world):
    world.calls("v2", 50, error="upstream_broken", at=900.0)
    await world.conductor.tick()

    assert world.state.phase == "running"
    assert world.conductor.find("m").tally["v2.calls"] == 0


async def test_callers_mistakes_do_not_send_it_back(world):
    world.calls("v1", 50)
    world.calls("v2", 50, error="invalid_request", status=400)
    world.calls("v2", 50, error="client_left", status=499)
    await world.conductor.tick()

    assert world.state.phase == "running"
    assert world.conductor.find("m").tally["v2.calls"] == 0


async def test_copies_for_a_shadow_are_not_counted(world):
    world.calls("v1", 50)
    world.calls("v2", 50, error="upstream_broken", shadow_of="call_0")
    await world.conductor.tick()

    assert world.state.phase == "running"
    assert world.conductor.find("m").tally["v2.calls"] == 0


async def test_bad_scores_send_it_back_and_others_do_not(world):
    chance = random.Random(1)
    for _ in range(150):
        for version, mean in (("v1", 0.8), ("v2", 0.4)):
            world.conductor.score("m", version, "another", 1 - mean, at=world.clock.now)
            world.conductor.score("m", version, "good", mean + chance.uniform(-0.2, 0.2), at=world.clock.now)
    await world.conductor.tick()

    assert world.state.phase == "rolled_back"
    assert "score good of v2 is 0." in world.state.history[-1].why


async def test_a_reload_that_changes_nothing_here_goes_on_and_another_challenger_begins_anew(world):
    world.calls("v1", 5)
    world.conductor.configure({"m": MODEL})
    assert world.conductor.find("m").tally["v1.calls"] == 5

    other = ModelSettings(versions=VERSIONS, rollout=msgspec.structs.replace(ROLLOUT, stable="v2", challenger="v1"))
    world.conductor.configure({"m": other})
    assert world.conductor.find("m").tally["v1.calls"] == 0
    assert world.shares == (("v1", 0.5), ("v2", 0.5))
    assert world.state.epoch == 2


async def test_a_model_that_is_gone_is_not_conducted_any_more(world):
    world.conductor.configure({})
    world.calls("v1", 5)
    with pytest.raises(NotFound):
        world.conductor.find("m")
    await world.conductor.tick()


async def test_models_without_versions_cannot_be_steered(world):
    with pytest.raises(NotFound):
        await world.conductor.act("plain", lambda state, model, now: switched(state, model, "v2", now, by="key_1"))


async def test_an_operators_deed_holds_when_it_is_answered(world):
    await world.conductor.act("m", lambda state, model, now: steered(state, model, "promote", now, by="key_1"))

    assert world.shares == (("v2", 1.0),)
    assert world.told == []  # the admin API says so itself, with who did it


async def test_a_split_reports_effects_with_intervals_and_sample_sizes():
    world = World(AB)
    world.calls("v1", 100)
    world.calls("v2", 60)
    world.calls("v2", 40, error="upstream_broken")
    for number in range(MOST_NAMES + 5):
        world.conductor.score("m", "v1", f"name{number}", 0.5, at=world.clock.now)
    await world.conductor.tick()

    told = report(world.conductor.find("m"))
    assert told["shares"] == {"v1": 0.25, "v2": 0.75}
    (errors,) = [one for one in told["comparisons"] if one["figure"] == "error_rate"]
    assert (errors["effect"], errors["value"], errors["calls"], errors["calls_against"]) == (
        "difference",
        0.4,
        100,
        100,
    )
    low, high = errors["interval"]
    assert 0 < low < 0.4 < high
    assert len(world.conductor.find("m").score_names()) == MOST_NAMES
    with pytest.raises(Conflict):
        await world.conductor.act("m", lambda state, model, now: switched(state, model, "v2", now, by="key_1"))


async def test_what_is_remembered_of_calls_is_bounded(world):
    for number in range(MOST_CALLS + 10):
        world.calls("v1", 1, id=f"call_{number}")
    assert len(world.conductor.recent) == MOST_CALLS
    assert "call_0" not in world.conductor.recent


async def test_the_first_score_of_a_name_stands(world):
    first = Score(
        call="call_1", name="good", value=1.0, comment="", caller="", tenant="", model="m", version="v1", at=0
    )
    assert world.conductor.score_once("call_1", first) is None
    assert world.conductor.score_once("call_1", msgspec.structs.replace(first, value=0.0)) == first


async def test_metrics_tell_of_shares_calls_errors_and_state(world):
    world.calls("v2", 3, error="upstream_broken")
    lines = [line for reading in rollout_readings(world.conductor, world.splits) for line in reading.render()]

    assert 'switchgear_rollout_share{model="m",version="v2"} 0.5' in lines
    assert 'switchgear_rollout_calls_total{model="m",version="v2"} 3' in lines
    assert 'switchgear_rollout_errors_total{model="m",version="v2"} 3' in lines
    assert 'switchgear_rollout_state{model="m"} 0' in lines
