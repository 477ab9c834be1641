"""The present generation of the configuration, and its replacement while calls are in flight.

A reload loads, checks and builds the new generation beside the old one and then swaps one pointer; a broken document changes
nothing. A call keeps the generation that it began with. Providers whose settings did not change are shared between
generations; one that nobody uses any more is closed when its last call is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog
from anyio import CancelScope, Event, Lock, create_task_group
from anyio.abc import TaskGroup

from gateway.accounting.prices import Prices, open_prices
from gateway.api.identity import Identities, Identity
from gateway.config import Change, ConfigError, Fault, ProviderSettings, Settings, diff, needs_restart
from gateway.core.clock import Clock
from gateway.documents import Documents, Sources, changed, digests_of, rewritten_bases
from gateway.modelling import concurrency_of, modelled
from gateway.pipeline.bodies import Bodies
from gateway.pipeline.build import build_routes
from gateway.pipeline.cached_plan import policy_version
from gateway.pipeline.route import Route, Surroundings
from gateway.pipeline.shadowed_build import with_shadows
from gateway.policies.authorizer import Authorizer
from gateway.protection.judgements import Judgements
from gateway.protection_source import Asked, check_moderators, open_protection
from gateway.providers.catalog import open_provider
from gateway.providers.documents import document_digest
from gateway.providers.provider import HasChildren, Provider
from gateway.retrieval.library import Library
from gateway.routing.timing import Spawn

if TYPE_CHECKING:
    from gateway.pipeline.guarded_build import Protection

log = structlog.get_logger()

LoadSettings = Callable[[], Awaitable[Settings]]
"""Reads the configuration. Raises ConfigError."""


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a reload. `restart` names changes that take effect only after a restart."""

    status: Literal["applied", "unchanged", "refused"]
    generation: int
    at: float
    changes: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


class Generation:
    """One consistent whole of settings, identity, providers and routes."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        providers: dict[str, Provider],
        surroundings: Surroundings,
        *,
        identity: Identity,
        prices: Prices,
        documents: Documents,
        protection: Protection | None,
    ) -> None:
        self.number = number
        self.settings = settings
        self.providers = providers
        self.identity = identity
        self.prices = prices
        self.digests = documents.digests
        self.protection = protection
        self.agents = documents.agents
        self.prompts = documents.prompts
        self.knowledge = documents.knowledge
        self.authorizer = surroundings.authorizer or Authorizer(None, wall=surroundings.clock.wall)
        self.bodies = Bodies()
        self._held = 0
        surroundings = msgspec.structs.replace(surroundings, beside=self._holding(surroundings.spawn))
        shadows = {name: model.shadow for name, model in settings.models.items() if model.shadow is not None}
        routes = build_routes(modelled(settings, prices), providers, surroundings)
        self.routes: dict[str, Route] = with_shadows(
            routes, shadows, surroundings, hold=self.hold, release=self.release
        ) | documents.agent_routes(documents.agents, surroundings)
        self.retired: Callable[[], None] | None = None

    def hold(self) -> None:
        """A call begins with this generation."""
        self._held += 1

    def release(self) -> None:
        """The call is over; the last one of a retired generation says so."""
        self._held -= 1
        if self._held == 0 and self.retired is not None:
            self.retired()

    def _holding(self, spawn: Spawn | None) -> Spawn | None:
        """Give what starts something that may outlast its call: it has this generation for as long as it runs."""
        if spawn is None:
            return None

        def start(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
            async def held() -> None:
                self.hold()
                try:
                    await run()
                finally:
                    self.release()

            spawn(held)

        return start

    @property
    def idle(self) -> bool:
        """Whether no call is in flight."""
        return self._held == 0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An open provider, and what it was made from: when both are the same again, so is the provider."""

    settings: ProviderSettings
    document: bytes | None
    provider: Provider


