"""A case may ask real servers of tools, have people answer, and hold what was done with leave and without. Promised by docs/agents.md."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONFIG = f"""
database: {{kind: sqlite, path: never.db}}
runs: {{}}
agents: {{folder: agents}}
tools:
  servers:
    desk:
      kind: stdio
      command: {sys.executable}
      args: [{ROOT / "tests" / "mcp_server_double.py"}, stdio]
      tools:
        echo: {{effect: read, outward: false}}
        structured: {{effect: read, outward: false}}
        count: {{effect: once, outward: false}}
    gone:
      kind: stdio
      command: there-is-no-such-program
      tools: {{look: {{effect: read, outward: false}}}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{thinker: play/thinker}}
"""
AGENT = "model: thinker\ntools: {desk: [echo, structured, count], gone: [look]}\n"
ASKS = "live: {desk: ['{folder}']}, user: [go], model: [{call: [{tool: desk/echo, arguments: {text: hello}}]}, {call: [{tool: desk/count, arguments: {text: one}}]}, {say: 'It said {result desk/echo}.'}]"
SAYS_YES = "answers: [{tool: desk/count}]"
ASKED = "asked: [{tool: desk/count, arguments: {text: one}}]"


class Place:
    """A configuration with one agent and a real server, and the command."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in {
            "switchgear.yaml": CONFIG,
            "script.yaml": "models: {thinker: {answers: []}}",
            "agents/clerk/agent.yaml": AGENT,
            "agents/clerk/instructions.md": "Be brief.",
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def run(self, *cases, verb="test"):
        (self.folder / "agents/clerk/cases.yaml").write_text("".join(f"- {{{case}}}\n" for case in cases))
        return subprocess.run(
            [sys.executable, "-m", "gateway", "agent", verb, *(["agents/clerk"] if verb == "test" else []), "--config", "switchgear.yaml"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_real_server_is_asked_and_people_answer_in_the_case(place):
    done = place.run(
        f"name: agreed, {ASKS}, {SAYS_YES}, expect: {{calls: [{{tool: desk/echo}}, {{tool: desk/count}}], {ASKED}, contains: [It said hello.], "
        "after: [{tool: desk/structured, result: {n: 3}}]}",
        f"name: denied, {ASKS}, answers: [{{tool: desk/count, approve: false, reason: Not now.}}], expect: {{calls: [{{tool: desk/echo}}], {ASKED}}}",
        f"name: nobody answers, {ASKS}, expect: {{status: waiting, calls: [{{tool: desk/echo}}], {ASKED}}}",
        "name: another server's tools are recorded, live: {desk: ['{folder}']}, user: [go], "
        "model: [{call: [{tool: gone/look, result: seen}]}, {say: 'I saw {result gone/look}'}], expect: {contains: [I saw seen]}",
    )

    assert "4 of 4 cases hold" in done.stdout, done.stdout


def test_what_does_not_hold_is_told(place):
    told = {
        f"name: a, {ASKS}, {SAYS_YES}, expect: {{asked: [{{tool: desk/count, arguments: {{text: two}}}}]}}": 'asked (- expected, + found)\n        - desk/count {"text":"two"}',
        f"name: b, {ASKS}, {SAYS_YES}, expect: {{{ASKED}, unasked: [{{tool: desk/count}}]}}": "unasked (- expected, + found)\n        - desk/count",
        f"name: c, {ASKS}, answers: [{{tool: desk/echo}}], expect: {{status: waiting, {ASKED}}}": "people were to be asked about desk/echo, and were asked about desk/count",
        f"name: d, {ASKS}, {SAYS_YES}, expect: {{{ASKED}, after: [{{tool: desk/structured, result: {{n: 2}}}}]}}": "after: desk/structured: result.n is 3, not 2",
        f"name: e, {ASKS}, {SAYS_YES}, expect: {{{ASKED}, after: [{{tool: desk/structured, result: {{m: 2}}}}]}}": "after: desk/structured: result has no 'm'",
    }  # fmt: skip
    done = place.run(*told)

    assert done.returncode == 1
    for words in told.values():
        assert words in done.stdout, done.stdout


def test_a_write_that_nobody_was_asked_about_fails_the_case(place):
    (place.folder / "policies").mkdir()
    (place.folder / "policies" / "p.cedar").write_text(
        '@id("free") @lifts("untrusted-write")\npermit (principal, action == Action::"call_tool", resource == Tool::"desk/count");\n'
    )
    with (place.folder / "switchgear.yaml").open("a") as config:
        config.write("policies: {folder: policies}\n")
    done = place.run(f"name: free, {ASKS}, expect: {{asked: []}}")

    assert 'unasked (- expected, + found)\n        + desk/count {"text":"one"}' in done.stdout


def test_a_server_that_cannot_be_started_is_told(place):
    done = place.run("name: gone, live: {gone: []}, user: [go], model: [{say: hello}]")

    assert "the run failed: tool_unreachable" in done.stdout


def test_what_a_case_asks_of_servers_is_checked_when_it_is_read(place):
    done = place.run(
        "name: a, live: {dask: []}, user: [go]",
        "name: b, user: [go], expect: {after: [{tool: desk/echo}]}",
        verb="check",
    )

    assert "live.dask: 'dask' is no server of this agent's tools; did you mean 'desk'?" in done.stdout
    assert "the server of 'desk/echo' is not asked in this case: write it under live" in done.stdout
