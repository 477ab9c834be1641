"""Programs of this machine as a platform: one node, which is not drained."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import structlog

from mcp_servers.platform_ctl import cluster
from mcp_servers.platform_ctl.cluster import Event, Line, LogAsk, Node, Order, Outcome, Plan, Pod, Reference, Revision
from mcp_servers.platform_ctl.planning import Standing, planned
from mcp_servers.platform_ctl.processes.record import Kept, Services, load_state
from mcp_servers.platform_ctl.processes.running import tail
from mcp_servers.platform_ctl.processes.supervisor import Supervisor
from mcp_servers.platform_ctl.settings import Processes
from mcp_servers.serving import ConfigurationError, load
from mcp_servers.verbs import Refused

log = structlog.get_logger()
_STEP_SECONDS: Final = 0.1
_DEADLINE: Final = 60.0


class ProcessesBackend:
    """A Backend. Raises ConfigurationError, also where another program looks after the same folder."""

    def __init__(self, settings: Processes, base: Path) -> None:
        if not Path("/proc/self/stat").is_file():
            msg = "kind: processes can be watched on Linux only"
            raise ConfigurationError(msg)
        file, folder = (base / settings.services).resolve(), (base / settings.folder).resolve()
        services = load(file, Services)
        folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            msg = f"folder: another program looks after {folder}"
            raise ConfigurationError(msg) from None
        self._leave_running = settings.leave_running
        self._node = socket.gethostname().lower()
        self._supervisor = Supervisor(load_state(folder / "state.json"), services, folder=folder, base=file.parent)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Have the services running, and watched."""
        self._supervisor.adopt()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch)
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
        finally:
            if not self._leave_running:
                self._supervisor.stop_all()
            os.close(self._lock)

    async def _watch(self) -> None:
        while True:
            try:
                self._supervisor.step()
            except OSError:
                # A disk that is full for a while must not end all watching.
                log.exception("processes.step_failed")
            await anyio.sleep(_STEP_SECONDS)

    async def workloads(self, namespace: str) -> Sequence[cluster.Workload]:
        """Give the services of a namespace."""
        return [self._workload(kept) for kept in self._all() if kept.namespace == namespace]

    async def workload(self, of: Reference) -> cluster.Workload:
        """Give one service. Raises Refused."""
        return self._workload(self._found(of))

    async def pods(self, of: Reference) -> Sequence[Pod]:
        """Give its processes. Raises Refused."""
        kept = self._found(of)
        return [
            Pod(
                namespace=kept.namespace,
                name=each.name,
                workload=kept.name,
                node=self._node,
                state="Stopping" if each.stopping_since else f"Running, process {each.pid}" if each.pid else "BackOff",
                ready=self._supervisor.ready(kept, each),
                restarts=each.restarts,
                started_at=each.started_at,
                says=each.says,
            )
            for each in kept.instances
        ]

    async def nodes(self) -> Sequence[Node]:
        """Give this machine."""
        return [Node(name=self._node, ready=True, schedulable=True)]

    async def history(self, of: Reference) -> Sequence[Revision]:
        """Give what the file said earlier, the newest first. Raises Refused."""
        return self._found(of).history

    async def rollout(self, of: Reference) -> cluster.Rollout:
        """Say how far a service is. Raises Refused."""
        kept = self._found(of)
        new = [each for each in kept.instances if each.template == kept.template]
        ready = self._ready(kept)
        done = len(new) == len(kept.instances) == ready == kept.replicas
        ill = next((each for each in kept.instances if each.says), None)
        late = time.time() - kept.moved_at > _DEADLINE
        return cluster.Rollout(
            state="complete" if done else "failed" if late else "progressing",
            desired=kept.replicas,
            updated=len(new),
            ready=ready,
            total=len(kept.instances),
            revision=kept.revision,
            version=kept.step.version,
            says="" if done or ill is None else f"{ill.name}: {ill.says}",
        )

    async def logs(self, of: Reference, ask: LogAsk) -> Sequence[Line]:
        """Give what processes wrote; of when, nothing is known. Raises Refused."""
        kept = self._found(of)
        if ask.since_seconds is not None or ask.previous:
            msg = "These logs have no times and no earlier starts: ask without since_seconds and previous."
            raise Refused(msg)
        wanted = [each for each in kept.instances if ask.pod in (None, each.name)]
        if not wanted and ask.pod is not None:
            msg = f"There is no pod {ask.pod!r} of {of} now."
            raise Refused(msg)
        return [
            Line(pod=each.name, text=line)
            for each in wanted
            for line in tail(self._supervisor.log_of(each), ask.bytes)[-ask.lines :]
        ]

    async def events(self, namespace: str, name: str | None, most: int) -> Sequence[Event]:
        """Give what happened."""
        found = [
            each
            for kept in self._all()
            if kept.namespace == namespace and name in (None, kept.name)
            for each in kept.events
        ]
        return sorted(found, key=lambda each: each.at)[-most:]

    async def plan(self, order: Order) -> Plan:
        """Say what an order would change. Raises Refused."""
        if order.verb == "drain":
            msg = "Processes run on one machine: there is nothing to drain it to."
            raise Refused(msg)
        kept = self._found(order.of)
        standing = Standing(
            path=kept.path,
            replicas=kept.replicas,
            pods=[each.name for each in kept.instances],
            history=kept.history,
            before=str(kept.changed),
        )
        return planned(order, standing)

    async def carry_out(self, order: Order, plan: Plan, mark: str) -> None:
        """Make the change: it is kept, and the processes follow. Raises Refused."""
        kept = self._found(order.of)
        kept.change(order, plan, mark, time.time())
        kept.tell("Normal", "Changed", kept.name, f"{order.verb} was asked for")
        self._supervisor.save()

    async def outcome(self, order: Order, plan: Plan, mark: str) -> Outcome:
        """Say whether an order was carried out. Raises Refused."""
        return self._found(order.of).outcome(plan, mark)

    async def left_on(self, node: str) -> Sequence[str]:
        """Give nothing: no machine is drained."""
        del node
        return []

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    def _all(self) -> list[Kept]:
        return [*self._supervisor.state.services.values()]

    def _found(self, of: Reference) -> Kept:
        kept = self._supervisor.state.services.get(of.name)
        if kept is None or kept.namespace != of.namespace or of.kind not in (None, "process"):
            msg = f"There is no workload {of} here."
            raise Refused(msg)
        return kept

    def _ready(self, kept: Kept) -> int:
        return sum(self._supervisor.ready(kept, each) for each in kept.instances)

    def _workload(self, kept: Kept) -> cluster.Workload:
        ready = self._ready(kept)
        ill = next((each.says for each in kept.instances if each.says and not each.pid), "")
        whole = ready == kept.replicas == len(kept.instances) and all(
            each.template == kept.template for each in kept.instances
        )
        return cluster.Workload(
            namespace=kept.namespace,
            kind="process",
            name=kept.name,
            version=kept.step.version,
            revision=kept.revision,
            desired=kept.replicas,
            ready=ready,
            state="healthy" if whole else "progressing" if not ill else "degraded" if ready else "failed",
            says=ill,
        )
