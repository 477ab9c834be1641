"""The simulated cluster's state: what there is, and nothing of how it moves. All of it fits in one JSON file."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from mcp_servers.platform_ctl.settings import Incident, Simulated
from mcp_servers.platform_ctl.wanted import Wanted

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Second 0: a fixed day, so that every run says the same."""
MOST_LINES: Final = 200
MOST_EVENTS: Final = 500


class LogLine(msgspec.Struct):
    """A line of a log: at which second, by which start of the container."""

    at: int
    start: int
    text: str


class SimPod(msgspec.Struct):
    """A pod. `template` is the state of the workload that it was made from; `since` is when its container started, `until` ends a back-off."""

    name: str
    node: str
    template: tuple[int, int]
    born: int
    since: int
    ready: bool = False
    waiting: bool = False
    until: int = 0
    restarts: int = 0
    says: str = ""
    lines: list[LogLine] = []


class SimRevision(msgspec.Struct):
    """A revision; a bad one crashes."""

    number: int
    version: str
    at: int
    bad: bool = False


class SimWorkload(Wanted, kw_only=True):
    """A workload."""

    kind: Literal["deployment", "statefulset"]
    needs: tuple[str, ...]
    load: float
    capacity: float
    revisions: list[SimRevision]
    serial: int = 0
    pods: list[SimPod] = msgspec.field(default_factory=list)

    @property
    def current(self) -> SimRevision:
        """Its revision."""
        return next(each for each in self.revisions if each.number == self.revision)

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(pod.ready for pod in self.pods)


class SimNode(msgspec.Struct):
    """A machine."""

    name: str
    cordoned: bool = False
    draining: bool = False
    mark: str = ""


class SimIncident(msgspec.Struct):
    """An incident: begun or not, and since when it is mended for pods that are made after that."""

    script: Incident
    begun: bool = False
    mended_at: int | None = None


class SimEvent(msgspec.Struct):
    """An event; like ones are counted."""

    at: int
    kind: Literal["Normal", "Warning"]
    reason: str
    workload: str
    object: str
    says: str
    count: int = 1


class World(msgspec.Struct):
    """The whole. `begun_at` is the time of the day at which a real clock was at second 0."""

    now: int
    begun_at: float
    nodes: list[SimNode]
    workloads: list[SimWorkload]
    incidents: list[SimIncident]
    events: list[SimEvent] = []

    def workload(self, path: str) -> SimWorkload | None:
        """Give the workload at a path."""
        return next((each for each in self.workloads if each.path == path), None)

    def tell(
        self, kind: Literal["Normal", "Warning"], reason: str, of: SimWorkload | None, obj: str, says: str
    ) -> None:
        """Keep an event."""
        path = of.path if of else ""
        for event in self.events:
            if (event.reason, event.workload, event.object, event.says) == (reason, path, obj, says):
                event.count += 1
                event.at = self.now
                self.events.remove(event)
                self.events.append(event)
                return
        self.events.append(SimEvent(self.now, kind, reason, path, obj, says))
        del self.events[:-MOST_EVENTS]

    def log(self, pod: SimPod, text: str) -> None:
        """Add a line to a pod's log."""
        pod.lines.append(LogLine(self.now, pod.restarts, text))
        del pod.lines[:-MOST_LINES]


def first_world(settings: Simulated, *, begun_at: float) -> World:
    """Make a world in which nothing runs yet."""
    workloads = []
    for script in settings.workloads:
        versions = [*script.history, script.version]
        revisions = [SimRevision(number, version, 0) for number, version in enumerate(versions, 1)]
        workloads.append(
            SimWorkload(
                namespace=script.namespace,
                name=script.name,
                kind=script.kind,
                replicas=script.replicas,
                needs=script.needs,
                load=script.load,
                capacity=script.capacity,
                revisions=revisions,
                revision=len(revisions),
            )
        )
    return World(
        now=0,
        begun_at=begun_at,
        nodes=[SimNode(name) for name in settings.nodes],
        workloads=workloads,
        incidents=[SimIncident(each) for each in settings.incidents],
    )


def pod_name(workload: SimWorkload) -> str:
    """Give the next pod's name; a stateful set's is its lowest free number."""
    if workload.kind == "statefulset":
        taken = {pod.name for pod in workload.pods}
        return next(name for number in range(10_000) if (name := f"{workload.name}-{number}") not in taken)
    workload.serial += 1
    template = hashlib.sha256(f"{workload.path} {workload.template}".encode()).hexdigest()[:8]
    serial = hashlib.sha256(f"{workload.path} {workload.serial}".encode()).hexdigest()[:5]
    return f"{workload.name}-{template}-{serial}"


def moment(second: int) -> str:
    """Give a second as a time."""
    return (BEGIN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
