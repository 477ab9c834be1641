"""Routing that contradicts itself is refused when it is read, with the line; what is left out is as for all models."""

import pytest

from gateway.config.routing_settings import BreakerSettings, RetrySettings, RoutingSettings
from gateway.routing.plan import plan_of

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
"""
CIRCLE = """\
  a: {targets: [{provider: up, model: m}], routing: {fallbacks: {context: [b]}}}
  b: {targets: [{provider: up, model: m}], routing: {fallbacks: {context: [c]}}}
  c:
    targets: [{provider: up, model: m}]
    routing: {fallbacks: {context: [a]}}
"""


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        (
            "  a: {targets: [{provider: up, model: m, weight: 0}], routing: {strategy: weighted}}\n",
            4,
            "every target has weight 0",
        ),
        ("  a: {targets: [{provider: up, model: m}, {provider: up, model: m}]}\n", 4, "target of this model already"),
        ("  a: {targets: [{provider: up, model: m, weight: 2}]}\n", 4, "which knows no weights"),
        ("  a: {targets: [{provider: up, model: m, weight: -1}], routing: {strategy: weighted}}\n", 4, "weight"),
        (
            "  a: {targets: [{provider: up, model: m}], routing: {fallbacks: {general: [b]}}}\n",
            4,
            "there is no model 'b'",
        ),
        ("  a: {targets: [{provider: up, model: m}], routing: {fallbacks: {general: [a]}}}\n", 4, "lead back: a -> a"),
        (
            CIRCLE,
            8,
            "lead back: c -> a -> b -> c",
        ),
        ("  a: up/m\nrouting: {fallbacks: {general: [a]}}\n", 5, "at the models"),
        ("  a: up/m\nrouting: {retry: {base: 9, longest: 2}}\n", 5, "longer than the longest"),
        ("  a: up/m\nrouting: {breaker: {open: 9, longest: 2}}\n", 5, "longer than the longest"),
        ("  a: up/m\nrouting: {strategy: clairvoyant}\n", 5, "strategy"),
        ("  a: up/m\nrouting: {retry: {budget: 1.5}}\n", 5, "budget"),
        ("  a: up/m\nrouting: {retry: {atempts: 2}}\n", 5, "attempts"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(configuration, models, line, said):
    faults = configuration.faults(HEAD + models)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_fallbacks_by_different_causes_may_cross(configuration):
    configuration.load(
        HEAD + "  a: {targets: [{provider: up, model: m}], routing: {fallbacks: {context: [b]}}}\n"
        "  b: {targets: [{provider: up, model: m}], routing: {fallbacks: {content: [a]}}}\n"
    )


def test_a_model_writes_what_differs():
    everywhere = RoutingSettings(strategy="weighted", retry=RetrySettings(attempts=7), deadline=30)
    plan = plan_of(RoutingSettings(breaker=BreakerSettings(failures=2), deadline=9), everywhere, (1.0,))

    assert (plan.strategy, plan.retry.attempts, plan.breaker.failures, plan.deadline) == ("weighted", 7, 2, 9)
    assert plan_of(None, RoutingSettings(), ()).deadline == 600
