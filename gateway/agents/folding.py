"""What a run does next, as a pure function of what is written of it. Whoever holds its lease folds, acts, writes, and folds again."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from gateway.stores.tool_calls import ToolCall

OPEN = ("planned", "started")
"""Of calls that are to be made, or were begun."""


class Ask(msgspec.Struct, frozen=True):
    """The model is asked."""


class Do(msgspec.Struct, frozen=True):
    """These calls are made, in this order; reads that stand next to each other together."""

    calls: Sequence[ToolCall]


class Question(msgspec.Struct, frozen=True):
    """Nothing is left to be done without people: may these calls be made, or, where one was begun by a holder who is gone, made again?"""

    calls: Sequence[ToolCall]


class End(msgspec.Struct, frozen=True):
    """It is done."""


Action = Ask | Do | Question | End


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run. `steps` are the answers of its model so far; `calls` all that are written of it.

    `handed` says that the last answer has calls for the client to make. `begun` are calls that this process has begun itself.
    """

    steps: int = 0
    calls: Sequence[ToolCall] = ()
    handed: bool = False
    begun: AbstractSet[str] = frozenset()


def fold(state: State) -> Action:
    """Say what is next. A call that was begun by a holder who is gone is made again only where that does nothing twice."""
    current = sorted((call for call in state.calls if call.step == state.steps), key=lambda call: call.index)
    asking = [call for call in current if call.state == "awaiting_approval" or is_lost(call, state.begun)]
    todo = [call for call in current if call.state in OPEN and not is_lost(call, state.begun)]
    if todo:
        return Do(todo)
    if asking:
        return Question(asking)
    if state.handed or (state.steps and not current):
        return End()
    return Ask()


def is_lost(call: ToolCall, begun: AbstractSet[str]) -> bool:
    """Whether it was begun, its end is not known, and making it again could do it twice."""
    if call.effect != "once":
        return False
    return call.state == "unknown" or (call.state == "started" and call.id not in begun)
