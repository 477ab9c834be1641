"""Builds what answers each configured model: the ordered list of stages, once per generation of the configuration.

The order, outermost first. Each stage is there only when the route uses it:
    Recorded      one record a call, settled whatever happens; opens the ledger's entry
    Authorized    may this caller use this model, and the tools that its provider runs?
    Limited       rates, concurrency and budgets: reserved here, settled with the record
    Guarded       guardrails that judge once, wherever the call goes
    Continuing    goes on with an answer that broke off
    Routed        which target is asked, and which next, until the commit point
    Guarded       guardrails of this target
    Redacted      what this target must not see is taken out, and put back into its answer
    Emulated      what this target lacks is left out, or done here
    provider      the exchange with one upstream
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import anyio
import msgspec

from gateway.accounting.limits.estimates import CountInput, Outputs, count_by_length, estimate
from gateway.config.ensemble_settings import JudgeSettings
from gateway.core.call import Call, opened
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.content import Operation
from gateway.core.record import Record
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.pipeline.authorized import Authorized
from gateway.pipeline.emulated import emulated, losses_of
from gateway.pipeline.limited import Limited, Limits
from gateway.pipeline.recorded import NANO, Cost, OpenEntry, Recorded, TakeJudged, TakeRecord
from gateway.pipeline.shadowed_copy import booked, on_the_books
from gateway.pipeline.shadowed_plan import Clean
from gateway.pipeline.shadowing import Shadowing
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Resource
from gateway.policies.facts import model as resource
from gateway.providers.provider import Health, Provider
from gateway.providers.watched import is_well, watched_by
from gateway.routing.affinity import Origins
from gateway.routing.choosing_by_state import CostOf, Load, LoadOf
from gateway.routing.condition import Conditions
from gateway.routing.continuing import Continuing
from gateway.routing.ensemble_opening import OpenJudge, is_ensemble, open_ensemble
from gateway.routing.fitness import Abilities
from gateway.routing.judging import Judge
from gateway.routing.line import Lines
from gateway.routing.opening import Known, helpers_of, open_pool, open_routed
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.seat import Seat
from gateway.routing.split import Assigner, Splits
from gateway.routing.timing import Spawn, Timing
from gateway.routing.versions import Division, Versioned, VersionedPool, of_version


class Guards(Protocol):
    """Data protection: what it puts around routes and targets. Where nothing applies it puts nothing."""

    def opens(self, model: str, targets: Sequence[Target]) -> bool:
        """Whether calls for this model have to be decoded, because somebody may look inside."""
        ...

    def around_route(self, inner: Responder, model: str) -> Responder:
        """Put around a route what does not depend on where a call goes."""
        ...

    def around_target(self, inner: Responder, model: str, target: Target) -> Responder:
        """Put around a target what depends on where a call goes."""
        ...

    def cleaner(self, models: Mapping[str, Sequence[Target]]) -> Clean | None:
        """Give what cleans answers of these models (by name, with their targets) that are to be kept; None where nothing applies."""
        ...


@runtime_checkable
class TellsLoad(Protocol):
    """A provider that knows how busy its server is."""

    def load(self) -> Load | None:
        """Give the last reading; None when there is none."""
        ...


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A configured model: what answers for it, and what the edge must know before it asks.

    `unasked` answers those who ask in the operator's name, as guardrails do: it asks nobody's leave, and counts for no limit.
    `beside` answers copies of callers' calls (shadows): it asks whether the caller may use the model, and counts for no limit.
    `pool` decides where calls go, `helped_by` are the pools of models that help out when its targets fail, by cause, and
    `helping` their providers. `cost` and `count_input` are what estimates are made with.
    """

    model: str
    description: str | None
    targets: tuple[Target, ...]
    providers: tuple[Provider, ...]
    responder: Responder
    unasked: Responder
    beside: Responder
    subject: Resource
    pool: Pool | VersionedPool
    helped_by: Mapping[str, Sequence[AnyPool]]
    cost: Cost
    count_input: CountInput
    helping: tuple[Provider, ...] = ()
    opened: bool = False
    relaying: dict[str, bool] = {}

    def relays(self, dialect: str) -> bool:
        """Whether calls of this dialect go out as they came at every target, so that they need not be decoded.

        Asked with every call, and always the same: it is remembered in `relaying`.
        """
        known = self.relaying.get(dialect)
        if known is None:
            reached = (*self.providers, *self.helping)
            relays = not self.opened and all(provider.relays(dialect) for provider in reached)
            known = self.relaying[dialect] = relays
        return known

    def serves(self, operation: Operation) -> bool:
        """Whether at least one target does this at all."""
        return any(provider.serves(operation) for provider in self.providers)

    def health(self) -> tuple[Health, ...]:
        """Give the state of each target's provider."""
        return tuple(
            provider.health(target.model) for target, provider in zip(self.targets, self.providers, strict=True)
        )


