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
from gateway.routing.affinity import Affinity, Origins, affine
from gateway.routing.choosing.by_call import ByComplexity, ByRules
from gateway.routing.choosing.by_key import ByPrefix, Sticky
from gateway.routing.choosing.by_state import ByScore, CostOf, LoadOf, by_cost, by_headroom, by_latency, by_load
from gateway.routing.choosing.call_facts import Surroundings
from gateway.routing.choosing.chooser import Chooser, InOrder, Weighted
from gateway.routing.choosing.stickiness import key_of
from gateway.routing.condition import Conditions
from gateway.routing.ensembles.opening import ensemble_told_of
from gateway.routing.fitness import Abilities
from gateway.routing.hedging.hedge import Hedge
from gateway.routing.overload.ladder import GiveOld, open_ladder
from gateway.routing.overload.line import Lines
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.routed import Routed
from gateway.routing.seat import Seat, Unwell
from gateway.routing.timing import Timing


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked beside the conditions: what a call costs at a target, a target's load, its abilities, and a call's tokens.

    `unwell` has those targets, by name, whose providers watch them.
    `tokens_of` counts what goes in and may come out, `input_tokens` what goes in; `wall` is the wall clock.
    `origins` are there where reasoning has to go back to the target that made it, `losses` give what of a call cannot be carried
    to a target.
    """

    cost_of: CostOf = lambda call, seat: None
    load_of: LoadOf = lambda seat: None
    tokens_of: Callable[[Call], int] = lambda call: 0
    abilities: Mapping[str, Abilities] = {}
    unwell: Mapping[str, Unwell] = {}
    input_tokens: Callable[[Call], int] = lambda call: 0
    wall: Callable[[], float] = time.time
    origins: Origins | None = None
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
    limits = plan.concurrency or (None,) * len(answering)
    seats = [
        Seat(
            target,
            affine(responder, target, known.origins),
            conditions.of(target.name, plan.breaker),
            weight,
            known.abilities.get(target.name, Abilities()),
            unwell=known.unwell.get(target.name),
            gate=conditions.gate_of(target.name, limit),
            loses=known.losses.get(target.name),
        )
        for (target, responder), weight, limit in zip(answering, weights, limits, strict=True)
    ]
    told_of = ensemble_told_of(plan, len(seats))
    # A cascade goes from small to large, whoever made what a call holds; the others leave out what they cannot read.
    leading = known.origins is not None and len(seats) > 1 and plan.strategy != "cascade"
    affinity = Affinity(known.origins) if known.origins is not None and leading else None
    pool = Pool(model, seats, _CHOOSERS[plan.strategy](plan, known), plan.breaker, known.tokens_of, told_of, affinity)
    if plan.hedge is not None and plan.hedge.share and len(seats) > 1:
        pool.hedge = Hedge(plan.hedge)
        for seat in seats:
            seat.condition.watch_first_times()
    return pool


def open_routed(
    pool: Pool,
    plan: RoutingPlan,
    timing: Timing,
    pools: Mapping[str, AnyPool],
    lines: Lines | None = None,
    give_old: GiveOld | None = None,
) -> Routed:
    """Give what asks a pool, and the pools of the models that help out.

    `lines` are those that calls wait in, `give_old` answers from the cache where the model cannot.
    """
    helping = {
        "general": [pools[name] for name in plan.fallbacks.general],
        "context": [pools[name] for name in plan.fallbacks.context],
        "content": [pools[name] for name in plan.fallbacks.content],
    }
    ladder = open_ladder(pool, plan, timing, pools, Lines() if lines is None else lines, give_old)
    return Routed(pool, timing, plan.retry, plan.deadline, helping, ladder)


def helpers_of(plan: RoutingPlan) -> tuple[str, ...]:
    """Give the models that may help out, each once."""
    fallbacks = plan.fallbacks
    smaller = [step.model for step in plan.degrade or () if step.model is not None]
    return tuple(dict.fromkeys((*fallbacks.general, *fallbacks.context, *fallbacks.content, *smaller)))


def _rules(plan: RoutingPlan, known: Known) -> Chooser:
    around = Surroundings(input_tokens=known.input_tokens, wall=known.wall, zone=ZoneInfo(plan.time_zone))
    return ByRules(plan.rules, plan.labels, around)


_CHOOSERS: dict[Strategy, Callable[[RoutingPlan, Known], Chooser]] = {
    "cascade": lambda plan, known: InOrder("cascade"),
    "cheapest": lambda plan, known: ByScore("cheapest", by_cost(known.cost_of)),
    "fallback": lambda plan, known: InOrder(),
    "headroom": lambda plan, known: ByScore("headroom", by_headroom),
    "latency": lambda plan, known: ByScore("latency", by_latency),
    "least_busy": lambda plan, known: ByScore("least_busy", by_load(known.load_of)),
    "prefix": lambda plan, known: ByPrefix(),
    "sticky": lambda plan, known: Sticky(partial(key_of, by=plan.sticky.by)),
    "vote": lambda plan, known: InOrder("vote"),
    "weighted": lambda plan, known: Weighted(),
    "rules": _rules,
    "complexity": lambda plan, known: ByComplexity(plan.handles),
}
