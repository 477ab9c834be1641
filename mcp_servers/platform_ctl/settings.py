"""Settings of the platform control: which environments there are, what of them may be seen and changed, and how much at once."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mcp_servers.platform_ctl.cluster import Write

NAME: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
Name: TypeAlias = Annotated[str, Meta(pattern=NAME)]
Path: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][-a-z0-9.]{0,252}/([a-z0-9][-a-z0-9.]{0,252}|\*)$")]
"""namespace/workload, or namespace/* for all of one."""
Variable: TypeAlias = Annotated[str, Meta(pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$")]


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many replicas a workload may be given."""

    least: Annotated[int, Meta(ge=0, le=10_000)] = 1
    most: Annotated[int, Meta(ge=0, le=10_000)]

    def __post_init__(self) -> None:
        if self.least > self.most:
            msg = "least is more than most"
            raise ValueError(msg)


class WorkloadScript(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workload of the simulated cluster.

    `history` are the versions before, the oldest first; `load` is in requests per second,
    and `capacity` is what one pod can serve of it.
    """

    namespace: Name
    name: Name
    kind: Literal["deployment", "statefulset"] = "deployment"
    replicas: Annotated[int, Meta(ge=0, le=100)] = 2
    version: str = "1.0.0"
    history: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    load: Annotated[float, Meta(ge=0)] = 50.0
    capacity: Annotated[float, Meta(gt=0)] = 100.0


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong in the simulated cluster, from second `at`.

    `target` is namespace/name, or a node where a disk is full. `fixed_by` are
    the writes that mend it, where these are not the usual ones; with an empty list nothing does.
    `noise` harms nobody: it writes `text` into a log and an event, as strangers can.
    """

    kind: Literal[
        "crash_loop", "bad_rollout", "disk_full", "dependency_down", "certificate_expiry", "traffic_spike", "noise"
    ]
    target: str
    at: Annotated[int, Meta(ge=0)] = 0
    fixed_by: tuple[Write, ...] | None = None
    version: str = "1.1.0"
    factor: Annotated[float, Meta(gt=0, le=1000)] = 5.0
    text: Annotated[str, Meta(min_length=1, max_length=4000)] = "WARN a request was slow: 512 ms"


class Simulated(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="simulated"
):
    """A cluster that is simulated: in memory, or in the file `state`.

    By the stepped clock, a call takes `call_seconds` and waiting takes no
    time; by the real one, a second is `speed` seconds of the cluster. `scenarios` are incidents
    that can be called for by name; `incidents` happen always.
    """

    workloads: Annotated[tuple[WorkloadScript, ...], Meta(min_length=1, max_length=200)]
    nodes: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=50)] = ("node-1", "node-2", "node-3")
    incidents: Annotated[tuple[Incident, ...], Meta(max_length=100)] = ()
    scenarios: Annotated[dict[Name, Annotated[tuple[Incident, ...], Meta(max_length=100)]], Meta(max_length=100)] = {}
    state: str | None = None
    clock: Literal["stepped", "real"] = "stepped"
    call_seconds: Annotated[int, Meta(ge=0, le=3600)] = 2
    speed: Annotated[float, Meta(gt=0, le=10_000)] = 1.0


class Processes(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="processes"
):
    """Programs of this machine, as the file `services` lists them. What is kept of them lies in `folder`."""

    services: str
    folder: str
    leave_running: bool = True


class Kubernetes(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="kubernetes"
):
    """A Kubernetes cluster by its API. Without `token` and `token_file`, requests carry none; a token in a file is read anew for each."""

    url: Annotated[str, Meta(pattern=r"^https?://[^\s/@?#]+/?$")]
    token: Variable | None = None
    token_file: str | None = None
    ca_file: str | None = None

    def __post_init__(self) -> None:
        secret = self.token is not None or self.token_file is not None
        host = self.url.removeprefix("http://").rstrip("/").rpartition(":")[0] or self.url.removeprefix("http://")
        if secret and self.url.startswith("http://") and host not in ("127.0.0.1", "localhost", "[::1]"):
            msg = "url: a token is not sent over plain HTTP to another machine"
            raise ValueError(msg)


Platform: TypeAlias = Simulated | Processes | Kubernetes


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A platform, and what of it may be seen and changed.

    Workloads of listed namespaces; the listed writes; nodes that may be drained;
    and only workloads that `scale` names can be scaled.
    """

    platform: Platform
    namespaces: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    description: str = ""
    writes: tuple[Write, ...] = ()
    nodes: tuple[Name, ...] = ()
    scale: dict[Path, Bounds] = {}

    def bounds(self, namespace: str, name: str) -> Bounds | None:
        """Give the bounds of a workload, or None where it may not be scaled."""
        return self.scale.get(f"{namespace}/{name}") or self.scale.get(f"{namespace}/*")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one call may take and give. `seconds` bounds each conversation with the platform."""

    log_lines: Annotated[int, Meta(ge=1, le=10_000)] = 500
    log_bytes: Annotated[int, Meta(ge=1024, le=4 * 1024 * 1024)] = 64 * 1024
    items: Annotated[int, Meta(ge=1, le=5000)] = 200
    seconds: Annotated[float, Meta(gt=0, le=300)] = 15.0
    receipts: Annotated[int, Meta(ge=10, le=100_000)] = 2000


class PostCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long after a write the wanted state is waited for; it has to last for `steady` seconds. All by the platform's clock."""

    seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    every: Annotated[float, Meta(gt=0, le=60)] = 1.0
    steady: Annotated[float, Meta(ge=0, le=300)] = 3.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole. `journal` is the file that remembers writes by their idempotency keys."""

    environments: Annotated[dict[Name, Environment], Meta(min_length=1, max_length=50)]
    journal: str | None = None
    limits: Limits = Limits()
    post_check: PostCheck = PostCheck()
