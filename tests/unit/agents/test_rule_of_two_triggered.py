"""What a trigger hands an agent was written by strangers: it counts as read when the agent is judged."""

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
        crm: {effect: read, outward: false, gives: {integrity: trusted, confidentiality: sensitive}}
        send: {effect: once, outward: true, gives: {integrity: trusted}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {chat: play/chat}
triggers:
"""
WEBHOOK = '{kind: webhook, agent: a, secret: "env:SECRET", fields: {a: /b}}'
SCHEDULE = '{kind: schedule, agent: a, cron: "0 9 * * *"}'
LIFTS = '@lifts("sensitive-outward, untrusted-write") permit (principal, action == Action::"call_tool", resource);'


def opened(folder, trigger, definition="tools: {s: [crm, send]}"):
    """Read an agent that a trigger starts, under a policy that lifts the built-in rules."""
    environ = {"SECRET": "s" * 32}
    (folder / "switchgear.yaml").write_text(f"{CONFIG}  one: {trigger}\n")
    (folder / "script.yaml").write_text("models: {chat: {answers: [{say: hello}]}}")
    place = folder / "agents" / "a"
    place.mkdir(parents=True)
    (place / "instructions.md").write_text("Be brief.")
    (place / "agent.yaml").write_text(f"model: chat\n{definition}\n")
    texts = (PolicyText(name="a.cedar", path="a.cedar", text=LIFTS),)
    rules = open_rules(PolicyDocuments(folder="", texts=texts, cases=(), zone=None, default="allow", digest=b""))
    authorizer = Authorizer(rules, wall=lambda: 0.0)
    return AgentSource(folder / "switchgear.yaml", environ).open(load(folder / "switchgear.yaml", environ), authorizer)


def test_an_agent_that_a_webhook_starts_may_not_have_secrets_and_reach_outside_unasked(tmp_path):
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, WEBHOOK)

    assert "triggers/one" in caught.value.faults[0].message


def test_one_that_a_schedule_starts_is_told_nothing_by_strangers(tmp_path):
    assert set(opened(tmp_path, SCHEDULE).agents) == {"a"}


def test_with_leave_of_a_person_it_may(tmp_path):
    assert opened(tmp_path, WEBHOOK, "tools: {s: [crm, send]}\napproval: {s/send: always}").agents


def test_a_trigger_names_an_agent_that_there_is(tmp_path):
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, SCHEDULE.replace("agent: a", "agent: aa"))

    assert (caught.value.faults[0].path, "did you mean 'a'?" in caught.value.faults[0].message) == (
        "triggers.one.agent",
        True,
    )
