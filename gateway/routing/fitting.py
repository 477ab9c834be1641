"""Which of a model's targets are fit for a call: those that have all it needs, before those for which something is left out or done here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.core.call import Call
from gateway.core.target import EMULATED, FORMS, SAID_OTHERWISE
from gateway.routing.fitness import Needs, needs_of
from gateway.routing.seat import Seat

NOBODY: Final[Mapping[Seat, str]] = MappingProxyType({})
ALL_FIT: Final = (NOBODY, NOBODY)
_NONE: Final[Needs] = (frozenset(), 0)

Fitting = tuple[Mapping[Seat, str], Mapping[Seat, str]]
"""Seats that lack something, and seats for which something is left out or emulated, each with what."""


def fitting(seats: Sequence[Seat], call: Call, tokens_of: Callable[[Call], int]) -> Fitting:
    """Give who is unfit and who only serves in part. Nobody is unfit where all are: the targets say it best themselves."""
    needs = needs_of(call, tokens_of) if any(seat.abilities.limited for seat in seats) else _NONE
    unfit: dict[Seat, str] = {}
    lesser: dict[Seat, str] = {}
    for seat in seats:
        _judge(seat, call, needs, unfit, lesser)
    return ALL_FIT if len(unfit) == len(seats) else (unfit, lesser)


def _judge(seat: Seat, call: Call, needs: Needs, unfit: dict[Seat, str], lesser: dict[Seat, str]) -> None:
    target, abilities = seat.target, seat.abilities
    lost = dict.fromkeys(seat.loses(call)) if seat.loses is not None else {}
    if (target.emulate or target.shapes) and "json_schema" in needs[0] & abilities.lacks:
        lost["json_schema"] = None
        needs = (needs[0] - {"json_schema"}, needs[1])
    if why := abilities.unfit(needs):
        unfit[seat] = why
    elif not lost:
        return
    elif target.drop:
        lesser[seat] = _in_part(tuple(lost))
    elif (target.emulate and lost.keys() <= EMULATED) or (target.shapes and lost.keys() <= FORMS):
        lesser[seat] = f"emulates {', '.join(lost)}"
    else:
        unfit[seat] = f"it does not take {', '.join(lost)}"


def _in_part(lost: Sequence[str]) -> str:
    """Say what is left out, and what is said in another way."""
    out = ", ".join(name for name in lost if name not in SAID_OTHERWISE)
    otherwise = ", ".join(name for name in lost if name in SAID_OTHERWISE)
    return " and ".join([*([f"leaves out {out}"] if out else []), *([f"emulates {otherwise}"] if otherwise else [])])


def lesser_last(
    order: Sequence[Seat], scores: Sequence[float] | None, lesser: Mapping[Seat, str]
) -> tuple[Sequence[Seat], Sequence[float] | None]:
    """Put those for which something is left out or done here after the others."""
    places = sorted(range(len(order)), key=lambda place: order[place] in lesser)
    return [order[place] for place in places], None if scores is None else [scores[place] for place in places]
