"""What changed between two configurations is told by path, and what a reload cannot apply is known."""

import pytest

from gateway.config import Change, diff, needs_restart

BASE = """\
server: {port: 8080}
providers:
  a: {kind: lmstudio}
  b: {kind: ollama}
models:
  m: a/x
  n: {targets: [{provider: a, model: x}, {provider: b, model: y}]}
"""


def changes(configuration, before, after):
    return [str(change) for change in diff(configuration.load(before), configuration.load(after))]


def test_equal_configurations_have_no_changes(configuration):
    assert changes(configuration, BASE, BASE + "# a remark\n") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("port: 8080", "port: 8081", ["server.port changed"]),
        ("b: {kind: ollama}", "b: {kind: ollama, connections: 2}", ["providers.b.connections changed"]),
        ("b: {kind: ollama}", "b: {kind: vllm}", ["providers.b changed"]),
        ("  m: a/x\n", "  m: a/x\n  gpt-4.1: b/z\n", ['models["gpt-4.1"] added']),
        ("  m: a/x\n", "", ["models.m removed"]),
        ("m: a/x", "m: a/z", ["models.m.targets[0].model changed"]),
        (", {provider: b, model: y}", "", ["models.n.targets[1] removed"]),
        ("model: y}", "model: y, timeouts: {total: 1}}", ["models.n.targets[1].timeouts added"]),
        (
            "server: {port: 8080}",
            "telemetry: {otlp: {endpoint: 'http://x:1'}}",
            ["telemetry.otlp added"],
        ),
    ],
)
def test_a_change_is_told_where_it_is(configuration, old, new, expected):
    assert changes(configuration, BASE, BASE.replace(old, new)) == expected


def test_what_is_read_only_at_the_start_is_said_to_need_a_restart(configuration):
    """A reload that changes nothing must not look like one that did."""
    new = BASE.replace("{port: 8080}", "{host: localhost, port: 1, drain_timeout: 1}").replace("m: a/x", "m: a/y")

    changed = diff(configuration.load(BASE), configuration.load(new))

    assert len(changed) == 4
    assert {change.path for change in needs_restart(changed)} == {
        "server.host",
        "server.port",
        "server.drain_timeout",
    }


def test_new_keys_need_no_restart():
    change = Change(path="server.keys[0]", kind="added")

    assert needs_restart([change]) == ()
