"""The prices of one generation of the configuration: those it writes itself, else those of the built-in table.

An unknown price is None, never 0: what runs on one's own hardware costs something too, and only its owner knows what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import structlog

from gateway.accounting.price import ModelFacts
from gateway.accounting.price_table import load_facts
from gateway.config import ProviderSettings, Settings
from gateway.config.provider_settings import AnthropicSettings, LitellmSettings, OpenAISettings
from gateway.config.settings import PriceSettings
from gateway.core.usage import Usage

log = structlog.get_logger()

LoadFacts = Callable[[Iterable[str]], dict[str, ModelFacts]]

# The table's name of each kind's vendor. A kind that is missing here has no list price: it runs on somebody's own hardware,
# or, as openai_compatible, could be anybody.
VENDORS = {
    "anthropic": "anthropic", "azure": "azure", "cerebras": "cerebras", "deepseek": "deepseek", "fireworks": "fireworks_ai",
    "gemini": "gemini", "groq": "groq", "mistral": "mistral", "nvidia_nim": "nvidia_nim", "openai": "openai",
    "openrouter": "openrouter", "together": "together_ai", "xai": "xai",
}  # fmt: skip


class Prices:
    """What usage at each configured target costs."""

    def __init__(self, facts: Mapping[str, ModelFacts]) -> None:
        self._facts = dict(facts)

    def cost(self, target: str, usage: Usage) -> float | None:
        """Give US dollars for usage at a target ("provider/model"), None when a price is unknown. Estimated usage counts."""
        facts = self._facts.get(target)
        if facts is None or not facts.known:
            return None
        rates = facts.rates(usage.input_total) if facts.tiers else facts
        return rates.cost(usage)

    def find_facts(self, target: str) -> ModelFacts | None:
        """Give what is known about a target's model: prices in force, context window, abilities."""
        return self._facts.get(target)


def open_prices(settings: Settings, load: LoadFacts = load_facts) -> Prices:
    """Find the prices of every target of the configuration; one that `prices` names stands alone, nothing is mixed in."""
    targets = {
        f"{target.provider}/{target.model}": (target.provider, target.model)
        for model in settings.models.values()
        for target in model.targets
    }
    listed = {
        name: entry
        for name, (provider, model) in targets.items()
        if (entry := table_name(settings.providers[provider], model)) is not None
    }
    table = load(set(listed.values()))
    facts = {name: table[entry] for name, entry in listed.items() if entry in table}
    used: set[str] = set()
    for name, (_, model) in targets.items():
        key = next((key for key in (name, model) if key in settings.prices), None)
        if key is not None:
            used.add(key)
            facts[name] = _priced(facts.get(name, ModelFacts()), settings.prices[key])
    if unused := sorted(settings.prices.keys() - used):
        log.warning("prices.unused", names=unused, hint="no target is called provider/model or model so")
    return Prices(facts)


def table_name(provider: ProviderSettings, model: str) -> str | None:
    """Give the name under which the built-in table would hold a provider's model; None for those without list prices."""
    if isinstance(provider, LitellmSettings):
        return f"{provider.provider}/{model}"
    if not isinstance(provider, OpenAISettings | AnthropicSettings) or provider.kind not in VENDORS:
        return None
    if model.startswith("ft:"):
        # OpenAI's fine-tunes are "ft:BASE:ORGANISATION:NAME:ID", and priced by their base.
        model = ":".join(model.split(":")[:2])
    return f"{VENDORS[provider.kind]}/{model.removeprefix('models/')}"


def _priced(facts: ModelFacts, price: PriceSettings) -> ModelFacts:
    """The facts with the configuration's prices instead of the table's."""
    return ModelFacts(
        mode=facts.mode,
        context=facts.context,
        max_output=facts.max_output,
        supports=facts.supports,
        input=price.input,
        output=price.output,
        cache_read=price.cache_read,
        cache_write=price.cache_write,
    )
