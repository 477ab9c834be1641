"""Conducts the rollouts of all models: counts what calls say, moves shares, and agrees with other replicas through a store.

Calls only read the splits. Without the store, or while it is away, what was known last goes on and counts are kept; only a breach is acted
upon at once, because going back harms nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import anyio
import msgspec
import structlog
from msgspec.structs import replace

from gateway.config.settings import ModelSettings
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, NotFound, StoreUnavailable
from gateway.core.record import Record
from gateway.routing.rollouts import course
from gateway.routing.rollouts.evidence import SCORE_OF, Seen, count
from gateway.routing.rollouts.seen import seen_of
from gateway.routing.rollouts.split import Splits
from gateway.routing.rollouts.tally import Tally
from gateway.stores.rollouts import RolloutState, RolloutStore, Score

log = structlog.get_logger()

TICK_SECONDS = 1.0
MOST_NAMES = 20
"""Names of scores that are counted for one split."""
MOST_CALLS = 10_000
"""Calls of the past that can be given scores although no ledger knows them (yet)."""
Told = Callable[[str, str, Mapping[str, Any]], None]
"""Is told what a rollout did by itself: the event, the model, and details."""


class Recent(msgspec.Struct, frozen=True):
    """A call that can be given scores: whose it was, and which version had it since when (seconds since 1970)."""

    caller: str
    tenant: str
    model: str
    version: str
    started_at: float


class Running:
    """What is known of one model here: its settings, the state in force, and what was counted under it."""

    __slots__ = ("calls", "errors", "experiment", "model", "name", "state", "tally", "targets", "unsaved", "wanted")

    def __init__(self, name: str, model: ModelSettings, state: RolloutState) -> None:
        self.name = name
        self.model = model
        self.state = state
        self.tally = Tally()
        self.wanted = True
        """Whether the configuration was read since the store was last asked, so that it may begin something new."""
        self.unsaved = False
        """Whether the state was changed here although the store could not be asked."""
        self.calls: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.targets: dict[str, frozenset[str]] = {}
        self.configure(model)

    def configure(self, model: ModelSettings) -> None:
        """Take the settings in force."""
        self.model = model
        self.experiment = course.experiment_of(model)
        self.targets = {
            version: frozenset(f"{target.provider}/{target.model}" for target in one.targets)
            for version, one in model.versions.items()
        }

    @property
    def current(self) -> bool:
        """Whether the state is of what the configuration here compares; else another replica's is ahead, or this one's."""
        return self.state.experiment == self.experiment

    def score_names(self) -> set[str]:
        """Give the names of the scores that were counted for a split."""
        return {name.partition(SCORE_OF)[2].rpartition(".")[0] for name in self.tally.names() if SCORE_OF in name}

    @property
    def compared(self) -> Sequence[str]:
        """The versions whose calls are counted."""
        rollout = self.model.rollout
        return (rollout.stable, rollout.challenger) if rollout is not None else tuple(self.model.ab)


class Conductor:
    """The rollouts of one process. `replica` names the process among others; `store` is None where nothing is kept."""

    def __init__(
        self, splits: Splits, clock: Clock, *, replica: str, store: RolloutStore | None = None, told: Told | None = None
    ) -> None:
        self._splits = splits
        self._clock = clock
        self._replica = replica
        self._store = store
        self._told = told
        self._running: dict[str, Running] = {}
        self._lock = anyio.Lock()
        self.recent: OrderedDict[str, Recent] = OrderedDict()
        self._scored: OrderedDict[tuple[str, str], Score] = OrderedDict()
        self.healthy = True

    def configure(self, models: Mapping[str, ModelSettings]) -> None:
        """Put the models of the settings in force into force. What goes on keeps its state and its counts."""
        now = self._clock.wall()
        versioned = {name: model for name, model in models.items() if model.versions}
        self._running = {name: one for name, one in self._running.items() if name in versioned}
        for name, model in versioned.items():
            known = self._running.get(name)
            if known is None:
                known = self._running[name] = Running(name, model, course.begin(name, model, None, now))
                known.state = replace(known.state, version=0)
            else:
                known.configure(model)
                known.wanted = True
                if self._store is None and not known.current:
                    self._adopt(known, course.begin(name, model, known.state, now))
            if self._store is None or known.state.version:
                self._apply(known)

    def __iter__(self) -> Iterator[Running]:
        return iter(tuple(self._running.values()))

    def find(self, model: str) -> Running:
        """Give what is known of a model. Raises NotFound for one without versions."""
        known = self._running.get(model)
        if known is None:
            msg = "There is no such model with versions here."
            raise NotFound(msg)
        return known

    def take(self, records: Sequence[Record]) -> None:
        """Count what calls say. A sink of records."""
        for record in records:
            version = record.version
            # A shadow's copy is nobody's: it was made to compare, and nobody waited for it.
            if version and not record.shadow_of and (known := self._running.get(record.model)) is not None:
                self._count(known, record)
                self.recent[record.id] = Recent(record.caller, record.tenant, record.model, version, record.started_at)
        while len(self.recent) > MOST_CALLS:
            self.recent.popitem(last=False)

    def _count(self, known: Running, record: Record) -> None:
        version, state = record.version, known.state
        targets: Collection[str] = known.targets.get(version, ())
        rollout = known.model.rollout
        seen = seen_of(record, targets, challenger=rollout is not None and version == rollout.challenger, share=0.0)
        if seen.failed is not None:
            known.calls[version] = known.calls.get(version, 0) + 1
            known.errors[version] = known.errors.get(version, 0) + seen.failed
        if version not in known.compared or state.phase in course.ENDED or not known.current:
            return
        split = self._splits.of(known.name)
        salt = _salt(state)
        if not split.share_at(version, record.started_at, salt):
            return  # it began before this experiment did
        if rollout is not None:
            share = split.share_at(rollout.challenger, record.started_at, salt)
            seen = replace(seen, share=share)
            known.tally.add(f"step.{state.step}", 1)
        count(known.tally, known.compared, seen)

    def score(self, model: str, version: str, name: str, value: float, *, at: float) -> None:
        """Count the score of a call that began at a time. Of a split all names are counted, of a rollout the one that is compared."""
        known = self._running.get(model)
        if known is None or version not in known.compared or known.state.phase in course.ENDED or not known.current:
            return
        split, salt = self._splits.of(model), _salt(known.state)
        if not split.share_at(version, at, salt):
            return
        rollout = known.model.rollout
        figure = "score" if rollout is not None else f"{SCORE_OF}{name}"
        if rollout is not None and rollout.score != name:
            return
        if rollout is None and len(known.score_names() | {name}) > MOST_NAMES:
            return
        seen = Seen(
            version=version,
            challenger=rollout is not None and version == rollout.challenger,
            share=0.0 if rollout is None else split.share_at(rollout.challenger, at, salt),
            failed=None,
            values=((figure, value),),
        )
        count(known.tally, known.compared, seen)

    def score_once(self, call: str, score: Score) -> Score | None:
        """Note, where no store does, that a call has a score; give the one of that name that it has already."""
        known = self._scored.get((call, score.name))
        if known is not None:
            return known
        self._scored[call, score.name] = score
        while len(self._scored) > MOST_CALLS:
            self._scored.popitem(last=False)
        return None

    async def run(self) -> None:
        """Look at the evidence again and again, until cancelled."""
        while True:
            ticks = [one.model.rollout.tick for one in self._running.values() if one.model.rollout is not None]
            await anyio.sleep(min(ticks, default=TICK_SECONDS))
            try:
                await self.tick()
            except Exception:
                # Whatever it is: rollouts stay as they are, and are looked at again.
                log.exception("rollout.tick_crashed")

    async def finish(self) -> None:
        """Save what the last calls said, when `run` has ended."""
        with anyio.move_on_after(TICK_SECONDS):
            await self._save_sums()

    async def tick(self) -> None:
        """Exchange counts and states with the store, then do what follows."""
        async with self._lock:
            if self._running:
                await self._exchange()
                for known in tuple(self._running.values()):
                    await self._decide(known)

    async def _exchange(self) -> None:
        store = self._store
        if store is None or not await self._save_sums():
            return
        try:
            states = {state.model: state for state in await store.load()}
            for known in tuple(self._running.values()):
                await self._agree(known, states.get(known.name))
            sums = await store.sums_of_others(self._replica)
        except StoreUnavailable as error:
            self._away(error)
            return
        for known in self._running.values():
            known.tally.others = sums.get((known.name, known.state.epoch), {})
        self.healthy = True

    async def _save_sums(self) -> bool:
        """Save what was counted here; False while the store is away."""
        if self._store is None:
            return True
        dirty = [known for known in self._running.values() if known.tally.dirty and known.state.version]
        if not dirty:
            return True
        saved = [(known.name, known.state.epoch, dict(known.tally.own)) for known in dirty]
        tallies = [known.tally for known in dirty]
        for tally in tallies:
            tally.dirty = False
        try:
            await self._store.save_sums(self._replica, saved)
        except StoreUnavailable as error:
            for tally in tallies:
                tally.dirty = True
            self._away(error)
            return False
        return True

    def _away(self, error: StoreUnavailable) -> None:
        if self.healthy:
            log.warning("rollout.store_away", error=error.code)
        self.healthy = False

    async def _agree(self, known: Running, stored: RolloutState | None) -> None:
        """Take over what the store has, unless the configuration that was just read, or what was done meanwhile, comes first."""
        wanted, known.wanted = known.wanted, False
        if wanted and (stored is None or stored.experiment != known.experiment):
            begun = course.begin(known.name, known.model, stored, self._clock.wall())
            if await self._replace(known, begun, quiet=True):
                return
            known.wanted = True  # somebody was faster: see next time whether it was with the same
            return
        if stored is None or stored.version == known.state.version:
            return
        if known.unsaved and stored.version == known.state.version - 1 and await self._replace(known, known.state):
            known.unsaved = False
            return
        known.unsaved = False
        self._adopt(known, stored)

    async def _decide(self, known: Running) -> None:
        rollout = known.model.rollout
        if rollout is None or (not known.state.version and self._store is not None):
            return
        if not known.current:
            return
        state = course.following(known.state, rollout, known.tally, self._clock.wall())
        if state is None:
            return
        try:
            await self._replace(known, state)
        except StoreUnavailable as error:
            self._away(error)
            if state.phase == "rolled_back":
                known.unsaved = True
                self._adopt(known, state)
                self._tell(known)

    async def _replace(self, known: Running, state: RolloutState, *, quiet: bool = False) -> bool:
        """Move on to a state, here and in the store; False when another replica was faster. Raises StoreUnavailable."""
        if self._store is not None and not await self._store.replace(state):
            return False
        self._adopt(known, state)
        if not quiet:
            self._tell(known)
        return True

    def _tell(self, known: Running) -> None:
        last = known.state.history[-1]
        event = f"rollout.{last.event}"
        # A challenger that failed is worth waking somebody; all else goes as it was meant to.
        write = log.warning if last.event == "rolled_back" and last.by == "system" else log.info
        write(event, model=known.name, share=last.share, why=last.why, by=last.by)
        if self._told is not None and last.by == "system":
            self._told(event, known.name, {"share": last.share, "why": last.why})

    def _adopt(self, known: Running, state: RolloutState) -> None:
        if state.epoch != known.state.epoch:
            known.tally = Tally()
        known.state = state
        self._apply(known)

    def _apply(self, known: Running) -> None:
        shares: course.Shares = ((course.resting(known.model, known.state), 1.0),)
        if known.current:
            shares = course.shares_of(known.state, known.model)
        self._splits.of(known.name).set(shares, _salt(known.state), self._clock.wall())

    async def act(self, model: str, change: Callable[[RolloutState, ModelSettings, float], RolloutState]) -> Running:
        """Do what an operator wants to a model's rollout. Raises what `change` does, Conflict when it was changed meanwhile."""
        async with self._lock:
            known = self.find(model)
            await self._exchange()
            if self._store is not None and not known.state.version:
                msg = "The database cannot be reached, and how far the rollout is is not known."
                raise StoreUnavailable(msg, retry_after=1.0)
            if not await self._replace(known, change(known.state, known.model, self._clock.wall())):
                msg = "The rollout was changed meanwhile: look at it again."
                raise Conflict(msg)
            return known


def _salt(state: RolloutState) -> str:
    return f"{state.model}\x1f{state.epoch}"
