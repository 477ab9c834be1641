"""From the settings of models to what their routes are built from: targets with their timeouts, plans, abilities, tokenizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.accounting.limits.tokenizing import open_counting
from gateway.accounting.price import ModelFacts
from gateway.accounting.prices import Prices
from gateway.config import ProviderSettings, Settings
from gateway.config.prefill import prefill_of
from gateway.config.provider_settings import TimeoutSettings
from gateway.config.routing_settings import AbilitySettings, RoutingSettings
from gateway.config.settings import ModelSettings, TargetSettings
from gateway.core.target import Target, Timeouts
from gateway.pipeline.cached_plan import cache_plan
from gateway.pipeline.route import Modelled
from gateway.routing.fitness import ABILITIES, Abilities, Ability
from gateway.routing.plan import RoutingPlan, merged, plan_of
from gateway.routing.rollouts.versions import Division

_IN_TABLE: dict[Ability, str] = {"vision": "vision", "audio": "audio", "documents": "pdf", "tools": "functions"}
"""The table's names. It is too often silent about schemas to be believed."""


def modelled(settings: Settings, prices: Prices) -> dict[str, Modelled]:
    """Give what each configured model is built from."""
    limits = concurrency_of(settings)
    return {name: _modelled(name, model, settings, prices, limits) for name, model in settings.models.items()}


def _modelled(
    name: str, model: ModelSettings, settings: Settings, prices: Prices, limits: Mapping[str, int]
) -> Modelled:
    routing, written = settings.routing, model.targets
    plan = _plan(written, model.routing, routing, limits)
    built = Modelled(
        targets=_targets(model, written, settings),
        plan=plan,
        abilities=_able(written, prices, settings),
        description=model.description or None,
        count_input=open_counting(name, model.tokenizer),
        caching=cache_plan(model, written, plan, settings),
        structured=model.structured,
    )
    if not model.versions:
        return built
    for_all = merged(model.routing, routing)
    versions = {
        label: replace(
            built,
            targets=_targets(model, version.targets, settings),
            plan=(own := _plan(version.targets, version.routing, for_all, limits)),
            caching=cache_plan(model, version.targets, own, settings),
            abilities=_able(version.targets, prices, settings),
        )
        for label, version in model.versions.items()
    }
    # The same target may stand in several versions; for what surrounds them all it is one.
    targets = {target.name: target for version in versions.values() for target in version.targets}
    division = Division(otherwise=first_version(model), by=built.plan.sticky.by)
    return replace(built, targets=tuple(targets.values()), versions=versions, division=division)


def first_version(model: ModelSettings) -> str:
    """Give the version that has all calls as long as nobody knows more."""
    if model.rollout is not None:
        return model.rollout.stable
    weighty = (label for label, weight in model.ab.items() if weight)
    return model.active or next(weighty, None) or next(iter(model.versions))


def _able(targets: Sequence[TargetSettings], prices: Prices, settings: Settings) -> dict[str, Abilities]:
    return {
        (key := f"{target.provider}/{target.model}"): _abilities(
            target.abilities, prices.find_facts(key), settings.providers[target.provider], target.model
        )
        for target in targets
    }


def _plan(
    written: Sequence[TargetSettings],
    own: RoutingSettings | None,
    everywhere: RoutingSettings,
    limits: Mapping[str, int],
) -> RoutingPlan:
    targets = [(target, f"{target.provider}/{target.model}") for target in written]
    return replace(
        plan_of(
            own, everywhere, tuple(target.weight for target in written), tuple(limits.get(name) for _, name in targets)
        ),
        handles={name: target.handles for target, name in targets},
        labels={target.name: name for target, name in targets if target.name is not None},
    )


def concurrency_of(settings: Settings) -> dict[str, int]:
    """Give how many calls each target may have at once: one limit for all models that use it."""
    return {
        f"{target.provider}/{target.model}": target.concurrency
        for model in settings.models.values()
        for target in model.every_target
        if target.concurrency is not None
    }


def _abilities(
    written: AbilitySettings | None, facts: ModelFacts | None, provider: ProviderSettings, model: str
) -> Abilities:
    known = written or AbilitySettings()
    # A line of the table without any ability was never filled in.
    listed = facts.supports if facts is not None and facts.supports else None
    lacks = set()
    for ability in ABILITIES:
        said = getattr(known, ability)
        if said is None and listed is not None and ability in _IN_TABLE:
            said = _IN_TABLE[ability] in listed
        if said is False:
            lacks.add(ability)
    return Abilities(
        lacks=frozenset(lacks),
        context=known.context or (facts.context if facts is not None else None),
        prefill=prefill_of(provider, model, written=known.prefill),
    )


def _targets(model: ModelSettings, targets: Sequence[TargetSettings], settings: Settings) -> tuple[Target, ...]:
    return tuple(
        Target(
            provider=target.provider,
            model=target.model,
            timeouts=_timeouts(target.timeouts or model.timeouts or _provider_timeouts(settings, target.provider)),
            drop=model.on_unsupported == "drop",
            emulate=model.on_unsupported == "emulate",
            without=_lacking(target.abilities, emulate=model.on_unsupported == "emulate" or _shapes(model)),
            shapes=_shapes(model),
        )
        for target in targets
    )


def _shapes(model: ModelSettings) -> bool:
    return model.structured.mode == "enforce" and model.structured.emulate


def _lacking(abilities: AbilitySettings | None, *, emulate: bool) -> frozenset[str]:
    if abilities is None:
        return frozenset()
    # A schema is only of interest here where its work can be done here: else the target says it best itself.
    schema = ("json_schema",) if emulate and abilities.json_schema is False else ()
    return frozenset((*abilities.without, *schema))


def _provider_timeouts(settings: Settings, provider: str) -> TimeoutSettings:
    timeouts = getattr(settings.providers[provider], "timeouts", None)
    return timeouts if isinstance(timeouts, TimeoutSettings) else TimeoutSettings()


def _timeouts(settings: TimeoutSettings) -> Timeouts:
    return Timeouts(
        connect=settings.connect, first_token=settings.first_token, idle=settings.idle, total=settings.total
    )
