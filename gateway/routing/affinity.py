"""Affinity: reasoning that only its maker can read goes back to the target that made it, or is left out, and that is said.

Which target made what is remembered in this process, by a hash: bounded, and for a day. Only models whose calls may reach
several providers have any of this, and only calls that hold or ask for such reasoning are looked into.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from gateway.core.call import Call
from gateway.core.errors import UpstreamRefused
from gateway.core.events import Event, ItemFinished, Started, Verbatim
from gateway.core.items import Reasoning
from gateway.core.responder import Lane, Responder, Send, lane_with
from gateway.core.target import Target
from gateway.routing.opaque_reasoning import SHORTEST, asks_for, key_of, may_hold, opaque_keys, without
from gateway.routing.seat import Seat

MOST: Final = 50_000
"""Pieces of reasoning whose origin is remembered: some 10 MB."""
SECONDS: Final = 86_400.0

_OPAQUE: Final = re.compile(
    rb'"(?:signature|encrypted_content|data)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"|"type"\s*:\s*"(content_block_stop)"'
)
_TELLING: Final = (b'"signature"', b'"encrypted_content"', b'"redacted_thinking"', b'"reasoning.encrypted"')
_DELTA: Final = b"signature_delta"
_UNREADABLE: Final = re.compile(
    r"encrypted.content|signature.{0,40}thinking|thinking.{0,40}signature", re.IGNORECASE | re.DOTALL
)


class Origins:
    """Remembers which target made what. `now` is the steady clock in seconds."""

    def __init__(self, now: Callable[[], float], *, most: int = MOST, seconds: float = SECONDS) -> None:
        self._now = now
        self._most = most
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def note(self, key: bytes, target: str) -> None:
        """A target made this."""
        known = self._known
        known[key] = (target, self._now() + self._seconds)
        known.move_to_end(key)
        if len(known) > self._most:
            known.popitem(last=False)

    def find(self, key: bytes) -> str | None:
        """Give the target ("provider/model") that made it; None where that is not known (any more)."""
        found = self._known.get(key)
        if found is None:
            return None
        target, until = found
        if self._now() >= until:
            del self._known[key]
            return None
        return target


class Affinity:
    """Orders the seats of one pool for a call that holds reasoning."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def lead(self, call: Call, seats: Sequence[Seat]) -> tuple[Seat | None, str]:
        """Give the seat that goes first because it made what the call holds last, and what is to be said; (None, "") for none."""
        if not may_hold(call):
            return None, ""
        made = [target for key in opaque_keys(call) if (target := self._origins.find(key)) is not None]
        if not made:
            return None, ""
        latest = made[-1]
        provider = latest.partition("/")[0]
        kin = [seat for seat in seats if seat.target.provider == provider]
        if kin:
            first = next((seat for seat in kin if seat.name == latest), kin[0])
            return first, f"the call holds reasoning that {latest} made"
        return seats[0] if seats else None, f"reasoning that {latest} made is left out, because that is not asked now"


class Affine:
    """A Responder around one target: leaves out what it cannot read, and learns what it makes."""

    def __init__(self, inner: Responder, target: Target, origins: Origins) -> None:
        self._inner = inner
        self._target = target
        self._origins = origins

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder."""
        holds = may_hold(call)
        if not holds and not asks_for(call):
            return self._inner(call, send)
        learning = Learning(send, self._learn, streams=call.stream)
        return self._stripped(call, learning) if holds else self._inner(call, learning)

    async def _stripped(self, call: Call, learning: Learning) -> None:
        mine, learning.dropped = without(call, self._foreign)
        unknown = [key for key in opaque_keys(mine) if self._origins.find(key) is None]
        try:
            await self._inner(mine, learning)
        except UpstreamRefused as error:
            if learning.begun or not unknown or not _cannot_read(error):
                raise
            # Nobody here remembers who made it (another replica, or before a restart): this one did not.
            mine, more = without(mine, lambda key: True)
            learning.dropped = (*learning.dropped, *more)
            await self._inner(mine, learning)
            return
        for key in unknown:
            self._origins.note(key, self._target.name)

    def _foreign(self, key: bytes) -> bool:
        origin = self._origins.find(key)
        return origin is not None and origin.partition("/")[0] != self._target.provider

    def _learn(self, opaque: str) -> None:
        key = key_of(opaque)
        if key is not None:
            self._origins.note(key, self._target.name)


class Learning:
    """A Send that looks for opaque reasoning in what passes. `dropped` names what was left out of the call."""

    def __init__(self, send: Send, learn: Callable[[str], None], *, streams: bool) -> None:
        self._send = send
        self._learn = learn
        self._streams = streams
        self._signature = b""
        self.dropped: tuple[str, ...] = ()
        self.begun = False

    def __call__(self, event: Event) -> Awaitable[None]:
        """Look at it, and pass it on."""
        if isinstance(event, Verbatim):
            self.begun = True
            self._look(event.data)
        elif isinstance(event, Started):
            if self.dropped:
                event = msgspec.structs.replace(event, dropped=(*event.dropped, *self.dropped))
        elif isinstance(event, ItemFinished) and isinstance(event.item, Reasoning):
            for opaque in (event.item.signature, event.item.encrypted):
                if opaque:
                    self._learn(opaque)
        return self._send(event)

    def lane(self) -> Lane | None:
        """The short way, with a look at each piece."""
        return lane_with(self._send, self._look)

    def _look(self, data: bytes) -> None:
        if self._signature or any(mark in data for mark in _TELLING):
            for opaque in self._opaque(data):
                self._learn(opaque)

    def _opaque(self, data: bytes) -> Iterable[str]:
        """Yield what is opaque in whole events, or in a document. A signature may come in several deltas of one block."""
        pieces = self._streams and (self._signature or _DELTA in data)
        for found in _OPAQUE.finditer(data):
            if found[2]:
                if self._signature:
                    yield _text(self._signature)
                    self._signature = b""
            elif pieces and found[0].startswith(b'"signature"'):
                self._signature += found[1]
            elif len(found[1]) >= SHORTEST:
                yield _text(found[1])


def affine(inner: Responder, target: Target, origins: Origins | None) -> Responder:
    """Put affinity around a target where it is wanted."""
    return inner if origins is None else Affine(inner, target, origins)


def _text(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted.decode("utf-8", "replace")
    try:
        return msgspec.json.decode(b'"%b"' % quoted, type=str)
    except msgspec.DecodeError:
        return ""


def _cannot_read(error: UpstreamRefused) -> bool:
    return error.upstream_status == 400 and bool(_UNREADABLE.search(f"{error.code} {error.message}"))
