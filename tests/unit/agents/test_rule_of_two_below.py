"""What one agent has read, another acts by: an agent is judged together with those below it."""

import pytest

from gateway.agent_source import AgentSource
from gateway.config import ConfigError, load
from gateway.config.policy_settings import PolicyDocuments, PolicyText
from gateway.policies.authorizer import Authorizer
from gateway.policies.rules import open_rules

CONFIG = """
database: {kind: sqlite, path: sg.db}
runs: {}
agents: {folder: agents}
tools:
  servers:
    s:
      kind: stdio
      command: s
      tools:
        web: {effect: read, outward: false, gives: {integrity: untrusted}}
        crm: {effect: read, outward: false, gives: {integrity: trusted, confidentiality: sensitive}}
        send: {effect: once, outward: true, gives: {integrity: trusted}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {chat: play/chat}
"""
LIFTS = '@lifts("sensitive-outward, untrusted-write") permit (principal, action == Action::"call_tool", resource);'


@pytest.fixture
def opened(tmp_path):
    """Read agents, given as name → the rest of the definition."""
    (tmp_path / "switchgear.yaml").write_text(CONFIG)
    (tmp_path / "script.yaml").write_text("models: {chat: {answers: [{say: hello}]}}")
    texts = (PolicyText(name="a.cedar", path="a.cedar", text=LIFTS),)
    rules = open_rules(PolicyDocuments(folder="", texts=texts, cases=(), zone=None, default="allow", digest=b""))

    def read(**agents):
        for name, definition in agents.items():
            place = tmp_path / "agents" / name
            place.mkdir(parents=True)
            (place / "instructions.md").write_text("Be brief.")
            (place / "agent.yaml").write_text(f"model: chat\n{definition}\n")
        source = AgentSource(tmp_path / "switchgear.yaml", {})
        return source.open(load(tmp_path / "switchgear.yaml", {}), Authorizer(rules, wall=lambda: 0.0))

    return read


def test_all_three_may_not_come_together_through_the_agents_below(opened):
    with pytest.raises(ConfigError) as caught:
        opened(a="agents: [b]", b="agents: [c]\ntools: {s: [web, crm]}", c="tools: {s: [send]}")

    told = [(fault.file.split("/")[-2], fault.path, fault.message) for fault in caught.value.faults]
    assert [each[:2] for each in told] == [("a", "agents"), ("b", "agents")]
    assert "Together with the agents below it (b, c): It reads what strangers" in told[0][2]
    assert "s/send" in told[0][2]


def test_leave_that_one_of_them_asks_is_asked_whoever_calls_it(opened):
    documents = opened(a="agents: [b]\ntools: {s: [web, crm]}", b="tools: {s: [send]}\napproval: {s/send: always}")

    assert set(documents.agents) == {"a", "b"}


def test_leave_that_only_one_of_two_asks_is_none(opened):
    with pytest.raises(ConfigError):
        opened(
            a="agents: [b, c]\ntools: {s: [web, crm]}",
            b="tools: {s: [send]}\napproval: {s/send: always}",
            c="tools: {s: [send]}",
        )