def healthy_targets(routes: Mapping[str, Route]) -> dict[str, bool]:
    """Give for every target by its name whether its provider says that it is well."""
    return {
        target.name: is_well(health)
        for route in routes.values()
        for target, health in zip(route.targets, route.health(), strict=True)
    }


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages need from outside. `open_entry` notes a call before it leaves; None where nothing keeps a ledger.

    `conditions` are those of all targets, `splits` between the versions of models, `lines` those in which calls wait: they outlive
    what is built here. `chance` gives numbers from 0 to 1. `spawn` starts what runs beside a call.
    """

    take_record: TakeRecord
    cost: Cost
    clock: Clock
    prices: str = ""
    open_entry: OpenEntry | None = None
    authorizer: Authorizer | None = None
    limits: Limits | None = None
    guards: Guards | None = None
    take_judged: TakeJudged | None = None
    shadowing: Shadowing | None = None
    conditions: Conditions = msgspec.field(default_factory=lambda: Conditions(random.random))
    splits: Splits = msgspec.field(default_factory=Splits)
    chance: Callable[[], float] = random.random
    lines: Lines = msgspec.field(default_factory=Lines)
    spawn: Spawn | None = None
    origins: Origins = msgspec.field(default_factory=lambda: Origins(SYSTEM_CLOCK.monotonic))


class Modelled(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built: a model's targets, how they are routed, what they are known to be able to, and what else is said of it.

    `count_input` counts the tokens of a prompt as the model does, or nearly. With `versions` the targets are those of all of them, and
    `division` says how calls are split between them.
    """

    targets: tuple[Target, ...]
    plan: RoutingPlan = RoutingPlan()
    abilities: Mapping[str, Abilities] = {}
    description: str | None = None
    count_input: CountInput = count_by_length
    versions: Mapping[str, Modelled] = {}
    division: Division | None = None

    @property
    def parts(self) -> Sequence[Modelled]:
        """Each of its versions; where it has none, it is its only one."""
        return tuple(self.versions.values()) or (self,)


def build_routes(
    models: Mapping[str, Modelled], providers: Mapping[str, Provider], surroundings: Surroundings
) -> dict[str, Route]:
    """Put the stages of all models together: some of them help others out."""
    mixed = _mixed(models)
    pools = {
        name: _pool(name, model, providers, surroundings, surroundings.origins if name in mixed else None)
        for name, model in models.items()
    }
    answers: dict[str, Responder] = {}
    return {name: _route(name, models, pools, providers, surroundings, answers) for name in models}


def _mixed(models: Mapping[str, Modelled]) -> set[str]:
    """Give the models whose calls may reach several providers: by their own targets, or because one helps the other out."""
    found: set[str] = set()
    for name, model in models.items():
        reached = (name, *helpers_of(model.plan))
        if len({target.provider for one in reached for target in models[one].targets}) > 1:
            found.update(reached)
    return found


