"""The prices of one generation of the configuration: those it writes itself, else those of the built-in table.

An unknown price is None, never 0: what runs on one's own hardware costs something too, and only its owner knows what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import msgspec
import structlog

from gateway.accounting.price import ModelFacts, Tariff
from gateway.accounting.price_table import load_date, load_facts
from gateway.config import ProviderSettings, Settings
from gateway.config.provider_settings import AnthropicSettings, LitellmSettings, OpenAISettings
from gateway.config.settings import PriceSettings
from gateway.core.usage import Usage

log = structlog.get_logger()

TokenPrice = Callable[[int, int], int | None]
"""Gives nano-dollars for tokens put in and tokens that came out, None when a price is unknown."""

LoadFacts = Callable[[Iterable[str]], dict[str, ModelFacts]]

# The table's name of each kind's vendor. A kind that is missing here has no list price: it runs on somebody's own hardware,
# or, as openai_compatible, could be anybody.
VENDORS = {
    "anthropic": "anthropic", "azure": "azure", "cerebras": "cerebras", "deepseek": "deepseek", "fireworks": "fireworks_ai",
    "gemini": "gemini", "groq": "groq", "mistral": "mistral", "nvidia_nim": "nvidia_nim", "openai": "openai",
    "openrouter": "openrouter", "together": "together_ai", "xai": "xai",
}  # fmt: skip


class Prices:
    """What usage at each configured target costs.

    `version` names the prices in force: the day of the built-in table, and where the configuration writes prices of its own,
    a plus sign and eight digits that change with them.
    """

    def __init__(self, facts: Mapping[str, ModelFacts], *, version: str = "") -> None:
        self.version = version
        self._facts = dict(facts)
        # The highest tier first: the first one that fits is the one that holds.
        self._tariffs = {
            name: (
                Tariff(entry),
                tuple((tier.above, Tariff(tier)) for tier in sorted(entry.tiers, key=lambda tier: -tier.above)),
            )
            for name, entry in self._facts.items()
            if entry.known
        }

    def nano(self, target: str, usage: Usage) -> int | None:
        """Give exact nano-dollars for usage at a target ("provider/model"), rounded once, half to even.

        None when a price is unknown, never 0. Estimated usage counts.
        """
        tariff = self._tariff(target, usage)
        return None if tariff is None else tariff.nano(usage)

    def estimates(self, targets: Iterable[str]) -> TokenPrice:
        """Give what estimates a call at the dearest of these targets: nano-dollars for tokens that go in and come out.

        It gives None when no target's price is known.
        """
        known = [self._tariffs[target] for target in targets if target in self._tariffs]
        if len(known) == 1 and not known[0][1]:
            return known[0][0].of_tokens

        def dearest(put_in: int, came_out: int) -> int | None:
            chosen = [next((tier for above, tier in tiers if put_in > above), tariff) for tariff, tiers in known]
            costs = [tariff.of_tokens(put_in, came_out) for tariff in chosen]
            return max((cost for cost in costs if cost is not None), default=None)

        return dearest

    def cost(self, target: str, usage: Usage) -> float | None:
        """Give US dollars for people and gauges: the binary fraction nearest to the cost, which is not for sums."""
        tariff = self._tariff(target, usage)
        return None if tariff is None else tariff.dollars(usage)

    def _tariff(self, target: str, usage: Usage) -> Tariff | None:
        found = self._tariffs.get(target)
        if found is None:
            return None
        tariff, tiers = found
        if not tiers:
            return tariff
        tokens = usage.input_total
        return next((tier for above, tier in tiers if tokens > above), tariff)

    def find_facts(self, target: str) -> ModelFacts | None:
        """Give what is known about a target's model: prices in force, context window, abilities."""
        return self._facts.get(target)


def open_prices(settings: Settings, load: LoadFacts = load_facts) -> Prices:
    """Find the prices of every target of the configuration; one that `prices` names stands alone, nothing is mixed in."""
    targets = {
        f"{target.provider}/{target.model}": (target.provider, target.model)
        for model in settings.models.values()
        for target in model.every_target
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
    return Prices(facts, version=_version(settings.prices))


def _version(overrides: Mapping[str, PriceSettings]) -> str:
    date = load_date()
    if not overrides:
        return date
    written = msgspec.json.encode(overrides, order="deterministic")
    return f"{date}+{hashlib.sha256(written).hexdigest()[:8]}"


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
