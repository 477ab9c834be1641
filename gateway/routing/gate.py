"""A gate: how many calls a target has at once, and who of those that wait gets the place that becomes free. Pure.

A place that becomes free while somebody waits for it is promised to one of them at once, so that nobody who comes later takes it.
Higher priorities go first, by weighted fair queueing (Demers, Keshav and Shenker 1989): while all wait, each gets eight times as
many places as the next lower one, so that none is starved. Within a priority the callers take turns, each with its calls in the
order in which they came.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from gateway.config.overload_settings import Priority
from gateway.core.call import Call
from gateway.core.errors import Overloaded, SwitchgearError
from gateway.core.responder import Responder, Send

WEIGHTS: Final[dict[Priority, int]] = {"high": 64, "normal": 8, "low": 1}
"""Of the places that become free, how many each priority gets while calls of all of them wait; the highest first."""


class Waiter:
    """A call that waits for a place at one of several gates. `told` is called when there is news for it.

    `promise` is the gate that keeps a place for it, `refusal` why it need not wait any longer, `stood` whether it was let into its line.
    """

    __slots__ = ("_gates", "_told", "call", "caller", "left_line", "priority", "promise", "refusal", "stood")

    def __init__(self, call: str, caller: str, priority: Priority, told: Callable[[], None]) -> None:
        self.call = call
        self.caller = caller
        self.priority: Priority = priority
        self.promise: Gate | None = None
        self.refusal: SwitchgearError | None = None
        self.stood = False
        self.left_line: Callable[[Waiter], None] = lambda waiter: None
        self._told = told
        self._gates: tuple[Gate, ...] = ()

    def wait_for(self, gates: Iterable[Gate]) -> None:
        """Wait for these gates from now on, and for no others; where it waits already, it keeps its turn."""
        wanted = tuple(gates)
        for gate in self._gates:
            if gate not in wanted:
                gate.part(self)
        for gate in wanted:
            if gate not in self._gates:
                gate.join(self)
        self._gates = wanted

    def take(self, gate: Gate) -> None:
        """A gate promises it a place."""
        gates, self._gates = self._gates, ()
        for one in gates:
            one.part(self, served=True)
        self.promise = gate
        self.left_line(self)
        self._told()

    def refuse(self, error: SwitchgearError) -> None:
        """It need not wait any longer."""
        self.refusal = error
        self.wait_for(())
        self.left_line(self)
        self._told()

    def renounce(self) -> None:
        """Give back the place that is kept for it, if it was not taken."""
        gate, self.promise = self.promise, None
        if gate is not None:
            gate.withdraw(self)

    def close(self) -> None:
        """It does not wait any more, and wants no place."""
        self.wait_for(())
        self.left_line(self)
        self.renounce()


class Turns:
    """Callers who take turns, the one whose turn is next first."""

    __slots__ = ("_callers",)

    def __init__(self) -> None:
        self._callers: OrderedDict[str, dict[Waiter, None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    def add(self, waiter: Waiter) -> None:
        """It waits; a caller who had none waiting comes last."""
        self._callers.setdefault(waiter.caller, {})[waiter] = None

    def remove(self, waiter: Waiter, *, served: bool = False) -> None:
        """It waits no more. When it was `served`, it is the others' turn."""
        calls = self._callers.get(waiter.caller)
        if calls is None or waiter not in calls:
            return
        del calls[waiter]
        if not calls:
            del self._callers[waiter.caller]
        elif served:
            self._callers.move_to_end(waiter.caller)

    def first(self) -> Waiter:
        """Give whose turn it is."""
        return next(iter(next(iter(self._callers.values()))))

    def count(self, caller: str) -> int:
        """Give how many calls of a caller wait."""
        return len(self._callers.get(caller, ()))

    def largest(self) -> tuple[str, int]:
        """Give the caller who has most waiting, and how many."""
        return max(((caller, len(calls)) for caller, calls in self._callers.items()), key=_second)

    def newest(self, caller: str) -> Waiter:
        """Give the call of this caller that came last."""
        return next(reversed(self._callers[caller]))


class Gate:
    """The places of one target. `taken` are those that calls have, and those that are promised; `limit` is inf where there is none."""

    __slots__ = ("_clock", "_promised", "_starts", "_turns", "limit", "taken")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.taken = 0
        self._promised: dict[str, list[Waiter]] = {}
        self._turns: dict[Priority, Turns] = {priority: Turns() for priority in WEIGHTS}
        # Virtual time: each place advances its priority's start by one over its weight.
        self._starts: dict[Priority, float] = dict.fromkeys(WEIGHTS, 0.0)
        self._clock = 0.0

    @property
    def free(self) -> float:
        """How many places are free."""
        return max(self.limit - self.taken, 0)

    def has_room(self, call: str) -> bool:
        """Whether this call could come in now."""
        return self.taken < self.limit or call in self._promised

    def enter(self, call: str) -> bool:
        """Take the place that was promised to a call, or a free one; False when there is none."""
        if self._promised:
            waiters = self._promised.get(call)
            if waiters is not None:
                waiters[-1].promise = None
                self._forget(waiters[-1])
                return True
        if self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """A call that came in is over."""
        self.taken -= 1
        self._pass_on()

    def resize(self, limit: float) -> None:
        """From now on there are so many places. Where there are fewer, calls that have one keep it."""
        self.limit = limit
        self._pass_on()

    def join(self, waiter: Waiter) -> None:
        """A call waits for a place; there must be none free."""
        turns, priority = self._turns[waiter.priority], waiter.priority
        if not turns:
            # Who did not wait has saved nothing up.
            self._starts[priority] = max(self._starts[priority], self._clock)
        turns.add(waiter)

    def part(self, waiter: Waiter, *, served: bool = False) -> None:
        """It waits here no more."""
        self._turns[waiter.priority].remove(waiter, served=served)

    def withdraw(self, waiter: Waiter) -> None:
        """The place that was promised to it is not wanted."""
        self._forget(waiter)
        self.leave()

    def _forget(self, waiter: Waiter) -> None:
        waiters = self._promised[waiter.call]
        waiters.remove(waiter)
        if not waiters:
            del self._promised[waiter.call]

    def _pass_on(self) -> None:
        while self.taken < self.limit and (waiter := self._next()) is not None:
            self.taken += 1
            self._promised.setdefault(waiter.call, []).append(waiter)
            waiter.take(self)

    def _next(self) -> Waiter | None:
        chosen: Priority | None = None
        soonest = inf
        for priority, turns in self._turns.items():
            if turns and (ends := self._starts[priority] + 1 / WEIGHTS[priority]) < soonest:
                chosen, soonest = priority, ends
        if chosen is None:
            return None
        self._clock, self._starts[chosen] = self._starts[chosen], soonest
        return self._turns[chosen].first()


class Gated:
    """A Responder whose calls go through a gate; raises Overloaded where there is no place."""

    def __init__(self, inner: Responder, gate: Gate, target: str) -> None:
        self._inner = inner
        self._gate = gate
        self._target = target

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder, and give the place back whatever happens."""
        gate = self._gate
        if not gate.enter(call.id):
            msg = f"{self._target} has as many calls as it may have at once."
            raise Overloaded(msg)
        try:
            await self._inner(call, send)
        finally:
            gate.leave()


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
