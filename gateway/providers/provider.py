"""What every kind of provider offers."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import msgspec
from anyio.abc import TaskGroup

from gateway.core.call import Call
from gateway.core.content import Operation
from gateway.core.responder import Responder
from gateway.core.target import Target


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a provider could serve a call now: `cold` will start when first needed; `detail` is for people.

    Of one that is `starting`: `first_load` tells that it was to be loaded with the server and never was, `waited_for` that
    calls wait until it is ready. Of one that `failed`: `answers` tells that it answered something, though not as it should, so
    that calls may well be served.
    """

    state: Literal["ready", "cold", "starting", "failed"] = "ready"
    detail: str | None = None
    first_load: bool = False
    waited_for: bool = False
    answers: bool = False


class Provider(Protocol):
    """Owns the connections to one upstream; shared by every model and every generation that uses the same settings."""

    name: str

    def responder(self, target: Target) -> Responder:
        """Give what answers calls for one model of this provider."""
        ...

    def relays(self, dialect: str) -> bool:
        """Whether a call of this dialect goes out as it came, so that nobody needs to look inside."""
        ...

    def serves(self, operation: Operation) -> bool:
        """Whether calls of this kind can be answered at all."""
        ...

    def health(self, model: str) -> Health:
        """Tell the present state of one of its models, without asking the upstream."""
        ...

    async def start(self, tasks: TaskGroup) -> None:
        """Begin what runs in the background. Must return soon; slow starts go into `tasks`."""
        ...

    async def aclose(self) -> None:
        """Close connections and stop children. Nothing uses the provider any more."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A provider that may know of its state before calls show it: its health is asked whenever a target is chosen."""

    @property
    def watched(self) -> bool:
        """Whether it is watched, or always says that it is ready."""
        ...


@runtime_checkable
class TellsLoss(Protocol):
    """A provider that knows what of a call it cannot carry to its upstream."""

    def loses(self, call: Call) -> tuple[str, ...]:
        """Give the names of the parameters that a call asks for and the upstream's API has no place for; none where it goes out as it came."""
        ...


@runtime_checkable
class HasChildren(Protocol):
    """A provider with processes of its own."""

    def kill(self) -> None:
        """End them at once, when nobody has the time to let them go in peace. `aclose` is still called."""
        ...
