"""Rollouts on every database: moved by one replica at a time, agreed upon by all, and counted once whatever dies."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec
import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings, TargetSettings, VersionSettings
from gateway.core.errors import Conflict, StoreUnavailable
from gateway.core.record import Record
from gateway.routing.rollouts import course
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits
from gateway.stores.database import open_database
from gateway.stores.ledger import LedgerRow
from gateway.stores.ledger_sql import SqlLedger
from gateway.stores.rollouts import Chapter, RolloutState, Score
from gateway.stores.rollouts_sql import SqlRollouts

replace = msgspec.structs.replace
STATE = RolloutState(
    model="m'; DROP TABLE rollouts; --", version=1, experiment="rollout v1 > v2", epoch=1, phase="running", active="v1",
    began=1.5, since=2.5, share=0.01, history=(Chapter(at=1.5, event="begun", share=0.01, why="because"),),
)  # fmt: skip
SCORE = Score(
    call="call_1", name="helpful", value=0.5, comment="так", caller="key_1", tenant="acme", model="m", version="v2", at=3.0
)  # fmt: skip


@pytest.fixture
def store(database):
    return SqlRollouts(database)


async def test_a_state_comes_back_as_it_was_given(store):
    assert await store.replace(STATE)

    assert list(await store.load()) == [STATE]


async def test_only_one_of_two_moves_the_same_state(store):
    await store.replace(STATE)

    assert not await store.replace(STATE)
    assert await store.replace(replace(STATE, version=2, step=1))
    assert not await store.replace(replace(STATE, version=2, step=2))
    assert [state.step for state in await store.load()] == [1]


async def test_what_a_replica_says_twice_counts_once(store):
    await store.save_sums("a", [("m", 1, {"v1.calls": 3.0})])
    await store.save_sums("a", [("m", 1, {"v1.calls": 5.0, "bet": -0.25})])
    await store.save_sums("b", [("m", 1, {"v1.calls": 7.0}), ("m", 2, {"v1.calls": 100.0})])

    assert await store.sums_of_others("c") == {
        ("m", 1): {"v1.calls": 12.0, "bet": -0.25},
        ("m", 2): {"v1.calls": 100.0},
    }
    assert await store.sums_of_others("b") == {("m", 1): {"v1.calls": 5.0, "bet": -0.25}}


async def test_another_epoch_forgets_what_was_counted_before(store):
    state = replace(STATE, model="m")
    await store.replace(state)
    await store.save_sums("a", [("m", 1, {"v1.calls": 3.0}), ("n", 1, {"v1.calls": 3.0})])

    await store.replace(replace(state, version=2, epoch=2))
    assert await store.sums_of_others("c") == {("n", 1): {"v1.calls": 3.0}}


async def test_a_call_has_one_score_of_a_name(store):
    assert await store.add_score(SCORE)
    assert not await store.add_score(replace(SCORE, value=1.0))
    assert await store.add_score(replace(SCORE, name="exact"))

    assert [(score.name, score.value) for score in await store.scores("call_1")] == [("exact", 0.5), ("helpful", 0.5)]
    assert await store.scores("call_2") == []


async def test_scores_go_with_their_calls_row_of_the_ledger(database, store):
    ledger = SqlLedger(database)
    await ledger.insert(
        [LedgerRow(id=call, kind="call", started_at=at, status=200) for call, at in (("call_1", 1.0), ("call_2", 9.0))]
    )
    await store.add_score(SCORE)
    await store.add_score(replace(SCORE, call="call_2"))

    assert await ledger.remove(tenant=None, user=None, before=5.0, limit=500) == 1
    assert await store.scores("call_1") == []
    assert len(await store.scores("call_2")) == 1


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Unreliable(SqlRollouts):
    """The store of one replica, whose line to the database may be cut."""

    away = False

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("the line is cut", retry_after=1.0)

    async def load(self) -> Sequence[RolloutState]:
        self._check()
        return await super().load()

    async def replace(self, state: RolloutState) -> bool:
        self._check()
        return await super().replace(state)

    async def save_sums(self, replica, sums):
        self._check()
        await super().save_sums(replica, sums)

    async def sums_of_others(self, replica):
        self._check()
        return await super().sums_of_others(replica)


def model_of(**rollout) -> ModelSettings:
    one, two = (VersionSettings(targets=(TargetSettings(provider="up", model=name),)) for name in ("one", "two"))
    settings = {
        "stable": "v1",
        "challenger": "v2",
        "steps": (10.0, 50.0, 100.0),
        "dwell": 30.0,
        "least": 6,
        "evidence": 30,
    }
    return ModelSettings(versions={"v1": one, "v2": two}, rollout=RolloutSettings(**{**settings, **rollout}))


def record_of(version: str, at: float, *, failed: bool = False) -> Record:
    return Record(
        id="call_1", started_at=at, operation="generate", dialect="openai_chat", stream=False, caller="key_1", model="m",
        provider="up", served={"v1": "one", "v2": "two"}[version], route=(), status=502 if failed else 200, duration=0.1,
        first_token=None, upstream=None, usage=None, cost=None, finish_reason=None, error="upstream_broken" if failed else None,
        parameters={}, version=version,
    )  # fmt: skip


class Fleet:
    """Replicas over one database, on one clock."""

    def __init__(self, database, number: int = 3, *, named: str = "r", **rollout) -> None:
        self.clock = Clock()
        self.stores = [Unreliable(database) for _ in range(number)]
        self.splits = [Splits() for _ in range(number)]
        self.told: list[str] = []
        self.replicas = [
            Conductor(
                splits, self.clock, replica=f"{named}{one}", store=store, told=lambda event, *_: self.told.append(event)
            )
            for one, (splits, store) in enumerate(zip(self.splits, self.stores, strict=True))
        ]
        for replica in self.replicas:
            replica.configure({"m": model_of(**rollout)})

    async def tick(self, seconds: float = 1.0) -> None:
        self.clock.now += seconds
        for replica in self.replicas:
            await replica.tick()

    def calls(self, version: str, number: int, *, failed: bool = False, at=None) -> None:
        for one in range(number):
            replica = self.replicas[one % len(self.replicas) if at is None else at]
            replica.take([record_of(version, self.clock.now, failed=failed)])

    @property
    def states(self) -> list[tuple]:
        return [
            (state.phase, state.step, state.version, state.epoch)
            for state in (replica.find("m").state for replica in self.replicas)
        ]

    @property
    def shares(self) -> list[tuple]:
        return [splits.of("m").shares for splits in self.splits]


async def test_three_replicas_agree_and_one_of_them_moves_the_step(database):
    fleet = Fleet(database)
    await fleet.tick()
    assert fleet.states == [("running", 0, 1, 1)] * 3
    fleet.calls("v1", 6)
    await fleet.tick()
    assert fleet.states == [("running", 0, 1, 1)] * 3

    await fleet.tick(30)
    await fleet.tick()
    assert fleet.states == [("running", 1, 2, 1)] * 3
    assert fleet.shares == [(("v2", 0.5), ("v1", 0.5))] * 3
    assert fleet.told == ["rollout.stepped"]


async def test_the_evidence_of_all_replicas_together_promotes(database):
    fleet = Fleet(database)
    await fleet.tick()
    fleet.calls("v1", 30)
    await fleet.tick(31)
    fleet.calls("v2", 29)
    await fleet.tick(31)
    await fleet.tick()
    assert fleet.states[0][0] == "running"

    fleet.calls("v2", 6)
    await fleet.tick()
    await fleet.tick()
    assert {state[0] for state in fleet.states} == {"promoted"}
    assert fleet.shares == [(("v2", 1.0),)] * 3
    assert [chapter.event for chapter in fleet.replicas[2].find("m").state.history] == ["begun", "stepped", "promoted"]
    assert "v2 failed 0 of 3" in fleet.replicas[2].find("m").state.history[-1].why


async def test_a_breach_is_rolled_back_everywhere_within_two_ticks(database):
    fleet = Fleet(database)
    await fleet.tick()
    fleet.calls("v1", 60)
    fleet.calls("v2", 12, failed=True)  # four at each: none of them would say so alone
    await fleet.tick()
    await fleet.tick()

    assert {state[0] for state in fleet.states} == {"rolled_back"}
    assert fleet.shares == [(("v1", 1.0),)] * 3
    assert "against v1 failed 0 of " in fleet.replicas[0].find("m").state.history[-1].why


async def test_a_replica_without_the_database_goes_on_keeps_its_counts_and_still_rolls_back(database):
    fleet = Fleet(database)
    await fleet.tick()
    fleet.stores[0].away = True
    fleet.calls("v1", 40, at=0)
    await fleet.tick(31)
    await fleet.tick()
    assert fleet.states[0][:2] == ("running", 0)

    fleet.calls("v2", 9, failed=True, at=0)
    await fleet.tick()
    assert [state[0] for state in fleet.states] == ["rolled_back", "running", "running"]
    fleet.stores[0].away = False
    await fleet.tick()
    await fleet.tick()
    assert [state[0] for state in fleet.states] == ["rolled_back"] * 3
    assert fleet.replicas[1].find("m").tally["v2.errors"] == 9


async def test_a_server_that_starts_again_goes_on_where_it_was(database):
    fleet = Fleet(database)
    await fleet.tick()
    fleet.calls("v1", 10)
    await fleet.tick(31)
    await fleet.tick()
    clock = fleet.clock.now

    fleet = Fleet(database, named="again")
    fleet.clock.now = clock
    await fleet.tick()
    assert fleet.states == [("running", 1, 2, 1)] * 3
    assert fleet.shares == [(("v2", 0.5), ("v1", 0.5))] * 3
    assert fleet.replicas[0].find("m").tally["v1.calls"] == 10


async def test_another_experiment_in_the_configuration_begins_anew_once(database):
    fleet = Fleet(database)
    await fleet.tick()
    fleet.calls("v1", 10)
    await fleet.tick()
    for replica in fleet.replicas:
        replica.configure({"m": model_of(stable="v2", challenger="v1")})
    # Until it is known to have begun, nobody new has a call: least of all at the share that another one had got to.
    assert fleet.shares == [(("v2", 1.0),)] * 3
    await fleet.tick()
    await fleet.tick()

    assert fleet.states == [("running", 0, 2, 2)] * 3
    assert fleet.shares == [(("v1", 0.1), ("v2", 0.9))] * 3
    assert fleet.replicas[0].find("m").tally["v1.calls"] == 0


async def test_an_operator_moves_it_through_any_replica(database):
    fleet = Fleet(database)
    await fleet.tick()

    def pause(state, model, now):
        return course.steered(state, model, "pause", now, by="key_1")

    await fleet.replicas[1].act("m", pause)
    fleet.calls("v1", 3)
    fleet.calls("v2", 9, failed=True)
    await fleet.tick(100)
    await fleet.tick()
    assert {state[0] for state in fleet.states} == {"paused"}
    with pytest.raises(Conflict):
        await fleet.replicas[2].act("m", pause)

    await fleet.replicas[2].act("m", lambda state, model, now: course.steered(state, model, "resume", now, by="key_1"))
    await fleet.tick()
    await fleet.tick()
    assert {state[0] for state in fleet.states} == {"rolled_back"}


_KILLED = """
import sys, os, signal, anyio
from gateway.config.database_settings import SqliteSettings
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits
from gateway.core.clock import SYSTEM_CLOCK
from gateway.stores.database import open_database
from gateway.stores.rollouts_sql import SqlRollouts
from tests.contract.test_store_rollouts import model_of, record_of

async def main():
    database = await open_database(SqliteSettings(path=sys.argv[1]))
    conductor = Conductor(Splits(), SYSTEM_CLOCK, replica="doomed", store=SqlRollouts(database))
    conductor.configure({"m": model_of()})
    await conductor.tick()
    for _ in range(20):
        conductor.take([record_of("v1", SYSTEM_CLOCK.wall())])
    await conductor.tick()
    conductor.take([record_of("v1", SYSTEM_CLOCK.wall())])
    os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


async def test_what_a_killed_process_had_saved_is_counted(migrated_sqlite, tmp_path):
    path = str(shutil.copy(migrated_sqlite, tmp_path / "switchgear.db"))
    done = subprocess.run(  # noqa: ASYNC221 - nothing else happens meanwhile
        [sys.executable, "-c", _KILLED, path], env={**os.environ}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL

    database = await open_database(SqliteSettings(path=path))
    fleet = Fleet(database, 1)
    await fleet.tick()
    await database.aclose()
    assert fleet.replicas[0].find("m").tally["v1.calls"] == 20
