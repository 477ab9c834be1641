"""The section `mcp`: what is refused, and how it is said."""

import pytest

from gateway.config import ConfigError
from gateway.config.load import load

BASE = """
database: {kind: sqlite, path: x.db}
runs: {}
providers: {play: {kind: scripted, document: script.yaml}}
models: {small: play/small}
tools: {servers: {desk: {kind: http, url: "http://127.0.0.1:1/mcp", tools: [echo, count]}, far: {kind: http, url: "http://127.0.0.1:1/mcp", tools: [echo]}}}
"""


def faults(tmp_path, mcp, base=BASE):
    (tmp_path / "script.yaml").write_text("models: {small: {answers: [{say: hi}]}}")
    path = tmp_path / "switchgear.yaml"
    path.write_text(f"{base}\nmcp: {mcp}\n")
    with pytest.raises(ConfigError) as refused:
        load(path, environ={})
    return [(fault.path, fault.message) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("mcp", "path", "word"),
    [
        ("{servers: {desk: ['*']}}", "mcp.servers.desk[0]", "wildcard"),
        ("{servers: {desk: [ecco]}}", "mcp.servers.desk[0]", "did you mean 'echo'?"),
        ("{servers: {dsk: [echo]}}", "mcp.servers.dsk", "did you mean 'desk'?"),
        ("{servers: {desk: [echo, echo]}}", "mcp.servers.desk[1]", "listed twice"),
        ("{servers: {desk: [echo]}, prefixes: {far: x}}", "mcp.prefixes.far", "no server of this section"),
        ("{servers: {desk: [echo], far: [echo]}, prefixes: {far: desk}}", "mcp.prefixes.far", "same names"),
        ("{servers: {desk: [echo]}, prefixes: {desk: 'a.b'}}", "mcp.prefixes.desk", "letters, digits"),
        (
            "{servers: {desk: [echo]}, approval: {desk/count: always}}",
            "mcp.approval.desk/count",
            "no tool of this section",
        ),
        (
            "{servers: {desk: [echo]}, limits: {tools: {far/echo: 1}}}",
            "mcp.limits.tools.far/echo",
            "no tool of this section",
        ),
        ("{agents: [triage]}", "mcp.agents", "section agents"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place_and_the_reason(tmp_path, mcp, path, word):
    found = faults(tmp_path, mcp)

    assert [place for place, _ in found] == [path]
    assert word in found[0][1]


def test_calls_need_a_place_to_be_kept(tmp_path):
    found = faults(tmp_path, "{servers: {desk: [echo]}}", BASE.replace("runs: {}\n", ""))

    assert [place for place, _ in found] == ["mcp"]
