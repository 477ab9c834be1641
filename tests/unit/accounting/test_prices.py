"""Costs: right to the token where prices are known, null where they are not, never zero by ignorance."""

import json
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.price import MILLION, ModelFacts, Rates, Tier
from gateway.accounting.price_table import SNAPSHOT, load_facts
from gateway.accounting.prices import VENDORS, Prices, open_prices, table_name
from gateway.config.presets import PRESETS
from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    OpenAISettings,
    ScriptedSettings,
    VllmSettings,
)
from gateway.config.settings import ModelSettings, PriceSettings, Settings, TargetSettings
from gateway.core.usage import Usage

BUCKETS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
USAGE = Usage(input=1000, output=500)


def settings_of(provider, model, **prices):
    """The settings of one provider called "up" with one model; prices are the configuration's."""
    return Settings(
        providers={"up": provider},
        models={"m": ModelSettings(targets=(TargetSettings(provider="up", model=model),))},
        prices={name: PriceSettings(**price) for name, price in prices.items()},
    )


def cost_of(provider, model, usage=USAGE, **prices):
    return open_prices(settings_of(provider, model, **prices)).cost(f"up/{model}", usage)


def facts_of(name):
    return load_facts([name])[name]


@pytest.mark.parametrize(
    ("provider", "model", "entry"),
    [
        (OpenAISettings(), "gpt-5-mini", "openai/gpt-5-mini"),
        (OpenAISettings(), "ft:gpt-4o-2024-08-06:acme::abc123", "openai/ft:gpt-4o-2024-08-06"),
        (OpenAISettings(kind="azure", base_url="https://x/v1"), "gpt-5-mini", "azure/gpt-5-mini"),
        (OpenAISettings(kind="gemini"), "gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        (OpenAISettings(kind="gemini"), "models/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        (OpenAISettings(kind="groq"), "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
        (OpenAISettings(kind="xai"), "grok-4.3", "xai/grok-4.3"),
        (AnthropicSettings(), "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        (LitellmSettings(provider="cohere", api_base="https://x"), "command-r-08-2024", "cohere/command-r-08-2024"),
    ],
)
def test_a_hosted_model_costs_its_list_price(provider, model, entry):
    facts = facts_of(entry)

    assert cost_of(provider, model) == pytest.approx((1000 * facts.input + 500 * facts.output) / MILLION)
    assert cost_of(provider, model) > 0


@pytest.mark.parametrize(
    "provider",
    [
        EmbeddedSettings(),
        ScriptedSettings(document=Path("script.yaml")),
        VllmSettings(),
        *(OpenAISettings(kind=kind) for kind in ("ollama", "lmstudio", "llamacpp", "openai_compatible")),
    ],
    ids=lambda provider: provider.kind,
)
def test_what_runs_on_own_hardware_has_an_unknown_cost_until_it_is_configured(provider):
    assert cost_of(provider, "gpt-5-mini") is None
    assert cost_of(provider, "gpt-5-mini", **{"up/gpt-5-mini": {"input": 1, "output": 2}}) == pytest.approx(0.002)


def test_every_kind_with_a_list_price_is_a_kind_and_its_vendor_is_in_the_table():
    vendors = {name.partition("/")[0] for name in json.loads(SNAPSHOT.read_text())["models"]}

    assert VENDORS.keys() <= PRESETS.keys()
    # OpenRouter is a vendor of litellm's, with no model in this table: it says the cost of a call itself.
    assert set(VENDORS.values()) - vendors == {"openrouter"}


def test_an_unknown_model_of_a_known_vendor_has_an_unknown_cost():
    assert cost_of(OpenAISettings(), "gpt-5-mini-of-next-year") is None


def test_a_target_that_is_not_configured_has_an_unknown_cost():
    assert open_prices(settings_of(OpenAISettings(), "gpt-5-mini")).cost("else/gpt-5-mini", USAGE) is None


def test_a_configured_price_overrules_the_table_by_target_and_by_upstream_name():
    by_name = {"gpt-5-mini": {"input": 10, "output": 20}}
    by_target = {"up/gpt-5-mini": {"input": 1, "output": 2}}

    assert cost_of(OpenAISettings(), "gpt-5-mini", **by_name) == pytest.approx(0.02)
    assert cost_of(OpenAISettings(), "gpt-5-mini", **by_name, **by_target) == pytest.approx(0.002)


def test_a_configured_price_is_not_mixed_with_the_table():
    cached = Usage(input=10, cache_read=10)

    assert cost_of(OpenAISettings(), "gpt-5-mini", cached) is not None
    assert cost_of(OpenAISettings(), "gpt-5-mini", cached, **{"gpt-5-mini": {"input": 1, "output": 1}}) is None


def test_a_configured_price_keeps_what_the_table_knows_about_the_model():
    prices = open_prices(settings_of(OpenAISettings(), "gpt-5-mini", **{"gpt-5-mini": {"input": 1, "output": 1}}))
    facts = prices.find_facts("up/gpt-5-mini")

    assert facts.input == 1
    assert facts.context == facts_of("openai/gpt-5-mini").context
    assert "functions" in facts.supports


def test_a_price_that_fits_no_target_is_reported():
    with structlog.testing.capture_logs() as events:
        open_prices(settings_of(OpenAISettings(), "gpt-5-mini", **{"up/gpt-5-mni": {"input": 1, "output": 1}}))

    assert [(event["event"], event["names"]) for event in events] == [("prices.unused", ["up/gpt-5-mni"])]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_tokens_without_a_price_make_the_whole_cost_unknown(bucket):
    # Reasoning falls back to the price of output, so both must be missing.
    missing = {bucket, "reasoning"} if bucket == "output" else {bucket, "output"} if bucket == "reasoning" else {bucket}
    rates = Rates(**{name: 1.0 for name in BUCKETS if name not in missing})

    assert rates.cost(Usage(**{bucket: 1})) is None
    assert rates.cost(Usage(**dict.fromkeys(BUCKETS, 1))) is None


def test_a_bucket_without_tokens_needs_no_price():
    assert Rates(input=2.0).cost(Usage(input=MILLION)) == 2.0
    assert Rates(input=2.0).cost(Usage()) == 0


def test_reasoning_is_billed_as_output_unless_it_has_a_price():
    usage = Usage(reasoning=MILLION)

    assert Rates(output=3.0).cost(usage) == 3.0
    assert Rates(output=3.0, reasoning=5.0).cost(usage) == 5.0


@given(st.fixed_dictionaries({bucket: st.integers(0, 10**7) for bucket in BUCKETS}), st.sampled_from(BUCKETS))
def test_every_token_is_billed_once(tokens, bucket):
    """The buckets are disjoint: the cost of a usage is the sum of the costs of its buckets."""
    facts = facts_of_everything()
    whole = facts.cost(Usage(**tokens))
    parts = [facts.cost(Usage(**{name: count})) for name, count in tokens.items()]

    assert whole == pytest.approx(sum(parts))
    assert facts.cost(Usage(**{**tokens, bucket: tokens[bucket] + 1})) > whole


def facts_of_everything():
    return Rates(input=1, cache_read=0.1, cache_write=1.25, cache_write_1h=2, output=5, reasoning=6)


def test_a_long_prompt_is_billed_whole_at_the_rates_of_its_tier():
    facts = ModelFacts(input=1, output=2, cache_read=0.5, tiers=(Tier(above=200, input=10, output=20, cache_read=5),))
    prices = Prices({"up/m": facts})

    assert prices.cost("up/m", Usage(input=200, output=1)) == pytest.approx(202 / MILLION)
    assert prices.cost("up/m", Usage(input=101, cache_read=100, output=1)) == pytest.approx(1530 / MILLION)


def test_estimated_usage_has_a_cost():
    estimated = Usage(input=1000, output=500, estimated=True)

    assert cost_of(OpenAISettings(), "gpt-5-mini", estimated) == cost_of(OpenAISettings(), "gpt-5-mini")


def test_cache_writes_for_an_hour_cost_more_than_those_for_five_minutes():
    prices = open_prices(settings_of(AnthropicSettings(), "claude-sonnet-4-5"))

    short = prices.cost("up/claude-sonnet-4-5", Usage(cache_write=1000))
    long = prices.cost("up/claude-sonnet-4-5", Usage(cache_write_1h=1000))

    assert 0 < short < long


def test_the_table_is_not_read_where_nothing_has_a_list_price():
    asked = []

    def load(names):
        asked.extend(names)
        return {}

    open_prices(settings_of(EmbeddedSettings(), "smollm2-135m-instruct"), load)

    assert asked == []
    assert load_facts([], path=Path("there/is/no/such.json")) == {}


def test_the_name_in_the_table_depends_on_the_kind_and_not_on_the_providers_name():
    assert table_name(OpenAISettings(kind="together"), "meta-llama/x") == "together_ai/meta-llama/x"
    assert table_name(OpenAISettings(kind="fireworks"), "accounts/f/models/x") == "fireworks_ai/accounts/f/models/x"
    assert table_name(OpenAISettings(kind="ollama"), "llama3") is None
