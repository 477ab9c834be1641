"""The composition root: settings in, a running application out. The only module that knows everyone."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
from anyio import Event, create_task_group
from starlette.routing import Router

from gateway import __version__
from gateway.accounting.recorder import Recorder, Sink
from gateway.agent_source import AgentSource
from gateway.agents.counts import Counts as RunCounts
from gateway.agents.knowledge_counts import KnowledgeCounts
from gateway.agents.knowledge_hub import KnowledgeHub
from gateway.api import responses, unknown
from gateway.api.edge import Edge
from gateway.api.errors import render_refusal
from gateway.api.mcp.counts import McpCounts
from gateway.api.paths import Paths, pattern_routes
from gateway.approvals_opening import open_approvals
from gateway.batches.counts import Counts
from gateway.batching import Batching, open_batching
from gateway.cache.opening import SemanticCache, open_semantic
from gateway.cache.readings import readings as cache_readings
from gateway.cache.recent_hits import RecentHits
from gateway.cache.scored import ScoredAnswers
from gateway.config import ProviderSettings, Settings, read_environment
from gateway.core.call import Call
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import Unavailable
from gateway.core.ids import new_id
from gateway.core.record import Record
from gateway.core.responder import Send
from gateway.core.usage import Usage
from gateway.documents import folders_of, open_sources
from gateway.endpoints import Answered, Served, endpoints_of
from gateway.governance import Governance, without_stores
from gateway.governance.rolling import open_rollouts
from gateway.live import Live, LoadSettings, ReloadReport
from gateway.mcp_opening import Mcp, Shared, open_mcp
from gateway.notices.counts import Counts as NoticeCounts
from gateway.own_readings import Told, own_readings
from gateway.pipeline.cached_build import open_caching
from gateway.pipeline.route import Surroundings, healthy_targets
from gateway.pipeline.shadowing import Shadowing
from gateway.pipeline.shaped_judging import judging_means
from gateway.providers.provider import Provider
from gateway.reloading import reload_on_change
from gateway.routing.condition import Conditions
from gateway.routing.overload.line import Lines
from gateway.routing.readings import target_readings
from gateway.routing.rollouts.readings import rollout_readings
from gateway.routing.rollouts.split import Splits
from gateway.run_tools_opening import open_tool_means
from gateway.runs_opening import Runs, open_runs
from gateway.schemas.worker import Judging
from gateway.telemetry.call_log import open_call_log
from gateway.telemetry.ensemble_metrics import EnsembleMetrics
from gateway.telemetry.metrics import CallMetrics
from gateway.telemetry.spans import Spans
from gateway.telemetry.structured_metrics import StructuredMetrics
from gateway.tools_opening import open_tools
from gateway.triggers.counts import Counts as TriggerCounts
from gateway.triggers.desk import TriggerDesk
from gateway.triggers_opening import open_triggers


class Application:
    """One server's worth of objects, and the ASGI app over them."""

    def __init__(
        self,
        settings: Settings,
        load: LoadSettings,
        *,
        config_path: Path,
        governance: Governance | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self.governance = governance or without_stores(settings, clock)
        self._config_path = config_path
        self.render_error = render_refusal
        self._refused: Callable[[], Mapping[str, int]] = dict
        self._websockets: Callable[[], int] = int
        self.conditions = Conditions(random.random)
        targets = target_readings(self.conditions, clock.monotonic, lambda: healthy_targets(self.live.current().routes))
        self.lines, splits = Lines(), Splits()
        self.rollouts = open_rollouts(self.governance, splits, clock)
        ensembles, structured = EnsembleMetrics(), StructuredMetrics()
        kept = self.governance.kept
        self.shadowing = None if kept is None else Shadowing(kept.shadows, clock=clock, new_id=new_id)
        self.caching = open_caching(settings, clock)
        self.semantic, self.scored = self._open_semantic(clock)
        counts, run_counts, notice_counts = Counts(), RunCounts(), NoticeCounts()
        self.judging, told, mcp_counts = Judging(), TriggerCounts(), McpCounts()
        self.tools, self.authorizing = open_tools(settings, kept, self.judging, clock)
        knowledge = KnowledgeCounts(lambda: self.live.current().knowledge)
        self.hub = KnowledgeHub(self.tools, lambda: self.live.current(), knowledge, clock)  # noqa: PLW0108 it is made below
        self.metrics = CallMetrics(
            [
                *own_readings(self._told(), clock),
                *targets,
                *self.lines.metrics,
                *rollout_readings(self.rollouts, splits),
                *self.governance.metrics,
                *(counts.metrics if settings.batches is not None else ()),
                *(() if settings.runs is None else (*run_counts.metrics, *notice_counts.metrics)),
                *(() if settings.runs is None else (*told.metrics, *mcp_counts.metrics)),
                *(*ensembles.metrics, *structured.metrics),
                *(*cache_readings(self.caching.store), *(() if self.semantic is None else self.semantic.metrics)),
                *(() if self.shadowing is None else self.shadowing.metrics),
                *(*self.tools.counts.metrics, *knowledge.metrics),
            ]
        )
        self._spans = self._open_spans()
        self.recorder = Recorder([*self._sinks(), ensembles.take, structured.take])
        surroundings = Surroundings(
            take_record=self._take_record,
            limits=self.governance.limits.limiter,
            cost=lambda target, usage: None,
            clock=clock,
            open_entry=None if kept is None else kept.ledger.open,
            conditions=self.conditions,
            splits=splits,
            lines=self.lines,
            shadowing=self.shadowing,
            caching=self.caching,
            means=judging_means(self.judging, clock.monotonic),
        )
        self.agents = AgentSource(config_path, read_environment())
        self.live = Live(
            settings,
            load,
            surroundings,
            identities=self.governance.identities,
            sources=open_sources(config_path, read_environment(), self.agents, clock),
            told=self._take_reload,
        )
        self.governance.prices.generation = self.live.current
        self.tools.fitting.hold(self.live.current().authorizer.policies)
        self.rollouts.configure(settings.models)
        self.edge = self._open_edge(clock)
        self.batching, self.runs = self._open_batching(counts), self._open_runs(run_counts)
        run_desk = None if self.runs is None else self.runs.desk
        self.approvals = open_approvals(settings, self.edge, notice_counts, run_desk, kept)
        self.triggers = self._open_triggers(told)
        self.agents.follow(self.live.current, run_desk)
        self.mcp = self._open_mcp(mcp_counts)
        self.asgi = self._paths(clock.wall())

    def _open_edge(self, clock: Clock) -> Edge:
        return Edge(
            current=self.live.current,
            take_record=self.recorder.take,
            clock=clock,
            new_id=new_id,
            body_bytes=self.settings.server.limits.body_bytes,
            json_depth=self.settings.server.limits.json_depth,
            configuration=self._configuration,
            stores=self.governance.stores,
            seal=None if self.governance.kept is None else self.governance.kept.seal,
        )

    def _sinks(self) -> list[Sink]:
        """Give who takes the records."""
        sinks: list[Sink] = [self._settle, self.metrics.take, self.rollouts.take, self.scored.take]
        if self.settings.logging.calls:
            sinks.append(open_call_log(self.settings.logging))
        if self._spans is not None:
            sinks.append(self._spans.take)
        if self.governance.kept is not None:
            sinks.append(self.governance.kept.ledger.take)
        return sinks

    def end_streams(self) -> None:
        """Give every answer still in progress a terminal event: the server's patience is over."""
        self.edge.interrupt_all(Unavailable("The server is shutting down and this answer took too long."))

    def end_at_once(self) -> None:
        """Tell every caller that the server goes down, and let no child process hold that up: a second signal came."""
        self.edge.interrupt_all(Unavailable("The server is shutting down."))
        self.live.kill_children()

    def _open_semantic(self, clock: Clock) -> tuple[SemanticCache | None, ScoredAnswers]:
        """Give what finds similar questions, where it is configured, and what hears how answers from the cache are judged."""
        hits, store = RecentHits(), self.caching.store
        semantic = open_semantic(self.settings.cache, store, hits, clock=clock)
        if semantic is not None:
            self.caching.open_semantic = semantic.opener(self._ask_inside, self._price)
        return semantic, ScoredAnswers(store, hits, semantic)

    def _open_batching(self, counts: Counts) -> Batching | None:
        settings, kept = self.settings.batches, self.governance.kept
        if settings is None or kept is None or kept.bytes is None:
            return None
        return open_batching(
            settings, self.edge, counts, kept.ring, files=kept.files, batches=kept.batches, kept=kept.bytes
        )

    def _open_runs(self, counts: RunCounts) -> Runs | None:
        settings, kept = self.settings.runs, self.governance.kept
        if settings is None or kept is None:
            return None
        tools = open_tool_means(kept, self.agents.in_force, self.judging, self.hub, self.settings.approvals)
        return open_runs(
            settings, self.edge, counts, kept.ring, tools=tools, runs=kept.runs, conversations=kept.conversations
        )

    def _open_triggers(self, counts: TriggerCounts) -> TriggerDesk | None:
        return open_triggers(
            lambda: self.live.current().settings.triggers, self.edge, counts, self.runs, self.governance.kept
        )

    def _open_mcp(self, counts: McpCounts) -> Mcp:
        governance, calling = self.governance, None if self.runs is None else self.runs.calling
        shared = Shared(governance.limits.limiter.store, governance.kept, governance.identities)
        return open_mcp(self.live.current, self.edge, self.hub, calling, counts, shared)

    def _open_spans(self) -> Spans | None:
        otlp = self.settings.telemetry.otlp
        if otlp is None:
            return None
        return Spans(otlp, find_provider=self._find_provider, version=__version__)

    def _find_provider(self, name: str) -> ProviderSettings | None:
        return self.live.current().settings.providers.get(name)

    def _providers(self) -> Iterable[Provider]:
        return self.live.current().providers.values()

    def _told(self) -> Told:
        return Told(
            calls=lambda: len(self.edge.in_progress),
            dropped=lambda: self.recorder.dropped,
            generation=lambda: self.live.report.generation,
            refused=lambda: dict(self._refused()),
            websockets=lambda: self._websockets(),  # noqa: PLW0108 who counts them is known when the server runs
            providers=self._providers,
        )

    def watch_server(self, refused: Callable[[], Mapping[str, int]], websockets: Callable[[], int]) -> None:
        """Tell who counts, by error code, the requests that the HTTP server refused by itself, and who the WebSockets that are open."""
        self._refused, self._websockets = refused, websockets

    def _paths(self, started_at: float) -> Paths:
        kept = self.governance.kept
        endpoints = endpoints_of(
            Served(
                edge=self.edge,
                services=self.governance.services,
                conditions=lambda: self.conditions,
                rollouts=self.rollouts,
                answered=Answered(
                    store=self.caching.store,
                    calls=self.metrics.cached.values,
                    semantic=self.semantic,
                    scored=self.scored,
                ),
                tools=self.tools,
                authorizing=self.authorizing,
                approvals=self.approvals,
                batching=self.batching,
                runs=self.runs,
                triggers=self.triggers,
                mcp=self.mcp,
                scores=None if kept is None else kept.rollouts,
                started_at=started_at,
                render=self.metrics.render,
                flush=self.recorder.flush,
                reload=self._reload,
            )
        )
        router = Router(
            routes=pattern_routes(endpoints),
            default=unknown.endpoint(tuple(endpoints)),
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        desk = None if self.runs is None else self.runs.desk
        return Paths(endpoints, router, responses.sockets(self.edge, endpoints, self.settings.server, desk))

    @asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        del app
        started = Event()
        async with create_task_group() as tasks:
            tasks.start_soon(self.recorder.run)
            tasks.start_soon(self.governance.run)
            tasks.start_soon(self.live.run, started)
            tasks.start_soon(self.caching.store.run)
            if self.semantic is not None:
                tasks.start_soon(self.semantic.run)
            tasks.start_soon(self.tools.run)
            tasks.start_soon(self.mcp.endpoint.run)
            tasks.start_soon(self.edge.keep_streams_alive, self.settings.server.keep_alive_interval)
            folders = partial(folders_of, lambda: self.live.current().settings, self._config_path)
            tasks.start_soon(reload_on_change, self._config_path.absolute(), self.live.reload, folders)
            await self.governance.start()
            await started.wait()
            await self.rollouts.tick()
            tasks.start_soon(self.rollouts.run)
            if self.shadowing is not None:
                tasks.start_soon(self.shadowing.run)
            if self.batching is not None:
                tasks.start_soon(self.batching.runner.run)
            if self.runs is not None:
                tasks.start_soon(self.runs.executor.run)
            tasks.start_soon(self.approvals.run)
            if self.triggers is not None:
                tasks.start_soon(self.triggers.run)
            yield
            if self.triggers is not None:
                self.triggers.finish()
            await self._finish_work(self.settings.server.drain_timeout)
            if self.shadowing is not None:
                await self.shadowing.finish(self.settings.server.drain_timeout)
            tasks.cancel_scope.cancel()
        if self.semantic is not None:
            await self.semantic.aclose()
        await self.judging.aclose()
        # Only now: the recorder hands its last records on when its task ends.
        await self.rollouts.finish()
        await self.governance.finish()
        if self._spans is not None:
            await self._spans.aclose()

    async def _finish_work(self, seconds: float) -> None:
        """Let what nobody waits for come to a good end, all of it within the same time."""
        async with create_task_group() as tasks:
            if self.batching is not None:
                tasks.start_soon(self.batching.runner.finish, seconds)
            if self.runs is not None:
                tasks.start_soon(self.runs.executor.finish, seconds)

    def _take_record(self, record: Record) -> None:
        self.governance.limits.limiter.settle_soon(record)
        if self.runs is not None:
            self.runs.costs.hear(record)
        self.recorder.take(record)

    def _settle(self, records: Sequence[Record]) -> None:
        del records
        self.governance.limits.limiter.settle_ended()

    def _take_reload(self, reason: str, report: ReloadReport) -> None:
        if report.status == "applied":
            self.tools.configure(self.live.current().settings.tools)
            self.tools.fitting.hold(self.live.current().authorizer.policies)
            self.rollouts.configure(self.live.current().settings.models)
            if self.semantic is not None:
                self.semantic.settle(self.live.current().settings.models)
        self.governance.take_reload(self.live.current().settings, reason, report)

    async def _ask_inside(self, model: str, call: Call, send: Send) -> None:
        """Ask a model in the operator's name."""
        generation = self.live.current()
        route = generation.routes.get(model)
        if route is None:
            msg = f"There is no model {model!r} any more."
            raise Unavailable(msg)
        generation.hold()
        try:
            await route.unasked(call, send)
        finally:
            generation.release()

    def _price(self, target: str, usage: Usage) -> int | None:
        current = self.live.current()
        model = current.settings.models.get(target)
        if model is not None and "/" not in target:
            first = next(iter(model.every_target))
            target = f"{first.provider}/{first.model}"
        return current.prices.nano(target, usage)

    async def _reload(self) -> dict[str, object]:
        report = await self.live.reload("admin")
        built: dict[str, object] = msgspec.to_builtins(report)
        return built

    def _configuration(self) -> dict[str, object]:
        report = self.live.report
        detail: dict[str, object] = {"generation": report.generation, "last_reload": report.status}
        if report.faults:
            detail["faults"] = [str(fault) for fault in report.faults]
        return detail
