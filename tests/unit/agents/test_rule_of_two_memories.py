"""A memory carries what one agent has read to another: both are judged by what it can hold. Promised by docs/memory.md."""

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
memories:
  own: {}
  secret: {gives: {confidentiality: sensitive}}
  team: {scope: tenant}
  trusted: {scope: tenant, gives: {integrity: trusted}}
  each: {scope: agent, gives: {integrity: trusted}}
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
    """Read agents, given as name → the rest of the definition; give the names of those that are refused, with path and words."""
    (tmp_path / "switchgear.yaml").write_text(CONFIG)
    (tmp_path / "script.yaml").write_text("models: {chat: {answers: [{say: hello}]}}")

    def read(lifts=LIFTS, **agents):
        texts = (PolicyText(name="a.cedar", path="a.cedar", text=lifts),) if lifts else ()
        documents = PolicyDocuments(folder="", texts=texts, cases=(), zone=None, default="allow", digest=b"")
        for name, definition in agents.items():
            place = tmp_path / "agents" / name
            place.mkdir(parents=True)
            (place / "instructions.md").write_text("Be brief.")
            (place / "agent.yaml").write_text(f"model: chat\n{definition}\n")
        source = AgentSource(tmp_path / "switchgear.yaml", {})
        authorizer = Authorizer(open_rules(documents) if lifts else None, wall=lambda: 0.0)
        try:
            source.open(load(tmp_path / "switchgear.yaml", {}), authorizer)
        except ConfigError as error:
            return {fault.file.split("/")[-2]: (fault.path, fault.message) for fault in error.faults}
        return {}

    return read


def test_a_memory_that_all_users_write_is_untrusted_input(opened):
    refused = opened(a="tools: {s: [crm, send]}\nmemory: {name: team, write: false}")

    path, message = refused["a"]
    assert path == "tools"
    assert "reads what strangers may have written (memory/team)" in message


@pytest.mark.parametrize("memory", ["own", "trusted"])
def test_a_memory_that_nobody_feeds_with_what_strangers_wrote_is_none(opened, memory):
    assert opened(a=f"tools: {{s: [crm, send]}}\nmemory: {{name: {memory}, write: false}}") == {}


@pytest.mark.parametrize("memory", ["own", "trusted"])
def test_what_another_agent_reads_comes_by_way_of_the_memory_that_it_writes(opened, memory):
    reader = f"tools: {{s: [crm, send]}}\nmemory: {{name: {memory}, write: false}}"
    refused = opened(a=reader, b=f"tools: {{s: [web]}}\nmemory: {memory}")

    assert set(refused) == {"a"}
    assert f"memory/{memory}" in refused["a"][1]


def test_who_only_reads_a_memory_feeds_nobody(opened):
    both = "memory: {name: own, write: false}"

    assert opened(a=f"tools: {{s: [crm, send]}}\n{both}", b=f"tools: {{s: [web]}}\n{both}") == {}


def test_what_is_above_or_below_or_handed_over_feeds_it_too(opened):
    """c reads strangers, is called by b, which hands over to d, which writes."""
    refused = opened(
        a="tools: {s: [crm, send]}\nmemory: {name: own, write: false}",
        b="agents: [c]\nhandoffs: [d]",
        c="tools: {s: [web]}",
        d="memory: own",
    )

    assert set(refused) == {"a"}


def test_it_comes_through_two_memories(opened):
    refused = opened(
        a="tools: {s: [crm, send]}\nmemory: {name: own, write: false}",
        b="handoffs: [c]\nmemory: {name: trusted, write: false}",
        c="memory: own",
        d="tools: {s: [web]}\nmemory: trusted",
    )

    assert "a" in refused
    assert "memory/own" in refused["a"][1]


def test_an_agents_own_memory_is_fed_by_itself_alone(opened):
    assert opened(a="tools: {s: [crm, send]}\nmemory: each", b="tools: {s: [web]}\nmemory: each") == {}


def test_sensitive_content_comes_by_way_of_a_memory_as_well(opened):
    refused = opened(a="tools: {s: [web, send]}\nmemory: {name: own, write: false}", b="tools: {s: [crm]}\nmemory: own")

    assert "what is sensitive (memory/own)" in refused["a"][1]
    assert set(refused) == {"a"}


def test_a_memory_that_is_sensitive_by_itself_counts(opened):
    assert set(opened(a="tools: {s: [web, send]}\nmemory: {name: secret, write: false}")) == {"a"}


def test_writing_into_a_shared_memory_reaches_outside(opened):
    refused = opened(a="tools: {s: [web, crm]}\nmemory: team")

    assert "switchgear/memory_write" in refused["a"][1]


def test_writing_into_ones_own_does_not(opened):
    assert opened(a="tools: {s: [web, crm]}\nmemory: own") == {}


def test_leave_that_the_definition_asks_holds_the_write_back(opened):
    approval = "approval: {switchgear/memory_write: always, switchgear/memory_delete: always}"

    assert opened(a=f"tools: {{s: [web, crm]}}\nmemory: team\n{approval}") == {}


def test_the_built_in_rules_are_leave_enough(opened):
    assert opened(lifts="", a="tools: {s: [web, crm, send]}\nmemory: team") == {}
