"""Versions that contradict each other are refused when they are read, with the line."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
  m:
    versions:
      v1: {targets: [{provider: up, model: one}]}
      v2: {targets: [{provider: up, model: two}], routing: {strategy: weighted}}
"""


@pytest.mark.parametrize(
    ("rest", "line", "said"),
    [
        ("    targets: [{provider: up, model: m}]\n", 5, "either targets or versions"),
        ("    rollout: {stable: v1, challenger: v3}\n", 8, "there is no version 'v3' (there are: v1, v2)"),
        ("    rollout: {stable: v0, challenger: v2}\n", 8, "there is no version 'v0'"),
        ("    rollout: {stable: v1, challenger: v1}\n", 8, "from itself"),
        ("    rollout: {stable: v1, challenger: v2, steps: [5, 1, 100]}\n", 8, "larger than the one before"),
        ("    rollout: {stable: v1, challenger: v2, steps: [5, 5, 100]}\n", 8, "larger than the one before"),
        ("    rollout: {stable: v1, challenger: v2, steps: [1, 50]}\n", 8, "the last step must be 100"),
        ("    rollout: {stable: v1, challenger: v2, steps: []}\n", 8, "at least one item"),
        ("    rollout: {stable: v1, challenger: v2, steps: [0, 100]}\n", 8, "steps"),
        ("    rollout: {stable: v1, challenger: v2, alpha: 0}\n", 8, "alpha"),
        ("    rollout: {stable: v1, chalenger: v2}\n", 8, "did you mean"),
        ("    rollout: {stable: v1, challenger: v2}\n    ab: {v1: 1}\n", 9, "either rollout or ab"),
        ("    ab: {v1: 0, v2: 0}\n", 8, "weight 0"),
        ("    ab: {v1: 1, v3: 1}\n", 8, "there is no version 'v3'"),
        ("    ab: {v1: 1, v2: -1}\n", 8, "ab"),
        ("    active: v3\n", 8, "there is no version 'v3'"),
        ("    ab: {v1: 1, v2: 1}\n    active: v1\n", 9, "remove active"),
        ("      v 3: {targets: [{provider: up, model: m}]}\n", 8, "a name of at most 64"),
        ("      v3: {targets: []}\n", 8, "at least one item"),
        ("      v3: {targets: [{provider: no, model: m}]}\n", 8, "provider"),
        ("      v3: {targets: [{provider: up, model: m}], routing: {fallbacks: {general: [m]}}}\n", 8, "at the model"),
        ("      v3: {targets: [{provider: up, model: m, weight: 3}]}\n", 8, "which knows no weights"),
        ("      v3: {targets: [{provider: up, model: m}], routing: {strategy: vote}}\n", 8, "needs two targets"),
        ("      v3: {targets: [{provider: up, model: m}], routing: {hedge: {}}}\n", 8, "no second target"),
        ("      v3: {targets: [{provider: up, model: m}], routing: {continuation: {}}}\n", 8, "go on with a beginning"),
        (
            "      v3: {targets: [{provider: up, model: m}], routing: {rules: [{use: [up/n]}], strategy: rules}}\n",
            8,
            "'up/n'",
        ),
        ("      v3: {targets: [{provider: up, model: m, handles: 0.5}]}\n", 8, "how hard a call is"),
        ("      v3: {targets: [{provider: up, model: m}], routing: {degrade: [{static: no}]}}\n", 8, "at the model"),
        ("    routing: {hedge: {}}\n", 8, "no second target"),
        ("  n: {description: none}\n", 8, "write targets, or versions"),
        ("  n: {targets: [{provider: up, model: m}], ab: {v1: 1}}\n", 8, "write versions instead"),
        (
            "  n: {targets: [{provider: up, model: m}], rollout: {stable: a, challenger: b}}\n",
            8,
            "write versions instead",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(configuration, rest, line, said):
    faults = configuration.faults(HEAD + rest)

    assert [fault.line for fault in faults if said in fault.message or said in fault.path] == [line], faults


def test_versions_with_a_rollout_are_taken(configuration):
    settings = configuration.load(
        HEAD + "    rollout: {stable: v1, challenger: v2, steps: [10, 100], score: helpful}\n"
    )

    rollout = settings.models["m"].rollout
    assert rollout is not None
    assert rollout.steps == (10, 100)
    assert [target.model for target in settings.models["m"].every_target] == ["one", "two"]
