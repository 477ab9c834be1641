"""What every endpoint is given: the present configuration, limits, clock, and the calls in progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from anyio import move_on_after, sleep

from gateway.api.asgi import Scope
from gateway.api.identity import Identity
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError, Unavailable
from gateway.core.ids import NewId
from gateway.pipeline.bodies import Bodies
from gateway.pipeline.interruption import Interruption
from gateway.pipeline.recorded import TakeRecord
from gateway.pipeline.route import Route
from gateway.policies.authorizer import Authorizer
from gateway.prompts.catalogue import Prompts
from gateway.retrieval.library import Library
from gateway.stores.sealing import Seal


class Generation(Protocol):
    """One generation of the configuration, as the edge sees it."""

    @property
    def identity(self) -> Identity:
        """Who may call."""
        ...

    @property
    def authorizer(self) -> Authorizer:
        """What callers may do."""
        ...

    @property
    def routes(self) -> Mapping[str, Route]:
        """The configured models, in the order of the configuration."""
        ...

    @property
    def prompts(self) -> Prompts:
        """The prompt templates."""
        ...

    @property
    def knowledge(self) -> Library:
        """The knowledge bases."""
        ...

    @property
    def bodies(self) -> Bodies:
        """Bodies that came of late."""
        ...

    def hold(self) -> None:
        """A call begins with this generation: its providers stay open until `release`."""
        ...

    def release(self) -> None:
        """The call is over."""
        ...


class Answering(Protocol):
    """An answer on its way to a client. `call` is None where the client only looks on at what goes on without it."""

    @property
    def call(self) -> Call | None:
        """What is answered."""
        ...

    async def fail(self, error: SwitchgearError) -> None:
        """End the answer with an error."""
        ...

    async def keep_alive(self, idle: float) -> None:
        """Write something that says nothing, when nothing was written for `idle` seconds."""
        ...


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Shared by all endpoints of one app.

    `current` gives the generation that new calls begin with, `configuration` the state of the configuration for people, and
    `stores` the state of each store that is configured. `background` marks calls that nobody waits for. `seal` opens what was compacted.
    """

    current: Callable[[], Generation]
    take_record: TakeRecord
    clock: Clock
    new_id: NewId
    body_bytes: int
    json_depth: int
    configuration: Callable[[], dict[str, object]]
    stores: Callable[[], Mapping[str, Mapping[str, str]]] = dict
    in_progress: dict[Interruption, Answering] = {}
    background: bool = False
    seal: Seal | None = None

    def interrupt_all(self, error: SwitchgearError) -> None:
        """End every call in progress with `error` as its last word."""
        for interruption in tuple(self.in_progress):
            interruption.interrupt(error)

    async def keep_streams_alive(self, idle: float) -> None:
        """Write comments into streams that are silent for `idle` seconds; runs until cancelled. 0 turns it off."""
        while idle > 0:
            await sleep(min(1.0, idle / 4))
            for relay in tuple(self.in_progress.values()):
                # One client that takes nothing must not hold up the comments for all others: what cannot be written at
                # once is not written. (A scope that is over from the start cancels only what waits.)
                with move_on_after(0):
                    await relay.keep_alive(idle)


def is_draining(scope: Scope) -> bool:
    """Whether the server that this request came through is going down."""
    server = scope.get("extensions", {}).get("switchgear.server")
    return server is not None and server.draining


def refuse_while_draining(scope: Scope) -> None:
    """Raise Unavailable when the server is going down."""
    if is_draining(scope):
        msg = "The server is shutting down; try again in a moment."
        raise Unavailable(msg, retry_after=5.0)
