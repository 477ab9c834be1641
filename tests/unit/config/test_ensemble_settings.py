"""Cascades and votes that cannot do what they say are refused when they are read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
  claude: {kind: anthropic, base_url: "http://10.0.0.1", api_key: "env:KEY"}
models:
  judge: up/j
"""
TWO = "targets: [{provider: up, model: s}, {provider: up, model: l}]"


@pytest.mark.parametrize(
    ("models", "line", "said"),
    [
        ("  a: {targets: [{provider: up, model: m}], routing: {strategy: cascade}}\n", 6, "two targets"),
        ("  a: {targets: [{provider: up, model: m}], routing: {strategy: vote}}\n", 6, "two targets"),
        (f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: [judge]}}}}}}\n", 6, "who judges"),
        (f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{judge: {{model: judge}}}}}}}}\n", 6, "never asked"),
        (
            f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: [judge], judge: {{model: juge}}}}}}}}\n",
            6,
            "juge",
        ),
        (
            f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: [judge], judge: {{model: a}}}}}}}}\n",
            6,
            "lead back: a -> a",
        ),
        (
            (
                f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{decide: judge, judge: {{model: b}}}}}}}}\n"
                f"  b: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: [judge], judge: {{model: a}}}}}}}}\n"
            ),
            7,
            "lead back: b -> a -> b",
        ),
        (f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: []}}}}}}\n", 6, "escalate_on"),
        (f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{escalate_on: [vibes]}}}}}}\n", 6, "escalate_on"),
        (
            f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{last_resort: [judge]}}}}}}\n",
            6,
            "not in escalate_on",
        ),
        (f"  a: {{{TWO}, routing: {{cascade: {{escalate_on: [empty]}}}}}}\n", 6, "write strategy: cascade"),
        (f"  a: {{{TWO}, routing: {{vote: {{quorum: 1}}}}}}\n", 6, "write strategy: vote"),
        (f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{decide: judge}}}}}}\n", 6, "who judges"),
        (f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{judge: {{model: judge}}}}}}}}\n", 6, "never asked"),
        (f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{targets: 3}}}}}}\n", 6, "only 2 targets"),
        (f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{quorum: 3}}}}}}\n", 6, "never so many answers"),
        (f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{targets: 2, quorum: 3}}}}}}\n", 6, "never so many answers"),
        (
            (
                "  a:\n    targets:\n      - {provider: claude, model: small}\n      - {provider: up, model: l}\n"
                "    routing: {strategy: cascade, cascade: {escalate_on: [low_confidence]}}\n"
            ),
            8,
            "tells no log probabilities",
        ),
        (f"  a: {{{TWO}, routing: {{strategy: cascade, cascade: {{confidence: 1.5}}}}}}\n", 6, "confidence"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(configuration, models, line, said):
    faults = configuration.faults(HEAD + models, {"KEY": "k"})

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


@pytest.mark.parametrize(
    "models",
    [
        f"  a: {{{TWO}, routing: {{strategy: cascade}}}}\n",
        f"  a: {{{TWO}, routing: {{strategy: vote, vote: {{decide: judge, judge: {{model: judge}}, quorum: 2}}}}}}\n",
        # What holds for all models leaves those with one target alone, the judge among them.
        f"  a: {{{TWO}}}\nrouting: {{strategy: cascade, cascade: {{escalate_on: [judge], judge: {{model: judge}}}}}}\n",
        # The last one of a cascade is not checked.
        (
            "  a:\n    targets: [{provider: up, model: s}, {provider: claude, model: l}]\n"
            "    routing: {strategy: cascade, cascade: {escalate_on: [low_confidence]}}\n"
        ),
        "  a:\n    targets: [{provider: up, model: s, weight: 2}, {provider: up, model: l}]\n    routing: {strategy: vote}\n",
    ],
)
def test_what_makes_sense_is_taken(configuration, models):
    configuration.load(HEAD + models, {"KEY": "k"})


def test_a_judge_that_all_models_share_may_not_judge_itself(configuration):
    shared = "routing: {strategy: vote, vote: {decide: judge, judge: {model: a}}}\n"
    faults = configuration.faults(f"{HEAD}  a: {{{TWO}}}\n{shared}", {"KEY": "k"})

    assert any(fault.line == 7 and "lead back: a -> a" in fault.message for fault in faults), faults
