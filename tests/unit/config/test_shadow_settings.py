"""Shadows that make no sense are refused when the configuration is read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
  b: up/n
"""


@pytest.mark.parametrize(
    ("rest", "line", "said"),
    [
        (
            "  a: {targets: [{provider: up, model: m}], shadow: {model: a}}\ndatabase: {kind: sqlite}\n",
            5,
            "its own shadow",
        ),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: c}}\ndatabase: {kind: sqlite}\n", 5, "'c'"),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: b}}\n", 5, "kept in the database"),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: b, share: 0}}\n", 5, "share"),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: b, share: 1.5}}\n", 5, "share"),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: b, most: 0}}\n", 5, "most"),
        ("  a: {targets: [{provider: up, model: m}], shadow: {model: b, budget: {usd: 1}}}\n", 5, "usd"),
    ],
)
def test_a_shadow_that_makes_no_sense_is_refused(configuration, rest, line, said):
    faults = configuration.faults(HEAD + rest)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_a_shadow_may_be_shadowed(configuration):
    configuration.load(
        HEAD.replace("b: up/n", "b: {targets: [{provider: up, model: n}], shadow: {model: a}}")
        + "  a: {targets: [{provider: up, model: m}], shadow: {model: b}}\ndatabase: {kind: sqlite}\n"
    )
