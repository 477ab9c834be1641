"""An agent is a folder: what it may say, and how one that is at fault is refused. Promised by docs/agents.md."""

from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import ConfigError, load
from gateway.config.agent_documents import digest_agents_folder, load_agent_documents

CONFIG = """
database: {kind: sqlite, path: sg.db}
runs: {}
agents: {folder: agents}
tools:
  servers:
    files:
      {kind: stdio, command: files, tools: {read: {effect: read}, write: {}}}
    web:
      {kind: http, url: "http://127.0.0.1:1/mcp", tools: [search]}
protection:
  guardrails:
    polite: {kind: words, words: [rude], match: {models: [chat]}}
    ours: {kind: words, words: [secret], match: {tenants: [other]}}
providers: {play: {kind: scripted, document: script.yaml}}
models: {chat: play/chat, small: play/chat}
"""
WHOLE = """
model: chat
description: Answers questions about files.
label: "1.2"
instructions: words.md
tools:
  files: [read, write]
approval: {files/write: always}
guardrails: [polite]
limits: {steps: 5, tool_calls: 3, tokens: 1000, cost: 0.5, seconds: 60}
parallel_tool_calls: false
temperature: 0.5
max_output_tokens: 100
output: {schema: {type: object, properties: {answer: {type: string}}}, name: reply}
"""


