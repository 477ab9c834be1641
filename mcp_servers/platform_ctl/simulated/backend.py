"""The simulated cluster as a platform. Each call is one transaction on the world: loaded, moved on, looked at or changed, and saved as a whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import anyio
import msgspec

from mcp_servers.platform_ctl import cluster
from mcp_servers.platform_ctl.cluster import Event, Line, LogAsk, Node, Order, Outcome, Plan, Pod, Reference, Revision
from mcp_servers.platform_ctl.planning import Standing, drained, planned
from mcp_servers.platform_ctl.settings import Incident, Simulated
from mcp_servers.platform_ctl.simulated.incidents import check_incidents, mend, overload
from mcp_servers.platform_ctl.simulated.metrics import exposition
from mcp_servers.platform_ctl.simulated.motion import DEADLINE, advance, settle
from mcp_servers.platform_ctl.simulated.world import SimIncident, SimNode, SimWorkload, World, first_world, moment
from mcp_servers.receipts import lock
from mcp_servers.serving import ConfigurationError
from mcp_servers.verbs import Refused

_LOCK_SECONDS: Final = 10.0


class SimulatedBackend:
    """A Backend. Raises ConfigurationError for a script or a saved state that cannot be used."""

    def __init__(self, settings: Simulated, base: Path) -> None:
        check_incidents(settings)
        self._settings = settings
        self._file = None if settings.state is None else (base / settings.state).resolve()
        self._kept: World | None = None
        self._now = 0
        if self._file is not None and not self._file.parent.is_dir():
            msg = f"state: there is no folder {self._file.parent}"
            raise ConfigurationError(msg)
        if self._file is not None:
            self._loaded()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Nothing runs between calls: what happened is made up for at the next."""
        yield

    async def workloads(self, namespace: str) -> Sequence[cluster.Workload]:
        """Give the workloads of a namespace."""
        async with self._world() as world:
            return [_workload(each) for each in world.workloads if each.namespace == namespace]

    async def workload(self, of: Reference) -> cluster.Workload:
        """Give one workload. Raises Refused."""
        async with self._world() as world:
            return _workload(_found(world, of))

    async def pods(self, of: Reference) -> Sequence[Pod]:
        """Give a workload's pods. Raises Refused."""
        async with self._world() as world:
            workload = _found(world, of)
            return [
                Pod(
                    namespace=workload.namespace,
                    name=pod.name,
                    workload=workload.name,
                    node=pod.node,
                    state="CrashLoopBackOff" if pod.waiting else "Running" if pod.node else "Pending",
                    ready=pod.ready,
                    restarts=pod.restarts,
                    started_at=moment(pod.since),
                    says=pod.says,
                )
                for pod in workload.pods
            ]

    async def nodes(self) -> Sequence[Node]:
        """Give the machines."""
        async with self._world() as world:
            return [Node(name=each.name, ready=True, schedulable=not each.cordoned) for each in world.nodes]

    async def history(self, of: Reference) -> Sequence[Revision]:
        """Give the revisions, the newest first. Raises Refused."""
        async with self._world() as world:
            return _history(_found(world, of))

    async def rollout(self, of: Reference) -> cluster.Rollout:
        """Say how far a workload is. Raises Refused."""
        async with self._world() as world:
            return _rollout(world, _found(world, of))

    async def logs(self, of: Reference, ask: LogAsk) -> Sequence[Line]:
        """Give lines. Raises Refused."""
        async with self._world() as world:
            workload = _found(world, of)
            if ask.pod is not None and ask.pod not in {pod.name for pod in workload.pods}:
                msg = f"There is no pod {ask.pod!r} of {of} now."
                raise Refused(msg)
            since = -1 if ask.since_seconds is None else world.now - ask.since_seconds
            found: list[Line] = []
            for pod in workload.pods:
                start = pod.restarts - 1 if ask.previous else pod.restarts
                lines = [
                    Line(pod=pod.name, text=f"{moment(line.at)} {line.text}")
                    for line in pod.lines
                    if ask.pod in (None, pod.name) and line.start == start and line.at >= since
                ]
                found += lines[-ask.lines :]
            return found

    async def events(self, namespace: str, name: str | None, most: int) -> Sequence[Event]:
        """Give what happened."""
        async with self._world() as world:
            found = [
                Event(
                    at=moment(each.at),
                    kind=each.kind,
                    reason=each.reason,
                    object=each.object,
                    says=each.says,
                    count=each.count,
                )
                for each in world.events
                if each.workload.partition("/")[0] == namespace
                and (name is None or each.workload == f"{namespace}/{name}")
            ]
            return found[-most:]

    async def plan(self, order: Order) -> Plan:
        """Say what an order would change. Raises Refused."""
        async with self._world() as world:
            return _planned(world, order)

    async def carry_out(self, order: Order, plan: Plan, mark: str) -> None:
        """Make the change. Raises Refused."""
        async with self._world() as world:
            if order.verb == "drain":
                node = _node(world, order.node)
                node.cordoned = node.draining = True
                node.mark = mark
                mend(world, "drain", node.name)
                return
            workload = _found(world, order.of)
            workload.change(order, plan, mark, world.now)
            mend(world, order.verb, workload.path)
            world.tell("Normal", "Changed", workload, workload.name, f"{order.verb} was asked for")

    async def outcome(self, order: Order, plan: Plan, mark: str) -> Outcome:
        """Say whether an order was carried out. Raises Refused."""
        async with self._world() as world:
            if order.verb == "drain":
                return "done" if _node(world, order.node).mark == mark else "not_done"
            return _found(world, order.of).outcome(plan, mark)

    async def left_on(self, node: str) -> Sequence[str]:
        """Give the pods on a machine."""
        async with self._world() as world:
            return [f"{each.namespace}/{pod.name}" for each in world.workloads for pod in each.pods if pod.node == node]

    def now(self) -> float:
        """The world's second, as of the last call; by the real clock, now's."""
        if self._settings.clock == "real":
            return time.monotonic() * self._settings.speed
        return float(self._now)

    async def pause(self, seconds: float) -> None:
        """Let the world's seconds pass."""
        if self._settings.clock == "real":
            await anyio.sleep(seconds / self._settings.speed)
            return
        async with self._world() as world:
            advance(world, world.now + max(1, round(seconds)))

    async def metrics(self) -> str:
        """Give the metrics of the cluster as it is now, as Prometheus reads them."""
        async with self._world() as world:
            return exposition(world)

    async def inject(self, incidents: Sequence[Incident]) -> None:
        """Let things go wrong from now on, each after the seconds of its `at`."""
        async with self._world() as world:
            world.incidents += [
                SimIncident(msgspec.structs.replace(each, at=world.now + each.at)) for each in incidents
            ]

    @asynccontextmanager
    async def _world(self) -> AsyncIterator[World]:
        """The world as it is now; what is changed in it is kept, unless it raises."""
        if self._file is None:
            world = self._moved(self._kept or self._new())
            yield world
            self._kept = world
        else:
            async with lock(self._file, _LOCK_SECONDS):
                world = self._moved(self._loaded() or self._new())
                yield world
                new = self._file.with_name(f"{self._file.name}.new")
                new.write_bytes(msgspec.json.encode(world))
                new.replace(self._file)
        self._now = world.now

    def _new(self) -> World:
        world = first_world(self._settings, begun_at=time.time())
        settle(world)
        return world

    def _loaded(self) -> World | None:
        """Raises ConfigurationError."""
        if self._file is None:
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=World)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            msg = f"{self._file}: this is no state of a simulated cluster: {error}"
            raise ConfigurationError(msg) from None

    def _moved(self, world: World) -> World:
        if self._settings.clock == "real":
            advance(world, max(world.now, int((time.time() - world.begun_at) * self._settings.speed)))
        else:
            advance(world, world.now + self._settings.call_seconds)
        return world


