import pytest

from gateway.accounting.price import ModelFacts
from gateway.accounting.prices import Prices
from gateway.cli.conversation import Turn
from gateway.cli.costs import Costs, figures
from gateway.core.usage import Usage

USAGE = Usage(input=900, cache_read=100, output=450, reasoning=50)


def turn(**changes) -> Turn:
    fields = {"text": "x", "target": "p/m", "reason": "stop", "usage": USAGE, "duration": 1.5, "first": 0.25}
    return Turn(**{**fields, **changes})


def test_the_line_below_an_answer_counts_all_tokens():
    assert figures(turn(), "m", Costs(None)) == "p/m: 1000 + 500 tokens, price unknown, 1.50 s, first after 0.25 s"


def test_what_is_not_known_is_said():
    shown = figures(turn(target="", usage=None, first=None), "m", Costs(None))

    assert shown == "m: tokens unknown, price unknown, 1.50 s"


def test_counts_that_are_estimates_say_so():
    assert "tokens (estimated)" in figures(turn(usage=Usage(input=1, output=2, estimated=True)), "m", Costs(None))


@pytest.mark.parametrize(("reason", "words"), [("length", "token limit"), ("content_filter", "filter"), ("stop", "")])
def test_an_answer_that_was_cut_off_says_so(reason, words):
    shown = figures(turn(reason=reason), "m", Costs(None))

    assert words in shown
    assert ("cut off" in shown) == (reason != "stop")


@pytest.mark.parametrize(
    ("dollars_a_million", "shown"), [(3.0, "$0.0045"), (0.0, "$0"), (0.0000001, "less than $0.000001")]
)
def test_a_cost_has_as_many_digits_as_it_needs(dollars_a_million, shown):
    facts = ModelFacts(input=dollars_a_million, output=dollars_a_million, cache_read=dollars_a_million)

    assert Costs(Prices({"p/m": facts})).shown("p/m", USAGE) == shown


def test_prices_without_a_configuration_are_unknown(tmp_path):
    assert Costs.of(tmp_path / "none.yaml").shown("p/m", USAGE) == "price unknown"
