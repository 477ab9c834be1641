"""Hedging that contradicts itself, or has nothing to hedge with, is refused when it is read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
"""
ONE = "targets: [{provider: up, model: m}]"
TWO = "targets: [{provider: up, model: m}, {provider: up, model: n}]"
NO_WEIGHT = "targets: [{provider: up, model: m}, {provider: up, model: n, weight: 0}]"


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        (f"  a: {{{TWO}, routing: {{hedge: {{least: 9, most: 2}}}}}}\n", 4, "longer than the longest"),
        (f"  a: {{{ONE}, routing: {{hedge: {{}}}}}}\n", 4, "no second target"),
        (f"  a: {{{NO_WEIGHT}, routing: {{strategy: weighted, hedge: {{}}}}}}\n", 4, "no second target"),
        (f"  a: {{{TWO}, routing: {{hedge: {{quantile: 1}}}}}}\n", 4, "quantile"),
        (f"  a: {{{TWO}, routing: {{hedge: {{share: 2}}}}}}\n", 4, "share"),
        (f"  a: {{{TWO}}}\nrouting: {{hedge: {{after: 0}}}}\n", 5, "after"),
    ],
)
def test_what_contradicts_itself_is_refused(configuration, models, line, said):
    faults = configuration.faults(HEAD + models)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


@pytest.mark.parametrize(
    "models",
    [
        f"  a: {{{ONE}}}\nrouting: {{hedge: {{}}}}\n",  # for all models: those with one target are not hedged
        f"  a: {{{ONE}, routing: {{hedge: {{share: 0}}}}}}\n",
        f"  a: {{{TWO}, routing: {{hedge: {{quantile: 0.99, least: 1, most: 2, after: 3, share: 1}}}}}}\n",
    ],
)
def test_what_makes_sense_is_not(configuration, models):
    configuration.load(HEAD + models)
