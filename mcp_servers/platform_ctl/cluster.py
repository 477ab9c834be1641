"""The port that every kind of platform fills: what is seen of it, and how it is changed. Seconds are those of the platform's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

import msgspec

from mcp_servers.verbs import Json

Write: TypeAlias = Literal["restart", "scale", "rollback", "drain"]
Kind: TypeAlias = Literal["deployment", "statefulset", "process"]
Outcome: TypeAlias = Literal["done", "not_done", "unknown"]


class Unsure(Exception):
    """A change was sent, and nobody knows whether it was made; the text says why."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A workload by its name; `kind` is None where any will do."""

    namespace: str
    name: str
    kind: Kind | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What should run, and how much of it does."""

    namespace: str
    kind: Kind
    name: str
    version: str
    revision: int
    desired: int
    ready: int
    state: Literal["healthy", "progressing", "degraded", "failed"]
    says: str = ""


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a workload, which runs or tries to."""

    namespace: str
    name: str
    workload: str
    node: str
    state: str
    ready: bool
    restarts: int
    started_at: str
    says: str = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that pods run on."""

    name: str
    ready: bool
    schedulable: bool
    says: str = ""


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a workload that one can go back to."""

    number: int
    version: str
    current: bool
    at: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; `count` times until `at`."""

    at: str
    kind: Literal["Normal", "Warning"]
    reason: str
    object: str
    says: str
    count: int = 1


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How far the workload is with becoming what it should be."""

    state: Literal["complete", "progressing", "failed"]
    desired: int
    updated: int
    ready: int
    total: int
    revision: int
    version: str
    says: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a pod's log."""

    pod: str
    text: str


class LogAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted: the last `lines` of each pod, at most `bytes` of them."""

    lines: int
    bytes: int
    pod: str | None = None
    since_seconds: int | None = None
    previous: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A change that is asked for. `node` is what is drained; everything else is of a workload."""

    verb: Write
    workload: Reference | None = None
    node: str = ""
    replicas: int | None = None
    revision: int | None = None

    @property
    def of(self) -> Reference:
        """The workload. Raises ValueError where the order is of a node."""
        if self.workload is None:
            msg = "the order is of a node"
            raise ValueError(msg)
        return self.workload


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference that an order makes."""

    path: str
    before: Json
    after: Json


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would do. `before` names the state that it was made from, `target` is what the platform needs to carry it out once."""

    changes: Sequence[Change]
    before: str = ""
    target: Json = None


class Backend(Protocol):
    """A platform. Everything raises Refused; what changes something also Unsure."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Have it at work for as long as the program runs."""
        ...

    async def workloads(self, namespace: str) -> Sequence[Workload]:
        """Give the workloads of a namespace."""
        ...

    async def workload(self, of: Reference) -> Workload:
        """Give one workload."""
        ...

    async def pods(self, of: Reference) -> Sequence[Pod]:
        """Give a workload's pods."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """Give the machines."""
        ...

    async def history(self, of: Reference) -> Sequence[Revision]:
        """Give what a workload can go back to, the newest first."""
        ...

    async def rollout(self, of: Reference) -> Rollout:
        """Say how far a workload is."""
        ...

    async def logs(self, of: Reference, ask: LogAsk) -> Sequence[Line]:
        """Give lines, each pod's in order."""
        ...

    async def events(self, namespace: str, name: str | None, most: int) -> Sequence[Event]:
        """Give what happened, the newest last: to all, or to what belongs to one workload."""
        ...

    async def plan(self, order: Order) -> Plan:
        """Say what an order would change, and change nothing."""
        ...

    async def carry_out(self, order: Order, plan: Plan, mark: str) -> None:
        """Make the change, and leave the mark on what was changed in the same breath."""
        ...

    async def outcome(self, order: Order, plan: Plan, mark: str) -> Outcome:
        """Say whether an order was carried out of which that is not known."""
        ...

    async def left_on(self, node: str) -> Sequence[str]:
        """Give what is still in the way of a drained node: pods that have to go, or that have not come up elsewhere."""
        ...

    def now(self) -> float:
        """Seconds on the platform's clock."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let that many of them pass."""
        ...
