"""Strategies that keep to a target what belongs together: a session, or prompts that begin alike."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.core.call import Call
from gateway.routing.choosing.chooser import Ranked, Weighted
from gateway.routing.seat import Seat

PREFIX_BYTES: Final = 2048
"""Bytes of a prompt's beginning that tell it from others: system, tools and first message, or what there is of them."""
LOAD_CAP: Final = 1.25
"""How much more than its fair share of the calls in flight a target may have before prompts go to the next."""

_FIRST = ("system", "instructions", "tools")
_TURNS = ("messages", "input", "prompt")


class Sticky:
    """`sticky`: what has the same key goes to the same target for as long as it is well; each gets its weight's share of keys.

    Weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005): when a target goes, only its own
    keys move. What has no key goes by weight.
    """

    name = "sticky"

    def __init__(self, key_of: Callable[[Call], str | None]) -> None:
        self._key_of = key_of
        self._by_weight = Weighted()

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats by the key's liking for them."""
        key = self._key_of(call)
        if key is None:
            return self._by_weight.rank(call, seats, now, peek=peek)
        ranked = sorted([(_distance(key, seat), seat.name, seat) for seat in seats])
        return [seat for _, _, seat in ranked], [distance for distance, _, _ in ranked]


class ByPrefix:
    """`prefix`: prompts that begin alike go to the replica that has their beginning in its cache, unless that is too busy.

    Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018), over the prompt's first bytes.
    """

    name = "prefix"

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats by the prefix's liking for them, those that are too busy after all others."""
        del now, peek
        key = prefix_of(call)
        weights = sum(seat.weight for seat in seats) or 1.0
        flying = sum(seat.condition.in_flight for seat in seats) + 1
        ranked = sorted(
            [
                (
                    seat.condition.in_flight >= math.ceil(LOAD_CAP * flying * seat.weight / weights),
                    _distance(key, seat),
                    seat.name,
                    seat,
                )
                for seat in seats
            ]
        )
        return [seat for *_, seat in ranked], [distance for _, distance, _, _ in ranked]


def prefix_of(call: Call) -> str:
    """Give a name for how a prompt begins: the same for every turn of a conversation, and for prompts with the same long system text."""
    fields = call.fields
    parts = [fields[name] for name in _FIRST if name in fields]
    for name in _TURNS:
        turns = fields.get(name)
        if isinstance(turns, list):
            parts += turns[:2]
        elif turns is not None:
            parts.append(turns)
    beginning = b"".join([msgspec.json.encode(part)[:PREFIX_BYTES] for part in parts])[:PREFIX_BYTES]
    return hashlib.blake2b(beginning, digest_size=16).hexdigest()


def _distance(key: str, seat: Seat) -> float:
    """Give how far a key is from a target: exponentially distributed, with the weight as its rate."""
    if seat.weight <= 0:
        return math.inf
    digest = hashlib.blake2b(f"{key}\x1f{seat.name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -math.log((int.from_bytes(digest) + 1) / 2**64) / seat.weight
