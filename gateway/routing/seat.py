"""A target's place in a model's pool: what answers for it there, and how it is doing."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.call import Call
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.routing.condition import Condition
from gateway.routing.fitness import Abilities
from gateway.routing.gate import Gate, Gated

ALL = Abilities()
Unwell = Callable[[], str]
"""Says what a provider knows against a target of its own."""


class Seat:
    """One target of one model. `weight` is its share beside the others'; 0 is only asked when the others fail.

    `unwell` says what its provider knows against it, nothing where it is well; None where nobody watches.
    `gate` bounds the calls that it has at once; None where there is no bound. `loses` gives the parameters of a call that cannot be
    carried there.
    """

    __slots__ = ("abilities", "condition", "gate", "loses", "name", "responder", "target", "unwell", "weight")

    def __init__(
        self,
        target: Target,
        responder: Responder,
        condition: Condition,
        weight: float = 1.0,
        abilities: Abilities = ALL,
        *,
        unwell: Unwell | None = None,
        gate: Gate | None = None,
        loses: Callable[[Call], tuple[str, ...]] | None = None,
    ) -> None:
        self.target = target
        self.name = target.name
        self.gate = gate
        self.responder = responder if gate is None else Gated(responder, gate, target.name)
        self.condition = condition
        self.weight = weight
        self.abilities = abilities
        self.unwell = unwell
        self.loses = loses

    def has_room(self, call: str) -> bool:
        """Whether this call (its id) would find a place."""
        return self.gate is None or self.gate.has_room(call)