def _found(world: World, of: Reference) -> SimWorkload:
    workload = world.workload(f"{of.namespace}/{of.name}")
    if workload is None or of.kind not in (None, workload.kind):
        msg = f"There is no workload {of} here."
        raise Refused(msg)
    return workload


def _node(world: World, name: str) -> SimNode:
    node = next((each for each in world.nodes if each.name == name), None)
    if node is None:
        msg = f"There is no node {name!r} here."
        raise Refused(msg)
    return node


def _rollout(world: World, workload: SimWorkload) -> cluster.Rollout:
    new = [pod for pod in workload.pods if pod.template == workload.template]
    done = len(new) == len(workload.pods) == workload.replicas == workload.ready
    late = world.now - workload.moved_at > DEADLINE
    ill = next((pod for pod in [*reversed(new), *workload.pods] if not pod.ready), None)
    return cluster.Rollout(
        state="complete" if done else "failed" if late else "progressing",
        desired=workload.replicas,
        updated=len(new),
        ready=workload.ready,
        total=len(workload.pods),
        revision=workload.revision,
        version=workload.current.version,
        says="" if done or ill is None else f"{ill.name}: {ill.says or 'not ready'}",
    )


def _workload(workload: SimWorkload) -> cluster.Workload:
    ill = next((pod.says for pod in workload.pods if pod.says and pod.says != "starting"), "")
    busy = overload(workload)
    return cluster.Workload(
        namespace=workload.namespace,
        kind=workload.kind,
        name=workload.name,
        version=workload.current.version,
        revision=workload.revision,
        desired=workload.replicas,
        ready=workload.ready,
        state=_state(workload, ill=bool(ill), busy=bool(busy)),
        says=ill or busy,
    )


def _state(workload: SimWorkload, *, ill: bool, busy: bool) -> Literal["healthy", "progressing", "degraded", "failed"]:
    short = workload.ready < workload.replicas
    if short and not workload.ready:
        return "failed"
    if busy or (short and ill):
        return "degraded"
    rolling = any(pod.template != workload.template for pod in workload.pods)
    return "progressing" if short or rolling else "healthy"


def _history(workload: SimWorkload) -> list[Revision]:
    return [
        Revision(number=each.number, version=each.version, current=each.number == workload.revision, at=moment(each.at))
        for each in reversed(workload.revisions)
    ]


def _planned(world: World, order: Order) -> Plan:
    if order.verb == "drain":
        node = _node(world, order.node)
        there = [(each, pod) for each in world.workloads for pod in each.pods if pod.node == node.name]
        return drained(
            node.name,
            cordoned=node.cordoned,
            pods=[f"{each.namespace}/{pod.name}" for each, pod in there],
            workloads=sorted({each.path for each, _ in there}),
        )
    workload = _found(world, order.of)
    standing = Standing(
        path=workload.path,
        replicas=workload.replicas,
        pods=[pod.name for pod in workload.pods],
        history=_history(workload),
        before=str(workload.changed),
    )
    return planned(order, standing)
