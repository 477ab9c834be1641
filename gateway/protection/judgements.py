"""What was found about calls in flight, until their records take it: names, verdicts, times, counts; never what was said."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

Judgement = tuple[str, str, float, float | None]
"""(guardrail, verdict, seconds, cost in US dollars or None). Verdicts: allow, block, replace, report, failed."""

_MOST_CALLS = 100_000
_UNTOUCHED = ("allow", "report")


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a record says about protection: judgements in order, and (kind, how many) of what was found in the request."""

    guards: tuple[Judgement, ...] = ()
    found: tuple[tuple[str, int], ...] = ()


UNJUDGED = Judged()
"""Of a call that nobody looked into."""


class Judgements:
    """Notes by call id. Who makes the record takes them; the number of calls is bounded in case nobody does."""

    def __init__(self) -> None:
        self._guards: dict[str, list[Judgement]] = {}
        self._found: dict[str, dict[str, int]] = {}

    def judged(self, call_id: str, judgement: Judgement) -> None:
        """Note a guardrail's verdict."""
        if call_id in self._guards or len(self._guards) < _MOST_CALLS:
            self._guards.setdefault(call_id, []).append(judgement)

    def found(self, call_id: str, counts: Iterable[tuple[str, int]]) -> None:
        """Note what was found; of several tries of one call (fallback) the most of each kind."""
        if call_id not in self._found and len(self._found) >= _MOST_CALLS:
            return
        noted = self._found.setdefault(call_id, {})
        for kind, count in counts:
            noted[kind] = max(count, noted.get(kind, 0))

    def touched(self, call_id: str) -> bool:
        """Whether something of a call was found in it, changed or stopped, so far."""
        judged = self._guards.get(call_id, ())
        return bool(self._found.get(call_id)) or any(verdict not in _UNTOUCHED for _, verdict, _, _ in judged)

    def take(self, call_id: str) -> Judged:
        """Give what was noted for a call, and forget it."""
        guards = self._guards.pop(call_id, ())
        found = self._found.pop(call_id, None)
        return Judged(guards=tuple(guards), found=tuple(sorted(found.items())) if found else ())
