"""Health checks that contradict themselves are refused when they are read, with the line."""

import pytest

CONFIG = """\
providers:
  up: {{kind: vllm, {more}}}
models: {{a: up/m}}
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "health_check: {every: 2}",
            "may take 5 s, longer than there is between two of them (2 s): make timeout smaller",
        ),
        ("health_check: {path: health}", "a path from the server's root"),
        ('health_check: {path: "/health check"}', "a path from the server's root"),
        ("health_check: {failures: 0}", "failures"),
        ("health_check: {every: 0}", "every"),
        ("health_check: {evry: 5}", "every"),
        ("health_check: {}, spawn: {python: /usr/bin/python3, model: m}", "watched as a process of ours"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(configuration, more, said):
    faults = configuration.faults(CONFIG.format(more=more))

    assert any(fault.line == 2 and said in f"{fault.path}: {fault.message}" for fault in faults), faults


def test_without_the_section_nothing_is_checked(configuration):
    assert configuration.load(CONFIG.format(more="load_interval: 0")).providers["up"].health_check is None
