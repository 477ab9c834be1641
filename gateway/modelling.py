"""From the settings of models to what their routes are built from: targets with their timeouts, plans, abilities, tokenizers."""

from __future__ import annotations

from gateway.accounting.limits.tokenizing import open_counting
from gateway.accounting.price import ModelFacts
from gateway.accounting.prices import Prices
from gateway.config import ProviderSettings, Settings
from gateway.config.prefill import prefill_of
from gateway.config.provider_settings import TimeoutSettings
from gateway.config.routing_settings import AbilitySettings
from gateway.core.target import Target, Timeouts
from gateway.pipeline.build import Modelled
from gateway.routing.fitness import ABILITIES, Abilities, Ability
from gateway.routing.plan import plan_of

_IN_TABLE: dict[Ability, str] = {"vision": "vision", "audio": "audio", "documents": "pdf", "tools": "functions"}
"""The table's names. It is too often silent about schemas to be believed."""


def modelled(settings: Settings, prices: Prices) -> dict[str, Modelled]:
    """Give what each configured model is built from."""
    return {
        name: Modelled(
            targets=_targets(name, settings),
            plan=plan_of(model.routing, settings.routing, tuple(target.weight for target in model.targets)),
            abilities={
                (key := f"{target.provider}/{target.model}"): _abilities(
                    target.abilities, prices.find_facts(key), settings.providers[target.provider], target.model
                )
                for target in model.targets
            },
            description=model.description or None,
            count_input=open_counting(name, model.tokenizer),
        )
        for name, model in settings.models.items()
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


def _targets(name: str, settings: Settings) -> tuple[Target, ...]:
    model = settings.models[name]
    return tuple(
        Target(
            provider=target.provider,
            model=target.model,
            timeouts=_timeouts(target.timeouts or model.timeouts or _provider_timeouts(settings, target.provider)),
            drop=model.on_unsupported == "drop",
        )
        for target in model.targets
    )


def _provider_timeouts(settings: Settings, provider: str) -> TimeoutSettings:
    timeouts = getattr(settings.providers[provider], "timeouts", None)
    return timeouts if isinstance(timeouts, TimeoutSettings) else TimeoutSettings()


def _timeouts(settings: TimeoutSettings) -> Timeouts:
    return Timeouts(
        connect=settings.connect, first_token=settings.first_token, idle=settings.idle, total=settings.total
    )
