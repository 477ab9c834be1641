"""Exact costs: whole nano-dollars by the decimal rates that were written, rounded once, whatever the rates are."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.price import ModelFacts, Rates, Tariff, Tier
from gateway.accounting.price_table import load_date
from gateway.accounting.prices import Prices, open_prices
from gateway.config.provider_settings import OpenAISettings
from gateway.config.settings import ModelSettings, PriceSettings, Settings, TargetSettings
from gateway.core.usage import Usage

BUCKETS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")


@given(
    st.fixed_dictionaries({bucket: st.decimals(0, 10_000, places=6) for bucket in BUCKETS}),
    st.fixed_dictionaries({bucket: st.integers(0, 10**9) for bucket in BUCKETS}),
)
def test_a_cost_is_what_decimal_arithmetic_says_to_the_last_nano_dollar(rates, tokens):
    with localcontext(prec=60):
        micro = sum((rates[bucket] * tokens[bucket] for bucket in BUCKETS), Decimal(0))
        expected = int((micro * 1000).to_integral_value(ROUND_HALF_EVEN))

    assert Tariff(Rates(**{name: float(rate) for name, rate in rates.items()})).nano(Usage(**tokens)) == expected


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_costs_of_many_calls_add_up_without_drift(prompts):
    """Whole nano-dollars a token: the sum of the calls is the cost of the sum, which floats do not give."""
    tariff = Tariff(Rates(input=0.1))

    assert sum(tariff.nano(Usage(input=prompt)) for prompt in prompts) == tariff.nano(Usage(input=sum(prompts)))


@pytest.mark.parametrize(
    ("rate", "nano"), [(0.0005, 0), (0.0015, 2), (0.0025, 2), (0.00250001, 3), (1e-12, 0), (5e-324, 0)]
)
def test_half_a_nano_dollar_goes_to_the_even_one(rate, nano):
    assert Tariff(Rates(input=rate)).nano(Usage(input=1)) == nano


@given(
    st.lists(st.tuples(*[st.none() | st.floats(0, 100)] * 2, st.floats(0, 100), st.integers(1, 10**6)), max_size=3),
    st.integers(0, 10**7),
    st.integers(0, 10**7),
)
def test_an_estimate_costs_what_the_same_tokens_cost_at_the_dearest_target(rates, put_in, came_out):
    facts = {
        f"up/{number}": ModelFacts(input=into, output=out, tiers=(Tier(above=above, input=more),) if number else ())
        for number, (into, out, more, above) in enumerate(rates)
    }
    prices, usage = Prices(facts), Usage(input=put_in, output=came_out)

    costs = [cost for target in facts if (cost := prices.nano(target, usage)) is not None]
    for target in facts:
        assert prices.estimates([target])(put_in, came_out) == prices.nano(target, usage)
    assert prices.estimates([*facts, "up/unknown"])(put_in, came_out) == max(costs, default=None)


def test_a_tier_holds_for_the_whole_prompt():
    facts = ModelFacts(input=1, tiers=(Tier(above=200, input=10), Tier(above=1000, input=100)))
    prices = Prices({"up/m": facts})

    assert [prices.nano("up/m", Usage(input=tokens)) for tokens in (200, 201, 1001)] == [
        200_000,
        2_010_000,
        100_100_000,
    ]


def test_an_unknown_price_is_none_and_nothing_used_costs_nothing():
    prices = Prices({"up/m": ModelFacts(input=1), "up/free": ModelFacts()})

    assert prices.nano("up/m", Usage(output=1)) is None
    assert prices.nano("up/free", Usage()) is None
    assert prices.nano("else/m", Usage()) is None
    assert prices.nano("up/m", Usage()) == 0


def settings_of(**prices):
    return Settings(
        providers={"up": OpenAISettings()},
        models={"m": ModelSettings(targets=(TargetSettings(provider="up", model="gpt-5-mini"),))},
        prices={name: PriceSettings(**price) for name, price in prices.items()},
    )


def test_the_version_of_prices_is_the_tables_day_and_a_digest_of_the_configurations_own():
    plain = open_prices(settings_of()).version
    one = open_prices(settings_of(**{"gpt-5-mini": {"input": 1}})).version
    two = open_prices(settings_of(**{"gpt-5-mini": {"input": 2}})).version

    assert plain == load_date()
    assert one.startswith(f"{plain}+")
    assert len({plain, one, two}) == 3
    assert open_prices(settings_of(**{"gpt-5-mini": {"input": 1}})).version == one
