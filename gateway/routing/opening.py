"""Makes a model's pool and what asks it, from its plan. The strategies by name are here, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from zoneinfo import ZoneInfo

import msgspec

from gateway.config.routing_settings import Strategy
from gateway.core.call import Call
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.routing.call_facts import Surroundings
from gateway.routing.choosing import Chooser, InOrder, Weighted
from gateway.routing.choosing_by_call import ByComplexity, ByRules
from gateway.routing.choosing_by_key import ByPrefix, Sticky
from gateway.routing.choosing_by_state import ByScore, CostOf, LoadOf, by_cost, by_headroom, by_latency, by_load
from gateway.routing.condition import Conditions
from gateway.routing.fitness import Abilities
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import Pool
from gateway.routing.routed import Routed, Timing
from gateway.routing.seat import Seat
from gateway.routing.stickiness import key_of


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked beside the conditions: what a call costs at a target, a target's load, its abilities, and a call's tokens.

    `tokens_of` counts what goes in and may come out, `input_tokens` what goes in; `wall` is the wall clock. `losses` give what
    of a call cannot be carried to a target.
    """

    cost_of: CostOf = lambda call, seat: None
    load_of: LoadOf = lambda seat: None
    tokens_of: Callable[[Call], int] = lambda call: 0
    abilities: Mapping[str, Abilities] = {}
    input_tokens: Callable[[Call], int] = lambda call: 0
    wall: Callable[[], float] = time.time
    losses: Mapping[str, Callable[[Call], tuple[str, ...]]] = {}


def open_pool(
    model: str,
    answering: Sequence[tuple[Target, Responder]],
    plan: RoutingPlan,
    conditions: Conditions,
    known: Known = Known(),  # noqa: B008 it is frozen
) -> Pool:
    """Give the pool of a model whose targets are answered for so."""
    weights = plan.weights or (1.0,) * len(answering)
    seats = [
        Seat(
            target,
            responder,
            conditions.of(target.name, plan.breaker),
            weight,
            known.abilities.get(target.name, Abilities()),
            known.losses.get(target.name),
        )
        for (target, responder), weight in zip(answering, weights, strict=True)
    ]
    return Pool(model, seats, _CHOOSERS[plan.strategy](plan, known), plan.breaker, known.tokens_of)


def open_routed(pool: Pool, plan: RoutingPlan, timing: Timing, pools: Mapping[str, Pool]) -> Routed:
    """Give what asks a pool, and the pools of the models that help out."""
    helping = {
        "general": [pools[name] for name in plan.fallbacks.general],
        "context": [pools[name] for name in plan.fallbacks.context],
        "content": [pools[name] for name in plan.fallbacks.content],
    }
    return Routed(pool, timing, plan.retry, plan.deadline, helping)


def helpers_of(plan: RoutingPlan) -> tuple[str, ...]:
    """Give the models that may help out, each once."""
    fallbacks = plan.fallbacks
    return tuple(dict.fromkeys((*fallbacks.general, *fallbacks.context, *fallbacks.content)))


def _rules(plan: RoutingPlan, known: Known) -> Chooser:
    around = Surroundings(input_tokens=known.input_tokens, wall=known.wall, zone=ZoneInfo(plan.time_zone))
    return ByRules(plan.rules, plan.labels, around)


_CHOOSERS: dict[Strategy, Callable[[RoutingPlan, Known], Chooser]] = {
    "cheapest": lambda plan, known: ByScore("cheapest", by_cost(known.cost_of)),
    "fallback": lambda plan, known: InOrder(),
    "headroom": lambda plan, known: ByScore("headroom", by_headroom),
    "latency": lambda plan, known: ByScore("latency", by_latency),
    "least_busy": lambda plan, known: ByScore("least_busy", by_load(known.load_of)),
    "prefix": lambda plan, known: ByPrefix(),
    "sticky": lambda plan, known: Sticky(partial(key_of, by=plan.sticky.by)),
    "weighted": lambda plan, known: Weighted(),
    "rules": _rules,
    "complexity": lambda plan, known: ByComplexity(plan.handles),
}
