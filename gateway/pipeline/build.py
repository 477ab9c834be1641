"""Builds what answers each configured model: the ordered list of stages, once per generation of the configuration.

The order, outermost first. Each stage is there only when the route uses it:
    Recorded      one record a call, settled whatever happens; opens the ledger's entry
    Authorized    may this caller use this model, and the tools that its provider runs?
    Limited       rates, concurrency and budgets: reserved here, settled with the record
    Promised      the schemas of a call are fit to judge by, and so is what comes back
    Guarded       guardrails that judge once, wherever the call goes
    Cached        answers from what was answered before, and keeps what may be given again
    Continuing    goes on with an answer that broke off
    Routed        which target is asked, and which next, until the commit point
    Shaped        an answer has the form that was asked for, or is an error
    Guarded       guardrails of this target
    Redacted      what this target must not see is taken out, and put back into its answer
    Emulated      what this target lacks is left out, or done here
    provider      the exchange with one upstream
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import msgspec

from gateway.config.ensemble_settings import JudgeSettings
from gateway.core.call import Call, opened
from gateway.core.record import Record
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.pipeline.authorized import Authorized
from gateway.pipeline.cached import Cached, renewal
from gateway.pipeline.cached_build import Around, open_cached, open_shelf
from gateway.pipeline.limited import Limited
from gateway.pipeline.pools import open_pools
from gateway.pipeline.recorded import Recorded, TakeJudged
from gateway.pipeline.route import Modelled, Route, Surroundings
from gateway.pipeline.shadowed_copy import booked, on_the_books
from gateway.pipeline.shaped_promise import Promised
from gateway.policies.facts import model as resource
from gateway.providers.provider import Provider
from gateway.routing.continuing.continuing import Continuing
from gateway.routing.ensembles.judging import Judge
from gateway.routing.ensembles.opening import OpenJudge, is_ensemble, open_ensemble
from gateway.routing.opening import helpers_of, open_routed
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.rollouts.versions import Versioned, VersionedPool
from gateway.routing.timing import Timing


def build_routes(
    models: Mapping[str, Modelled], providers: Mapping[str, Provider], surroundings: Surroundings
) -> dict[str, Route]:
    """Put the stages of all models together: some of them help others out."""
    pools = open_pools(models, providers, surroundings)
    answers: dict[str, Responder] = {}
    return {name: _route(name, models, pools, providers, surroundings, answers) for name in models}


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
    # A target that two versions share may lack it in one of them alone.
    reached = [one for name in (model, *helpers) for one in models[name].parts]
    lacking = any(target.without for one in reached for target in one.targets)
    clock = surroundings.clock
    timing = Timing(
        now=clock.monotonic, sleep=anyio.sleep, chance=surroundings.chance, wall=clock.wall, spawn=surroundings.spawn
    )
    open_judge = _open_judge(models, answers, surroundings)
    answer, helped_by = _answering(pools, wanted, timing, surroundings, open_judge, model, providers)
    answers[model] = answer
    responder = answer if guards is None else guards.around_route(answer, model)
    shapes = any(models[name].structured.mode == "enforce" for name in (model, *helpers))
    unasked = answer
    if shapes:
        # The model that was asked has promised, whoever answered, kept or changed it.
        last, raw_bytes = wanted.structured.mode == "enforce", wanted.structured.raw_bytes
        responder = Promised(responder, surroundings.means, raw_bytes, last=last)
        unasked = Promised(answer, surroundings.means, raw_bytes, last=last)
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
        unasked=_recorded(unasked, targets, surroundings, surroundings.take_judged if guarded else None),
        beside=beside,
        subject=subject,
        context=_context([wanted, *(models[name] for name in wanted.plan.fallbacks.context)]),
        opened=guarded or ensemble or continues or lacking,
        caches=surroundings.caching is not None and any(one.caching is not None for one in wanted.parts),
        shapes=shapes,
    )


def _context(reached: Sequence[Modelled]) -> int | None:
    """Give how many tokens fit into the largest target of these models; None where that is not known of all."""
    parts = [part for wanted in reached for part in wanted.parts]
    able = [part.abilities.get(target.name) for part in parts for target in part.targets]
    known = [one.context for one in able if one is not None and one.context is not None]
    return max(known) if known and len(known) == len(able) else None


def _answering(
    pools: Mapping[str, Pool | VersionedPool],
    wanted: Modelled,
    timing: Timing,
    surroundings: Surroundings,
    open_judge: OpenJudge,
    model: str,
    providers: Mapping[str, Provider],
) -> tuple[Responder, Mapping[str, Sequence[AnyPool]]]:
    """Give what asks a model's targets, and the pools of the models that help out."""

    def asking(pool: Pool, wanted: Modelled) -> tuple[Responder, Mapping[str, Sequence[AnyPool]]]:
        plan = wanted.plan
        cached = _cached(model, pool.version, wanted, surroundings, providers)
        give_old = None if cached is None else cached.give_old
        routed = open_routed(pool, plan, timing, pools, surroundings.lines, give_old)
        answer = open_ensemble(routed, plan, timing, open_judge)
        if answer is routed and plan.continuation is not None and _can_go_on(pool):
            answer = Continuing(routed, plan.continuation.times, plan.deadline, opened)
        if cached is not None:
            answer = cached.around(answer)
        return answer, routed.helping

    pool = pools[model]
    if isinstance(pool, Pool):
        return asking(pool, wanted)
    answering = {name: asking(one, wanted.versions[name]) for name, one in pool.pools.items()}
    return Versioned(pool, {name: answer for name, (answer, _) in answering.items()}), next(iter(answering.values()))[1]


def _cached(
    model: str, version: str, wanted: Modelled, surroundings: Surroundings, providers: Mapping[str, Provider]
) -> Cached | None:
    """Give the cache of a model, or of one of its versions; None where it has none."""
    caching, plan = surroundings.caching, wanted.caching
    if caching is None or plan is None:
        return None
    around = Around(
        clock=surroundings.clock,
        chance=surroundings.chance,
        beside=surroundings.beside,
        policy=surroundings.policy,
        touched=surroundings.touched,
        remembers=any(providers[target.provider].relays("openai_responses") for target in wanted.targets),
    )
    shelf = open_shelf(model, version, plan, [target.name for target in wanted.targets], caching, around)
    cached = open_cached(shelf, caching, around)
    # What is made anew beside a call is a call of its own: with a record, and within its caller's limits.
    anew: Responder = cached.make
    if surroundings.limits is not None:
        anew = Limited(anew, surroundings.limits, wanted.count_input)
    cached.renew = renewal(_recorded(anew, wanted.targets, surroundings, surroundings.take_judged))
    return cached


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
