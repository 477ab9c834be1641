"""Rules that cannot be read, name nobody or are never reached are refused when they are read, with line and character."""

import pytest

HEAD = """\
providers:
  up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}
models:
  a:
    targets:
      - {provider: up, model: m, name: small}
      - {provider: up, model: n}
    routing:
      strategy: rules
      rules:
"""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (HEAD + "        - {when: tokne > 3, use: [small]}\n", 11, "rules[0].when: character 1: unknown name 'tokne'; did you mean"),
        (HEAD + "        - {use: [small], when: stream}\n        - when: stream and 3\n          use: [up/n]\n", 12,
         "rules[1].when: character 12: expected true or false"),
        (HEAD + "        - {use: [large]}\n", 11, "no target of this model is called 'large' (there are: small, up/m, up/n)"),
        (HEAD + "        - {use: [small, small]}\n", 11, "'small' is there already"),
        (HEAD + "        - {use: [small]}\n        - {when: stream, use: [up/n]}\n", 12, "never reached: rule 1 holds for every call"),
        (HEAD + "        - {use: []}\n", 11, "at least one"),
        (HEAD + "        - {when: stream}\n", 11, "missing key 'use'"),
        (HEAD + "        - {if: stream, use: [small]}\n", 11, "unknown key 'if'"),
        (HEAD + "        - {use: [small]}\n      time_zone: Mars/Olympus\n", 12, "no time zone 'Mars/Olympus'"),
        (HEAD + "        - {use: [small]}\n      time_zone: ../../etc/passwd\n", 12, "no time zone"),
        (HEAD.replace("strategy: rules", "strategy: weighted") + "        - {use: [small]}\n", 10, "knows no rules"),
        (HEAD.replace("      rules:\n", ""), 9, "there are none"),
        (HEAD + "        - {use: [small]}\nrouting: {rules: [{use: [x/y]}]}\n", 12, "write rules at the models"),
        (HEAD.replace("model: n}", "model: n, name: small}") + "        - {use: [small]}\n", 7, "another target of this model is called so"),
        (HEAD.replace("model: n}", "model: n, name: up/m}") + "        - {use: [small]}\n", 7, "another target of this model is called so"),
        (HEAD.replace("model: n}", "model: n, handles: 0.5}") + "        - {use: [small]}\n", 7, "does not ask how hard a call is"),
        (HEAD.replace("strategy: rules\n      rules:", "strategy: complexity"), 5, "all targets handle calls as hard"),
        (HEAD.replace("model: n}", "model: n, handles: 1.5}") + "        - {use: [small]}\n", 7, "handles"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_line(configuration, text, line, said):
    faults = configuration.faults(text)

    assert any(fault.line == line and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_rules_are_read(configuration):
    settings = configuration.load(
        HEAD + "        - {when: tokens > 8000 or has_images, use: [up/n], only: true}\n        - {use: [small]}\n"
        "      time_zone: Europe/Vienna\n"
    )
    routing = settings.models["a"].routing

    assert [(rule.use, rule.only) for rule in routing.rules] == [(("up/n",), True), (("small",), False)]
