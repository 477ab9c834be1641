"""Continuation that nobody can do is refused when it is read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
  gpu: {kind: vllm, base_url: "http://10.0.0.2/v1"}
models:
"""


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        ("  a: {targets: [{provider: up, model: m}], routing: {continuation: {}}}\n", 5, "no target is known"),
        (
            "  a: {targets: [{provider: gpu, model: m, abilities: {prefill: false}}], routing: {continuation: {}}}\n",
            5,
            "no target is known",
        ),
        ("  a: {targets: [{provider: gpu, model: m}], routing: {continuation: {times: 3}}}\n", 5, "times"),
        (
            "  a: {targets: [{provider: gpu, model: m}, {provider: gpu, model: n}], routing: {strategy: vote, continuation: {}}}\n",
            5,
            "nobody goes on",
        ),
    ],
)
def test_what_nobody_can_do_is_refused(configuration, models, line, said):
    faults = configuration.faults(HEAD + models)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


@pytest.mark.parametrize(
    "models",
    [
        "  a: {targets: [{provider: gpu, model: m}], routing: {continuation: {}}}\n",
        "  a: {targets: [{provider: up, model: m, abilities: {prefill: true}}], routing: {continuation: {times: 2}}}\n",
        "  a: {targets: [{provider: up, model: m}]}\nrouting: {continuation: {}}\n",  # for all models that can
    ],
)
def test_what_somebody_can_do_is_not(configuration, models):
    configuration.load(HEAD + models)