class Live:
    """Holds the present generation and replaces it."""

    def __init__(
        self,
        settings: Settings,
        load: LoadSettings,
        surroundings: Surroundings,
        *,
        identities: Identities,
        sources: Sources,
        told: Callable[[str, ReloadReport], None] = lambda reason, report: None,
    ) -> None:
        self._load = load
        self._surroundings = surroundings
        self._identities = identities
        self._sources = sources
        self._told = told
        self._clock: Clock = surroundings.clock
        self._lock = Lock()
        self._wake = Event()
        self._retired: list[Generation] = []
        self._tasks: TaskGroup | None = None
        self._kept: dict[str, Kept] = {}
        self.report = ReloadReport(status="applied", generation=1, at=self._clock.wall())
        self._current, self._kept = self._build(1, settings, sources.knowledge.open(settings))
        self._condition(self._current)

    def current(self) -> Generation:
        """Give the generation that new calls begin with."""
        return self._current

    async def verify(self) -> None:
        """Try what would else be tried by the first call. Raises ConfigError."""
        if self._current.protection is not None:
            await self._current.protection.verify()

    async def run(self, started: Event) -> None:
        """Start the providers, then close what falls out of use, until cancelled; close everything then."""
        async with create_task_group() as tasks:
            self._tasks = tasks
            try:
                await self._start(self._current.providers.values())
                started.set()
                while True:
                    await self._wake.wait()
                    self._wake = Event()
                    await self._close_unused()
            finally:
                with CancelScope(shield=True):
                    for generation in (self._current, *self._retired):
                        if generation.protection is not None:
                            await generation.protection.aclose()
                    for provider in self._open():
                        await provider.aclose()
                tasks.cancel_scope.cancel()

    def kill_children(self) -> None:
        """End the processes of all providers at once: who runs this is about to be cancelled."""
        for provider in self._open():
            if isinstance(provider, HasChildren):
                provider.kill()

    async def reload(self, reason: str) -> ReloadReport:
        """Load the configuration again and put it into force, whole or not at all. A broken document changes nothing."""
        async with self._lock:
            old = self._current
            try:
                settings = await self._load()
                library = await self._sources.knowledge.prepare(settings, old.knowledge)
                rewritten = (*self._rewritten(settings), *rewritten_bases(old.knowledge, library))
                changes = (*diff(old.settings, settings), *rewritten)
                if changes:
                    await self._swap(old, settings, library)
            except ConfigError as error:
                # Not an exception of ours: the faults say all there is to say, a traceback would bury them.
                return self._refused(reason, tuple(error.faults))
            except Exception as error:
                # Whatever it is: the generation in force goes on, and so does the server.
                log.exception("config.reload.crashed", reason=reason)
                message = (
                    f"the new configuration could not be put into force ({type(error).__name__}): the log says more"
                )
                return self._refused(reason, (Fault(file="", message=message),))
            if not changes:
                self.report = self._reported("unchanged")
                log.info("config.reload.unchanged", reason=reason)
                return self.report
            restart = tuple(str(change.path) for change in needs_restart(changes))
            self.report = self._reported("applied", changes=changes, restart=restart)
            log.info(
                "config.reload.applied",
                reason=reason,
                generation=self._current.number,
                changes=[f"{change.kind} {change.path}" for change in changes],
                needs_restart=list(restart),
            )
            self._told(reason, self.report)
            return self.report

    def _rewritten(self, settings: Settings) -> Iterator[Change]:
        """Give the documents that changed although the settings that name them did not."""
        for name, wanted in settings.providers.items():
            kept = self._kept.get(name)
            if kept is not None and kept.settings == wanted and kept.document != document_digest(wanted):
                yield Change(path=f"providers.{name}.document", kind="changed")
        yield from changed(self._current.digests, digests_of(settings, self._sources))

    def _refused(self, reason: str, faults: tuple[Fault, ...]) -> ReloadReport:
        self.report = self._reported("refused", faults=faults)
        log.error("config.reload.refused", reason=reason, faults=[str(fault) for fault in faults])
        self._told(reason, self.report)
        return self.report

    async def _swap(self, old: Generation, settings: Settings, library: Library) -> None:
        new, kept = self._build(old.number + 1, settings, library)
        fresh = [provider for provider in new.providers.values() if provider not in old.providers.values()]
        try:
            await self._start(fresh)
            if new.protection is not None:
                await new.protection.verify()
        except BaseException:
            with CancelScope(shield=True):
                if new.protection is not None:
                    await new.protection.aclose()
                for provider in fresh:
                    await provider.aclose()
            raise
        self._kept = kept
        self._condition(new)
        old.retired = self._rouse
        self._retired.append(old)
        self._current = new
        self._rouse()

    def _condition(self, generation: Generation) -> None:
        """Put into force what a generation says of targets, whose conditions outlive it: only now, for it might have been refused."""
        conditions = self._surroundings.conditions
        conditions.keep({target.name for route in generation.routes.values() for target in route.targets})
        conditions.limit(concurrency_of(generation.settings))

    def _reported(
        self,
        status: Literal["applied", "unchanged", "refused"],
        *,
        changes: tuple[Change, ...] = (),
        restart: tuple[str, ...] = (),
        faults: tuple[Fault, ...] = (),
    ) -> ReloadReport:
        return ReloadReport(
            status=status,
            generation=self._current.number,
            at=self._clock.wall(),
            changes=changes,
            restart=restart,
            faults=faults,
        )

    def _build(self, number: int, settings: Settings, library: Library) -> tuple[Generation, dict[str, Kept]]:
        """Make the generation and its providers. Nothing of it is in force, or started, yet."""
        kept: dict[str, Kept] = {}
        for name, wanted in settings.providers.items():
            # Read before the provider opens it: a change in between is then seen by the next reload, not missed.
            document = document_digest(wanted)
            before = self._kept.get(name)
            if before is not None and before.settings == wanted and before.document == document:
                kept[name] = before
            else:
                kept[name] = Kept(settings=wanted, document=document, provider=open_provider(name, wanted))
        # Prices and policies belong to the generation: a reload changes what the calls that begin after it cost and may do.
        prices = open_prices(settings)
        sources = self._sources
        digests = digests_of(settings, sources)
        judgements, asked = Judgements(), Asked()
        authorizer = sources.policies.open(settings.policies, self._clock)
        protection = open_protection(settings, judgements, asked, self._clock)
        surroundings = msgspec.structs.replace(
            self._surroundings,
            cost=prices.nano,
            prices=prices.version,
            authorizer=authorizer,
            guards=protection,
            take_judged=judgements.take,
            spawn=self._spawn,
            policy=policy_version(settings, {**digests.files, "policies": digests.policies}),
            touched=judgements.touched,
        )
        providers = {name: entry.provider for name, entry in kept.items()}
        identity = self._identities.of(settings)
        agents = sources.agents.open(settings, authorizer)
        generation = Generation(
            number,
            settings,
            providers,
            surroundings,
            identity=identity,
            prices=prices,
            documents=Documents(
                digests=digests,
                agents=agents,
                prompts=sources.prompts.open(settings, [agent.model for agent in agents.agents.values()]),
                knowledge=library,
                agent_routes=sources.agents.routes,
            ),
            protection=protection,
        )
        asked.routes = generation.routes
        check_moderators(settings, generation.routes)
        return generation, kept

    async def _start(self, providers: Iterable[Provider]) -> None:
        if self._tasks is None:
            return
        for provider in providers:
            await provider.start(self._tasks)

    def _spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start what a call wants done beside it. The call ends it; should it not, the server does."""
        if self._tasks is None:
            msg = "calls are answered only while the server runs"
            raise RuntimeError(msg)
        self._tasks.start_soon(run)

    def _rouse(self) -> None:
        self._wake.set()

    async def _close_unused(self) -> None:
        finished = [generation for generation in self._retired if generation.idle]
        self._retired = [generation for generation in self._retired if not generation.idle]
        living = self._open()
        for generation in finished:
            if generation.protection is not None:
                await generation.protection.aclose()
            for provider in generation.providers.values():
                if provider not in living:
                    living.append(provider)
                    await provider.aclose()
                    log.info("provider.closed", provider=provider.name, generation=generation.number)

    def _open(self) -> list[Provider]:
        """Give the providers of the generations that are in use, each once."""
        unique = {
            id(provider): provider
            for generation in (self._current, *self._retired)
            for provider in generation.providers.values()
        }
        return list(unique.values())