def _pool(
    model: str,
    wanted: Modelled,
    providers: Mapping[str, Provider],
    surroundings: Surroundings,
    origins: Origins | None,
) -> Pool | VersionedPool:
    division = wanted.division
    if division is None:
        return _pool_of_targets(model, wanted, providers, surroundings, origins)
    pools = {
        version: of_version(_pool_of_targets(model, one, providers, surroundings, origins), version)
        for version, one in wanted.versions.items()
    }
    assigner = Assigner(surroundings.splits.of(model), division.by, surroundings.chance)
    return VersionedPool(model, pools, assigner, division.otherwise)


def _pool_of_targets(
    model: str,
    wanted: Modelled,
    providers: Mapping[str, Provider],
    surroundings: Surroundings,
    origins: Origins | None,
) -> Pool:
    guards = surroundings.guards
    answering = [
        (target, emulated(providers[target.provider].responder(target), target, providers[target.provider]))
        for target in wanted.targets
    ]
    if guards is not None:
        answering = [(target, guards.around_target(responder, model, target)) for target, responder in answering]
    outputs = Outputs()

    def tokens_of(call: Call) -> int:
        put_in, come_out, bounded = estimate(call, wanted.count_input, outputs)
        return put_in + come_out if bounded else put_in

    known = Known(
        cost_of=_cost_of(wanted, surroundings),
        load_of=_load_of(providers),
        tokens_of=tokens_of,
        abilities=wanted.abilities,
        unwell=watched_by(providers, wanted.targets),
        input_tokens=wanted.count_input,
        wall=surroundings.clock.wall,
        origins=origins,
        losses=_losses(wanted.targets, providers),
    )
    return open_pool(model, answering, wanted.plan, surroundings.conditions, known)


def _cost_of(wanted: Modelled, surroundings: Surroundings) -> CostOf:
    """Give what estimates a call at a target: its input as the model counts it, its output by its bound."""
    outputs = Outputs()

    def cost(call: Call, seat: Seat) -> float | None:
        put_in, come_out, _ = estimate(call, wanted.count_input, outputs)
        nano = surroundings.cost(seat.name, Usage(input=put_in, output=come_out))
        return None if nano is None else nano / NANO

    return cost


def _losses(
    targets: Sequence[Target], providers: Mapping[str, Provider]
) -> dict[str, Callable[[Call], tuple[str, ...]]]:
    """Give what tells what of a call is lost on its way to a target. Where all go to one provider, all lose the same."""
    if len({target.provider for target in targets}) < 2 and not any(target.without for target in targets):
        return {}
    return {target.name: losses_of(target, providers[target.provider]) for target in targets}


def _load_of(providers: Mapping[str, Provider]) -> LoadOf:
    telling = {name: one.load for name, one in providers.items() if isinstance(one, TellsLoad)}

    def load(seat: Seat) -> Load | None:
        tell = telling.get(seat.target.provider)
        return None if tell is None else tell()

    return load


