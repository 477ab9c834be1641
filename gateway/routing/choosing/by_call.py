"""Strategies that go by the call itself: by rules that an operator wrote, and by how hard it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import structlog

from gateway.config.choosing_settings import RuleSettings
from gateway.config.rule_names import RULE_NAMES
from gateway.core.call import Call
from gateway.core.expression import Run, read_condition
from gateway.routing.choosing.call_facts import Facts, Surroundings
from gateway.routing.choosing.chooser import Ranked
from gateway.routing.choosing.complexity import complexity_of
from gateway.routing.seat import Seat

log = structlog.get_logger()

_LONGEST_SHOWN: Final = 80
_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What looking at a call may raise, however odd its body is."""


Reason = Callable[[Call, Sequence[Seat]], tuple[Sequence[Seat], Sequence[float] | None, str]]
"""Gives the seats to ask, in order, their figures, and why so."""


@runtime_checkable
class Reasoned(Protocol):
    """A Chooser that says why, and may leave out seats."""

    def reason(self, call: Call, seats: Sequence[Seat]) -> tuple[Sequence[Seat], Sequence[float] | None, str]:
        """Give the seats to ask, in order, their figures, and why so."""
        ...


class Rule:
    """One rule, ready to be asked. `faults` counts the calls that its condition could not be worked out for."""

    __slots__ = ("_holds", "faults", "name", "only", "ranks", "why")

    def __init__(self, number: int, written: RuleSettings, labels: Mapping[str, str]) -> None:
        self._holds: Run | None = read_condition(written.when, RULE_NAMES) if written.when.strip() else None
        self.only = written.only
        self.name = f"rule {number}"
        self.ranks = {labels.get(label, label): rank for rank, label in enumerate(written.use)}
        shown = " ".join(written.when.split()) or "every call"
        self.why = f"{self.name}: {shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 1] + '…'}"
        self.faults = 0

    def holds(self, facts: Facts) -> bool:
        """Whether it holds for a call. One that cannot be worked out does not, and is told of once."""
        if self._holds is None:
            return True
        try:
            return bool(self._holds(facts))
        except _FAULTS as error:
            self.faults += 1
            if self.faults == 1:
                log.warning("rule.failed", rule=self.why, error=type(error).__name__)
            return False


class ByRules:
    """`rules`: the first rule that holds for a call says which targets are asked, in its order; the others follow as written."""

    name = "rules"

    def __init__(self, rules: Sequence[RuleSettings], labels: Mapping[str, str], around: Surroundings) -> None:
        self._around = around
        self.rules = tuple(Rule(number, rule, labels) for number, rule in enumerate(rules, 1))

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats by the rule that holds."""
        del now, peek
        order, scores, _ = self.reason(call, seats)
        return order, scores

    def reason(self, call: Call, seats: Sequence[Seat]) -> tuple[Sequence[Seat], Sequence[float] | None, str]:
        """Give the seats by the rule that holds, and say which that is."""
        facts = Facts(call, self._around)
        for rule in self.rules:
            if rule.holds(facts):
                break
        else:
            return seats, None, "no rule holds"
        ranks = rule.ranks
        last = len(ranks)
        # Sorting keeps the order of what is alike.
        order = sorted(seats, key=lambda seat: ranks.get(seat.name, last))
        return [seat for seat in order if seat.name in ranks] if rule.only else order, None, rule.why


class ByComplexity:
    """`complexity`: the least of the targets that handle calls as hard as this one looks; then the greater ones, then the lesser."""

    name = "complexity"

    def __init__(self, handles: Mapping[str, float]) -> None:
        self._handles = dict(handles)

    def rank(self, call: Call, seats: Sequence[Seat], now: float, *, peek: bool) -> Ranked:
        """Give the seats by how hard the call looks."""
        del now, peek
        order, scores, _ = self.reason(call, seats)
        return order, scores

    def reason(self, call: Call, seats: Sequence[Seat]) -> tuple[Sequence[Seat], Sequence[float] | None, str]:
        """Give the seats by how hard the call looks, and what made it look so."""
        handles = self._handles
        try:
            found = complexity_of(call)
        except _FAULTS as error:
            log.warning("complexity.failed", call=call.id, error=type(error).__name__)
            return seats, None, "how hard it is cannot be told"
        hard = found.score
        scored = sorted([(_place(handles.get(seat.name, 1.0), hard), at, seat) for at, seat in enumerate(seats)])
        return [seat for *_, seat in scored], None, found.why


def _place(handles: float, hard: float) -> tuple[bool, float]:
    """Give a place in the order: those that suffice, the least first; then those that do not, the greatest first."""
    return (False, handles) if handles >= hard else (True, -handles)
