"""A target's place in a model's pool: what answers for it there, and how it is doing."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.call import Call
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.routing.condition import Condition
from gateway.routing.fitness import Abilities

ALL = Abilities()


class Seat:
    """One target of one model. `weight` is its share beside the others'; 0 is only asked when the others fail.

    `loses` gives the parameters of a call that cannot be carried there.
    """

    __slots__ = ("abilities", "condition", "loses", "name", "responder", "target", "weight")

    def __init__(
        self,
        target: Target,
        responder: Responder,
        condition: Condition,
        weight: float = 1.0,
        abilities: Abilities = ALL,
        loses: Callable[[Call], tuple[str, ...]] | None = None,
    ) -> None:
        self.target = target
        self.name = target.name
        self.responder = responder
        self.condition = condition
        self.weight = weight
        self.abilities = abilities
        self.loses = loses
