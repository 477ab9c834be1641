"""`switchgear knowledge` needs no server, and cases of agents search as it is or as recorded. Promised by docs/knowledge.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONFIG = """
database: {kind: sqlite, path: never.db}
runs: {}
agents: {folder: agents}
policies: {folder: policies, default: allow}
providers: {play: {kind: scripted, document: script.yaml}}
models: {thinker: play/thinker}
tools:
  servers:
    desk: {kind: stdio, command: there-is-no-such-program, tools: {send: {effect: once, gives: {integrity: trusted}}}}
knowledge:
  handbook: {folder: handbook, gives: {integrity: trusted, confidentiality: sensitive}}
  wiki: {folder: wiki, description: Anybody's.}
"""
SEARCH = "call: [{tool: knowledge/search_knowledge, arguments: {query: disk}%s}]"
CASES = f"""
- name: searched as it is
  live: {{knowledge: []}}
  user: [go]
  model: [{{{SEARCH % ""}}}, {{say: "{{result knowledge/search_knowledge}}"}}]
  expect: {{calls: [{{tool: knowledge/search_knowledge}}], contains: ["handbook: a.md", "The disk is full"], lacks: [stranger]}}
- name: recorded
  user: [go]
  model: [{{{SEARCH % ", result: Nothing."}}}, {{say: "{{result knowledge/search_knowledge}}"}}]
  expect: {{contains: [Nothing.], lacks: [The disk]}}
"""
FILES = {
    "switchgear.yaml": CONFIG,
    "script.yaml": "models: {thinker: {answers: []}}",
    "handbook/a.md": "# Disks\n\nThe disk is full.\n",
    "wiki/b.txt": "A stranger's disk.\n",
    "agents/clerk/agent.yaml": "model: thinker\nretrieval: [handbook]\n",
    "agents/clerk/instructions.md": "Be brief.",
    "agents/clerk/cases.yaml": CASES,
    "policies/free.cedar": '@id("free") @lifts("sensitive-outward, untrusted-write")\n'
    'permit (principal, action == Action::"call_tool", resource == Tool::"desk/send");\n',
}


@pytest.fixture
def place(tmp_path: Path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def run(place):
    return lambda *words: subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", str(place / "switchgear.yaml")],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_bases_are_listed(run):
    found = run("knowledge", "list", "--json")

    assert [(base["base"], base["documents"], base["integrity"]) for base in json.loads(found.stdout)] == [
        ("handbook", 1, "trusted"),
        ("wiki", 1, "untrusted"),
    ]
    assert "Anybody's." in run("knowledge", "list").stdout


def test_a_base_is_searched(run):
    found = run("knowledge", "search", "handbook", "DISK full")

    assert found.returncode == 0
    assert found.stdout.strip().endswith("a.md:1-3 Disks")
    (passage,) = json.loads(run("knowledge", "search", "handbook", "disk", "--json").stdout)
    assert (passage["file"], passage["text"]) == ("a.md", "# Disks\n\nThe disk is full.")


def test_nothing_found_and_no_such_base_are_said(run):
    assert run("knowledge", "search", "handbook", "zebra").stderr == "no passage has any of these words\n"
    missed = run("knowledge", "search", "handbok", "disk")
    assert (missed.returncode, missed.stderr) == (1, "no knowledge base is named 'handbok'; did you mean 'handbook'?\n")


def test_a_broken_folder_is_a_fault_of_the_configuration(run, place):
    (place / "wiki" / "bad.txt").write_bytes(b"\xff")

    for words in (("check",), ("knowledge", "list")):
        found = run(*words)
        assert found.returncode == 1
        assert "wiki/bad.txt:1: knowledge.wiki: the file is not UTF-8 text" in found.stderr


def test_cases_search_as_it_is_or_as_recorded(run):
    done = run("agent", "test", "clerk")

    assert "2 of 2 cases hold" in done.stdout, done.stdout


def test_a_base_that_there_is_not_is_refused_where_it_is_named(run, place):
    (place / "agents/clerk/agent.yaml").write_text("model: thinker\nretrieval:\n  handbok: {limit: 3}\n")
    with (place / "switchgear.yaml").open("a") as config:
        config.write("mcp: {knowledge: [wikki, wiki, wiki]}\n")
    found = run("check")

    assert "mcp.knowledge[0]: no knowledge base is named 'wikki'; did you mean 'wiki'?" in found.stderr
    assert "mcp.knowledge[2]: 'wiki' is listed twice" in found.stderr
    (place / "switchgear.yaml").write_text(CONFIG)
    assert "clerk/agent.yaml:3: retrieval.handbok: no knowledge base is named 'handbok'; did you mean 'handbook'?" in (
        run("check").stderr
    )


def test_an_agent_of_a_strangers_base_a_secret_one_and_an_outward_tool_is_refused(run, place):
    written = "model: thinker\nretrieval: [%s]\ntools: {desk: [send]}\n"
    (place / "agents/clerk/cases.yaml").unlink()
    (place / "agents/clerk/agent.yaml").write_text(written % "handbook, wiki")
    refused = run("check").stderr
    (place / "agents/clerk/agent.yaml").write_text(written % "handbook")
    allowed = run("check")

    assert "at most two of these" in refused
    assert "knowledge/wiki" in refused
    assert allowed.returncode == 0, allowed.stderr


def test_no_server_of_tools_can_take_the_name(run, place):
    (place / "switchgear.yaml").write_text(CONFIG.replace("    desk:", "    knowledge:"))

    assert "'knowledge' is the name of the search in knowledge bases: choose another" in run("check").stderr


def test_a_workflow_searches_nothing_itself(run, place):
    (place / "agents/flow").mkdir()
    (place / "agents/flow/agent.yaml").write_text("workflow: {agent: clerk}\nretrieval: [handbook]\n")

    assert "flow/agent.yaml:2: retrieval: a workflow has no retrieval" in run("check").stderr