class Folder:
    """A configuration with a folder of agents."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "switchgear.yaml").write_text(CONFIG)
        (base / "script.yaml").write_text("models: {chat: {answers: [{say: hello}]}}")
        (base / "agents").mkdir()

    def write(self, agent: str, name: str, text: str) -> Path:
        path = self.base / "agents" / agent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        return path

    def agent(self, definition: str, name: str = "clerk", **files: str) -> Path:
        self.write(name, "instructions.md", "Be brief.\n")
        for file, text in files.items():
            self.write(name, file.replace("_", "."), text)
        return self.write(name, "agent.yaml", definition)

    def load(self):
        settings = load(self.base / "switchgear.yaml", {})
        return load_agent_documents(settings, base=self.base, environ={})

    def faults(self) -> list[tuple[str, int, str, str]]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return [(Path(fault.file).name, fault.line, fault.path, fault.message) for fault in caught.value.faults]

    def digest(self) -> bytes:
        settings = load(self.base / "switchgear.yaml", {}).agents
        assert settings is not None
        return digest_agents_folder(settings, base=self.base, environ={})


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


def test_a_definition_is_read_whole(folder):
    folder.agent(WHOLE, words_md="You read files.\n\n")

    agent = folder.load().agents["clerk"]

    assert (agent.name, agent.model, agent.instructions) == ("clerk", "agent/clerk", "You read files.")
    assert agent.settings.tools == {"files": ("read", "write")}
    assert agent.settings.approval == {"files/write": "always"}
    assert (agent.settings.limits.steps, agent.settings.limits.cost) == (5, 0.5)
    assert agent.schema == {"type": "object", "properties": {"answer": {"type": "string"}}}
    assert agent.version.startswith("1.2+")


def test_without_the_section_there_are_no_agents(folder):
    folder.agent("model: nobody\n")
    text = (folder.base / "switchgear.yaml").read_text().replace("agents: {folder: agents}\n", "")
    (folder.base / "switchgear.yaml").write_text(text)

    assert folder.load().agents == {}


def test_a_schema_may_be_a_file(folder):
    folder.agent("model: chat\noutput: {file: answer.json}\n", answer_json='{"type": "object"}')

    assert folder.load().agents["clerk"].schema == {"type": "object"}


@pytest.mark.parametrize(
    ("definition", "line", "path", "message"),
    [
        ("model: chatt\n", 1, "model", "no model is named 'chatt'; did you mean 'chat'?"),
        ("model: chat\ndescripton: x\n", 2, "descripton", "unknown key 'descripton'; did you mean 'description'?"),
        ("description: x\n", 1, "", "missing key 'model'"),
        ("model: chat\ntools:\n  fles: [read]\n", 3, "tools.fles", "did you mean 'files'?"),
        ("model: chat\ntools:\n  files:\n  - read\n  - wriet\n", 5, "tools.files[1]", "did you mean 'write'?"),
        ("model: chat\ntools: {files: ['*']}\n", 2, "tools.files[0]", "a wildcard would let in"),
        ("model: chat\ntools: {files: [read*]}\n", 2, "tools.files[0]", "a wildcard would let in"),
        ("model: chat\ntools: {files: [read, read]}\n", 2, "tools.files[1]", "'read' is listed twice"),
        ("model: chat\ntools: {files: []}\n", 2, "tools.files", "expected at least one item"),
        (
            "model: chat\ntools: {files: [read]}\napproval: {files/write: always}\n",
            3,
            "approval.files/write",
            "'files/write' is no tool of this agent",
        ),
        ("model: chat\nagents: [nobody]\n", 2, "agents[0]", "no agent is named 'nobody' (known: clerk)"),
        ("model: chat\nagents: [clerck]\n", 2, "agents[0]", "did you mean 'clerk'?"),
        ("model: chat\nagents: ['*']\n", 2, "agents[0]", "at most 40 small letters"),
        ("model: chat\nagents: [clerk]\n", 2, "agents[0]", "agents call each other in a circle: clerk → clerk"),
        (
            "model: chat\napproval: {agents/clerk: always}\n",
            2,
            "approval.agents/clerk",
            "'agents/clerk' is no tool of this agent",
        ),
        ("model: chat\nguardrails: [polit]\n", 2, "guardrails[0]", "did you mean 'polite'?"),
        ("model: chat\nguardrails: [ours]\n", 2, "guardrails[0]", "does not stand around every call"),
        ("model: small\nguardrails: [polite]\n", 2, "guardrails[0]", "does not stand around every call"),
        ("model: chat\nlimits: {steps: 0}\n", 2, "limits.steps", "expected a whole number of at least 1"),
        ("model: chat\ninstructions: other.md\n", 2, "instructions", "there is no file 'other.md' beside agent.yaml"),
        ("model: chat\ninstructions: ../x.md\n", 2, "instructions", "outside the agent's folder"),
        ("model: chat\noutput: {name: x}\n", 2, "output", "expected either file or schema"),
        ("model: chat\nmodel: chat\n", 2, "model", "duplicate key 'model'"),
        (
            "model: chat\nmemory: {name: notez}\n",
            2,
            "memory.name",
            "no memory is named 'notez' in memories (there is none)",
        ),
        ("model: chat\nretrieval: [x]\n", 2, "retrieval", "no knowledge base is named 'x' (there is none)"),
        ("model: chat\nhandoffs: [clerk]\n", 2, "handoffs[0]", "an agent cannot hand over to itself"),
        ("model: chat\nhandoffs: [other]\n", 2, "handoffs[0]", "no agent is named 'other' (there is none)"),
        ("model: chat\nlabel: 'a b'\n", 2, "label", "at most 40 letters"),
    ],
)
def test_a_fault_is_told_by_file_line_and_path(folder, definition, line, path, message):
    folder.agent(definition)

    (found,) = folder.faults()

    assert found[:3] == ("agent.yaml", line, path)
    assert message in found[3]


def test_agents_that_call_each_other_in_a_circle_are_refused_with_the_way(folder):
    folder.agent("model: chat\nagents: [b]\n", "a")
    folder.agent("model: chat\nagents:\n- d\n- c\n", "b")
    folder.agent("model: chat\nagents: [b]\n", "c")
    folder.agent("model: chat\n", "d")

    assert folder.faults() == [("agent.yaml", 2, "agents[0]", "agents call each other in a circle: b → c → b")]


def test_a_circle_that_leads_over_a_transfer_is_one(folder):
    folder.agent("model: chat\nagents: [b]\n", "a")
    folder.agent("model: chat\nhandoffs: [c]\n", "b")
    folder.agent("model: chat\ndescription: x\nagents: [a]\n", "c")

    message = "agents call each other in a circle: a → b → c → a"
    assert folder.faults() == [("agent.yaml", 3, "agents[0]", message)]


def test_a_chain_counts_calls_and_no_transfers(folder):
    text = (folder.base / "switchgear.yaml").read_text().replace("runs: {}", "runs: {agent_depth: 1}")
    (folder.base / "switchgear.yaml").write_text(text)
    folder.agent("model: chat\nagents: [b]\n", "a")
    folder.agent("model: chat\nhandoffs: [c]\n", "b")
    folder.agent("model: chat\nagents: [d]\n", "c")
    folder.agent("model: chat\n", "d")

    message = "a → b → c → d is 2 levels deep, and runs.agent_depth is 1"
    assert folder.faults() == [("agent.yaml", 2, "agents[0]", message)]


def test_agents_that_two_others_call_are_no_circle(folder):
    folder.agent("model: chat\nagents: [b, c]\napproval: {agents/b: always}\n", "a")
    folder.agent("model: chat\nagents: [d]\n", "b")
    folder.agent("model: chat\nagents: [d]\n", "c")
    folder.agent("model: chat\n", "d")

    assert folder.load().agents["a"].settings.agents == ("b", "c")


def test_chains_of_agents_are_no_longer_than_the_server_allows(folder):
    text = (folder.base / "switchgear.yaml").read_text().replace("runs: {}", "runs: {agent_depth: 2}")
    (folder.base / "switchgear.yaml").write_text(text)
    for name, other in (("a", "b"), ("b", "c"), ("c", "d")):
        folder.agent(f"model: chat\nagents: [{other}]\n", name)
    folder.agent("model: chat\n", "d")

    message = "a → b → c → d is 3 levels deep, and runs.agent_depth is 2"
    assert folder.faults() == [("agent.yaml", 2, "agents[0]", message)]


def test_every_fault_of_every_agent_is_told_at_once(folder):
    folder.agent("model: chatt\nfoo: 1\n", "one")
    folder.agent("model: smal\n", "two")
    folder.agent("model: chat\n", "three")

    assert len(folder.faults()) == 3


def test_a_folder_is_named_as_models_can_be(folder):
    folder.agent("model: chat\n", "My Agent")

    assert "an agent's folder has its name" in folder.faults()[0][3]


def test_a_folder_without_a_definition_is_no_agent(folder):
    folder.write("shared", "notes.md", "nothing")
    folder.agent("model: chat\n")

    assert list(folder.load().agents) == ["clerk"]


@pytest.mark.parametrize("name", ["instructions.md", "cases.yaml", "notes.txt"])
def test_a_version_changes_with_every_byte_of_the_folder(folder, name):
    folder.agent("model: chat\n")
    before, digest = folder.load().agents["clerk"].version, folder.digest()
    folder.write("clerk", name, "- {name: a, user: [hi]}\n")

    after = folder.load().agents["clerk"].version

    assert before != after
    assert digest != folder.digest()


def test_an_agent_keeps_its_version_when_another_changes(folder):
    folder.agent("model: chat\n")
    before = folder.load().agents["clerk"].version
    folder.agent("model: chat\n", "other")

    assert folder.load().agents["clerk"].version == before


def test_text_that_is_no_text_is_refused_with_its_line(folder):
    folder.agent("model: chat\n")
    (folder.base / "agents" / "clerk" / "instructions.md").write_bytes(b"one\n\xff\n")

    assert folder.faults() == [("instructions.md", 2, "", "the file is not UTF-8 text")]


def test_a_schema_that_is_no_json_is_refused(folder):
    folder.agent("model: chat\noutput: {file: answer.json}\n", answer_json="[1]")

    assert folder.faults()[0][0] == "answer.json"


def test_a_folder_that_is_too_large_is_refused(folder):
    folder.agent("model: chat\n")
    folder.write("clerk", "big.md", "x" * 1_100_000)

    assert "larger than" in folder.faults()[0][3]


def test_cases_are_read_with_their_lines(folder):
    folder.agent(
        "model: chat\ntools: {files: [read]}\n",
        cases_yaml="""\
            - name: reads
              user: [What is in a?]
              model:
              - call: [{tool: files/read, arguments: {name: a}, result: "1"}]
              - say: It is 1.
              expect: {contains: ["1"], calls: [{tool: files/read}]}
            """,
    )

    (case,) = folder.load().cases["clerk"]

    assert (case.line, case.case.name) == (1, "reads")
    assert case.case.model[0].call[0].arguments == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("- {name: a, user: [x], expct: {}}", "[0].expct", "did you mean 'expect'?"),
        ("- {name: a}", "[0]", "missing key 'user'"),
        ("name: a", "", "expected a list of cases"),
        (
            "- {name: a, user: [x], expect: {approvals: [files/write]}}",
            "[0].expect.approvals[0]",
            "'files/write' is no tool of this agent",
        ),
        (
            "- {name: a, user: [x], model: [{call: [{tool: files/write}]}]}",
            "[0].model[0].call[0].tool",
            "'files/write' is no tool of this agent",
        ),
    ],
)
def test_a_case_at_fault_is_refused(folder, text, path, message):
    folder.agent("model: chat\ntools: {files: [read]}\n", cases_yaml=text)

    (found,) = folder.faults()

    assert (found[0], found[2]) == ("cases.yaml", path)
    assert message in found[3]


def test_who_hands_over_to_whom_is_read(folder):
    folder.agent("model: chat\nhandoffs: [two]\n", "one")
    folder.agent("model: chat\nhandoffs: [one]\n", "two")

    assert folder.load().agents["one"].settings.handoffs == ("two",)


def test_an_agent_to_hand_over_to_that_there_is_not_has_a_near_name(folder):
    folder.agent("model: chat\nhandoffs:\n- billng\n- billing\n- billing\n", "front")
    folder.agent("model: chat\n", "billing")

    assert folder.faults() == [
        ("agent.yaml", 3, "handoffs[0]", "no agent is named 'billng'; did you mean 'billing'?"),
        ("agent.yaml", 5, "handoffs[2]", "'billing' is listed twice"),
    ]


def test_a_case_has_the_tools_of_all_that_may_take_over(folder):
    folder.agent(
        "model: chat\nhandoffs: [two]\n",
        "one",
        cases_yaml="""\
            - name: hands over
              user: [read it]
              expect: {calls: [{tool: switchgear/transfer_to_two}, {tool: switchgear/transfer_to_three}, {tool: files/read}]}
            """,
    )
    folder.agent("model: chat\nhandoffs: [three]\n", "two")
    folder.agent("model: chat\ntools: {files: [read]}\n", "three")

    (case,) = folder.load().cases["one"]

    assert len(case.case.expect.calls or ()) == 3


def test_no_server_of_tools_has_the_name_of_the_servers_own(folder):
    text = (folder.base / "switchgear.yaml").read_text().replace("    web:", "    switchgear:")
    (folder.base / "switchgear.yaml").write_text(text)

    (found,) = folder.faults()

    assert found[2] == "tools.servers.switchgear"
    assert "is the name of the tools that every run has" in found[3]


def test_agents_need_runs(tmp_path, configuration):
    faults = configuration.faults(
        "agents: {}\nproviders: {local: {kind: embedded}}\nmodels: {small: local/smollm2-135m-instruct}\n"
    )

    assert [(fault.path, fault.message) for fault in faults] == [
        ("agents", "what agents do is kept as runs: write the section runs, and database")
    ]
