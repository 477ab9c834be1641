"""Calls from inside: answered by the doors of the HTTP endpoints, in the name of a caller who is known already.

So policy, limits, data protection, records and the ledger are those of a call over HTTP, because it is one but for the socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from gateway.api.asgi import Message, Scope
from gateway.api.door import Door
from gateway.api.edge import Edge, Generation
from gateway.api.identity import Identity
from gateway.api.opening_door import OpeningDoor
from gateway.batches.asking import Answer, Ask
from gateway.core.caller import Caller
from gateway.core.errors import KeyExpired, KeyRevoked
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline.bodies import Bodies
from gateway.pipeline.route import Route
from gateway.policies.authorizer import Authorizer
from gateway.prompts.catalogue import Prompts
from gateway.retrieval.library import Library
from gateway.stores.key_ring import KeyRing

DIALECTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": OPENAI_CHAT,
    "/v1/completions": OPENAI_COMPLETIONS,
    "/v1/responses": OPENAI_RESPONSES,
    "/v1/embeddings": OPENAI_EMBEDDINGS,
}
"""Where a call from inside may go."""


def rights_now(caller: Caller, ring: KeyRing | None, wall: Callable[[], float], made: str) -> Caller:
    """Give a caller of earlier as it is now: one who came with a virtual key has the rights that the key has now.

    `made` names what the key began. Raises KeyRevoked and KeyExpired, when it does not work any more.
    """
    if ring is None or caller.kind not in ("key", "service"):
        return caller
    held = ring.holder(caller.id)
    now = wall()
    if held is None or (held.revoked and now >= held.works_until):
        msg = f"The API key that made this {made} was revoked."
        raise KeyRevoked(msg)
    if now >= held.works_until:
        msg = f"The API key that made this {made} has expired."
        raise KeyExpired(msg)
    ring.note_use(held.caller.id, now)
    return held.caller


class KnownCaller(Identity):
    """Lets in one caller, whatever the headers say. One who came with a virtual key has the rights that the key has now."""

    def __init__(self, caller: Caller, ring: KeyRing | None, wall: Callable[[], float]) -> None:
        super().__init__()
        self._caller = caller
        self._ring = ring
        self._wall = wall

    def caller(
        self,
        authorization: bytes | None,
        api_key: bytes | None,
        client: object = None,
        forwarded: bytes | None = None,
        origin: bytes | None = None,
        host: bytes | None = None,
    ) -> Caller:
        """Give the caller. Raises KeyRevoked and KeyExpired, when the key does not work any more."""
        return rights_now(self._caller, self._ring, self._wall, "batch")


class _AsSeenBy:
    """The present generation of the configuration, but for who calls."""

    def __init__(self, generation: Generation, identity: Identity) -> None:
        self._generation = generation
        self.identity = identity

    @property
    def authorizer(self) -> Authorizer:
        return self._generation.authorizer

    @property
    def routes(self) -> Mapping[str, Route]:
        return self._generation.routes

    @property
    def prompts(self) -> Prompts:
        return self._generation.prompts

    @property
    def knowledge(self) -> Library:
        """The knowledge bases."""
        return self._generation.knowledge

    @property
    def bodies(self) -> Bodies:
        return self._generation.bodies

    def hold(self) -> None:
        self._generation.hold()

    def release(self) -> None:
        self._generation.release()


class _Collected:
    """An ASGI send that keeps what it is given."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.body += message.get("body", b"")


def ask_as(edge: Edge, ring: KeyRing | None, caller: Caller) -> Ask:
    """Give what answers calls in the name of `caller`."""
    identity = KnownCaller(caller, ring, edge.clock.wall)

    def current() -> Generation:
        return _AsSeenBy(edge.current(), identity)

    doors = {
        path: (OpeningDoor if dialect is OPENAI_RESPONSES else Door)(
            msgspec.structs.replace(edge, current=current, background=True), dialect
        )
        for path, dialect in DIALECTS.items()
    }

    async def ask(path: str, body: bytes) -> Answer:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        collected = _Collected()
        scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": None}
        await doors[path](scope, receive, collected)
        waiting = collected.headers.get(b"retry-after")
        return Answer(
            status=collected.status,
            request_id=collected.headers.get(b"x-switchgear-call-id", b"").decode("ascii"),
            body=collected.body,
            retry_after=None if waiting is None else float(waiting),
        )

    return ask