def _route(
    model: str,
    models: Mapping[str, Modelled],
    pools: Mapping[str, Pool | VersionedPool],
    providers: Mapping[str, Provider],
    surroundings: Surroundings,
    answers: dict[str, Responder],
) -> Route:
    wanted, guards = models[model], surroundings.guards
    targets, helpers = wanted.targets, helpers_of(wanted.plan)
    guarded = guards is not None and any(guards.opens(name, models[name].targets) for name in (model, *helpers))
    ensemble = any(is_ensemble(one.plan, len(one.targets)) for one in wanted.parts)
    continues = any(one.plan.continuation is not None for one in wanted.parts)
    # What a target does not take can only be seen, left out or emulated in a call that was decoded.
    lacking = any(target.without for name in (model, *helpers) for target in models[name].targets)
    clock = surroundings.clock
    timing = Timing(
        now=clock.monotonic, sleep=anyio.sleep, chance=surroundings.chance, wall=clock.wall, spawn=surroundings.spawn
    )
    open_judge = _open_judge(models, answers, surroundings)
    answer, helped_by = _answering(pools, wanted, timing, surroundings.lines, open_judge, model)
    answers[model] = answer
    responder = answer if guards is None else guards.around_route(answer, model)
    beside: Responder = _recorded(
        responder, targets, _booked(surroundings), surroundings.take_judged if guarded else None
    )
    if surroundings.limits is not None:
        responder = Limited(responder, surroundings.limits, wanted.count_input)
    subject = resource(model, tuple(dict.fromkeys(target.provider for target in targets)))
    if surroundings.authorizer is not None:
        responder = Authorized(responder, authorizer=surroundings.authorizer, subject=subject)
        beside = Authorized(beside, authorizer=surroundings.authorizer, subject=subject)
    return Route(
        model=model,
        description=wanted.description,
        targets=targets,
        providers=tuple(providers[target.provider] for target in targets),
        pool=pools[model],
        helped_by=helped_by,
        cost=surroundings.cost,
        count_input=wanted.count_input,
        helping=tuple(providers[target.provider] for name in helpers for target in models[name].targets),
        responder=_recorded(responder, targets, surroundings, surroundings.take_judged if guarded else None),
        unasked=_recorded(answer, targets, surroundings, surroundings.take_judged if guarded else None),
        beside=beside,
        subject=subject,
        opened=guarded or ensemble or continues or lacking,
    )


def _answering(
    pools: Mapping[str, Pool | VersionedPool],
    wanted: Modelled,
    timing: Timing,
    lines: Lines,
    open_judge: OpenJudge,
    model: str,
) -> tuple[Responder, Mapping[str, Sequence[AnyPool]]]:
    """Give what asks a model's targets, and the pools of the models that help out."""

    def asking(pool: Pool, plan: RoutingPlan) -> tuple[Responder, Mapping[str, Sequence[AnyPool]]]:
        routed = open_routed(pool, plan, timing, pools, lines)
        answer = open_ensemble(routed, plan, timing, open_judge)
        if answer is routed and plan.continuation is not None and _can_go_on(pool):
            answer = Continuing(routed, plan.continuation.times, plan.deadline, opened)
        return answer, routed.helping

    pool = pools[model]
    if isinstance(pool, Pool):
        return asking(pool, wanted.plan)
    answering = {name: asking(one, wanted.versions[name].plan) for name, one in pool.pools.items()}
    return Versioned(pool, {name: answer for name, (answer, _) in answering.items()}), next(iter(answering.values()))[1]


def _can_go_on(pool: Pool) -> bool:
    """Whether a target can go on with a text that another began."""
    return any(seat.abilities.prefill is not None for seat in pool.seats)


def _open_judge(
    models: Mapping[str, Modelled], answers: Mapping[str, Responder], surroundings: Surroundings
) -> OpenJudge:
    """Give what opens judges. They are asked in the operator's name, as part of the call that they judge: it has the only record."""

    def open_judge(settings: JudgeSettings) -> Judge:
        async def answer(call: Call, send: Send) -> None:
            await answers[settings.model](call, send)

        return Judge(settings, answer, models[settings.model].targets[0].name, surroundings.chance)

    return open_judge


def _booked(surroundings: Surroundings) -> Surroundings:
    """Give what records copies, in nobody's name."""
    take, open_entry, shadowing = surroundings.take_record, surroundings.open_entry, surroundings.shadowing

    def take_booked(record: Record) -> None:
        if shadowing is not None:
            shadowing.bill(record)
        take(booked(record))

    return msgspec.structs.replace(
        surroundings,
        take_record=take_booked,
        open_entry=None if open_entry is None else lambda call, targets: open_entry(on_the_books(call), targets),
    )


def _recorded(
    inner: Responder, targets: Sequence[Target], surroundings: Surroundings, take_judged: TakeJudged | None
) -> Recorded:
    return Recorded(
        inner,
        targets=targets,
        take=surroundings.take_record,
        cost=surroundings.cost,
        clock=surroundings.clock,
        prices=surroundings.prices,
        open_entry=surroundings.open_entry,
        take_judged=take_judged,
    )
