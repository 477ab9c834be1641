"""Makes the pools of all models: what answers for each target, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from gateway.accounting.limits.estimates import Outputs, estimate
from gateway.core.call import Call
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.pipeline.emulated import emulated, losses_of
from gateway.pipeline.recorded import NANO
from gateway.pipeline.route import Modelled, Surroundings
from gateway.pipeline.shaped import Shaped
from gateway.pipeline.shaped_ladder import Constrains, Rungs
from gateway.pipeline.shaped_sent import HasStrictMode
from gateway.providers.provider import Provider
from gateway.providers.watched import watched_by
from gateway.routing.affinity import Origins
from gateway.routing.choosing.by_state import CostOf, Load, LoadOf
from gateway.routing.opening import Known, helpers_of, open_pool
from gateway.routing.pool import Pool
from gateway.routing.rollouts.split import Assigner
from gateway.routing.rollouts.versions import VersionedPool, of_version
from gateway.routing.seat import Seat


@runtime_checkable
class TellsLoad(Protocol):
    """A provider that knows how busy its server is."""

    def load(self) -> Load | None:
        """Give the last reading; None when there is none."""
        ...


def open_pools(
    models: Mapping[str, Modelled], providers: Mapping[str, Provider], surroundings: Surroundings
) -> dict[str, Pool | VersionedPool]:
    """Give the pool of each model, by name."""
    mixed = _mixed(models)
    return {
        name: _pool(name, model, providers, surroundings, surroundings.origins if name in mixed else None)
        for name, model in models.items()
    }


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
    limits = wanted.plan.concurrency or (None,) * len(wanted.targets)
    answering = [
        (target, _emulated(target, providers[target.provider], limit))
        for target, limit in zip(wanted.targets, limits, strict=True)
    ]
    if guards is not None:
        answering = [(target, guards.around_target(responder, model, target)) for target, responder in answering]
    if wanted.structured.mode == "enforce":
        answering = [
            (target, _shaped(responder, target, wanted, providers, surroundings)) for target, responder in answering
        ]
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


def _shaped(
    inner: Responder,
    target: Target,
    wanted: Modelled,
    providers: Mapping[str, Provider],
    surroundings: Surroundings,
) -> Responder:
    """Hold a target's answers to their form: outside of what protects data, so that what is judged is what the caller gets."""
    provider = providers[target.provider]
    able = wanted.abilities.get(target.name)
    rungs = Rungs(
        target=target,
        own=provider.constrains if isinstance(provider, Constrains) else "native",
        loses=losses_of(target, provider),
        tools=able is None or "tools" not in able.lacks,
        strictness=provider.strictness if isinstance(provider, HasStrictMode) else None,
    )
    settings = wanted.structured
    if wanted.plan.strategy == "cascade" and target is not wanted.targets[-1]:
        # What is not good enough goes up, at once.
        settings = msgspec.structs.replace(settings, repairs=0)
    return Shaped(inner, rungs, settings, surroundings.means)


def _emulated(target: Target, provider: Provider, limit: int | None) -> Responder:
    return emulated(provider.responder(target), target, provider, limited=limit is not None)


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
