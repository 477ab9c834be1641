"""Codex CLI and Claude Code beside a running Switchgear, with a scripted model behind it: directly, and over each API.

The programs are installed by scripts/setup-agent-clis.sh. They get a home, a project and an environment of their own, and
no way out of this machine: whatever is not on loopback goes to a proxy that is not there.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MODULES = ROOT / ".agent-clis" / "node_modules"
RUN_SECONDS = 60
NOTE = "the secret word is heliotrope"

EDGE = """
providers:
  script: {{kind: scripted, document: {script}}}
  local: {{kind: embedded}}
  chat: {{kind: openai, base_url: "{upstream}/v1", apis: [chat], api_key: "env:UPSTREAM_KEY"}}
  messages: {{kind: anthropic, base_url: "{upstream}", api_key: "env:UPSTREAM_KEY"}}
  responses: {{kind: openai, base_url: "{upstream}/v1", apis: [responses], api_key: "env:UPSTREAM_KEY"}}
models:
  scripted: script/coder
  # What the clients do about a busy upstream is asked here, so the gateway does not ask it again by itself.
  flaky-for-codex: {{targets: [{{provider: script, model: coder-for-codex}}], routing: {{retry: {{attempts: 1}}}}}}
  flaky-for-sockets: {{targets: [{{provider: script, model: coder-for-sockets}}], routing: {{retry: {{attempts: 1}}}}}}
  flaky-for-claude: {{targets: [{{provider: script, model: coder-for-claude}}], routing: {{retry: {{attempts: 1}}}}}}
  embedded: {{targets: [{{provider: local, model: smollm2-135m-instruct}}], on_unsupported: drop}}
  over-chat: {{targets: [{{provider: chat, model: coder}}], on_unsupported: drop}}
  over-chat-strictly: chat/coder
  over-messages: {{targets: [{{provider: messages, model: coder}}], on_unsupported: drop}}
  over-responses: {{targets: [{{provider: responses, model: coder}}], on_unsupported: drop}}
"""
UPSTREAM = """
providers:
  script: {{kind: scripted, document: {script}}}
models:
  coder: script/coder
"""


class Gateway:
    """A running `switchgear serve` with a log that says what became of each call."""

    def __init__(self, directory: Path, configuration: str) -> None:
        self._marks: set[str] = set()
        self._pause = threading.Event()
        directory.mkdir()
        (directory / "switchgear.yaml").write_text(configuration)
        self._log = directory / "serve.log"
        with self._log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "-c", "switchgear.yaml", "--port", "0"],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(ROOT), "UPSTREAM_KEY": "a-key"},
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert "http://" in first, f"the server did not start: {first}{self._log.read_text()}"
        self.address = "http://" + first.split("http://", 1)[1].split()[0]

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far, in the order in which they ended."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "call.finished"]

    def settle(self) -> list[dict[str, Any]]:
        """The same, once the log has all that ended before now: a call of our own is its last line, and is left out."""
        question = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": "PLAIN mark"}]}).encode()
        request = urllib.request.Request(
            f"{self.address}/v1/chat/completions", question, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            mark = answer.headers["x-switchgear-call-id"]
        self._marks.add(mark)
        deadline = time.monotonic() + 10
        while not any(call["id"] == mark for call in self.calls()):
            assert time.monotonic() < deadline, f"the log has no end: {self._log.read_text()}"
            self._pause.wait(0.02)
        return [call for call in self.calls() if call["id"] not in self._marks]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agent-clis")
    upstream = Gateway(folder / "upstream", UPSTREAM.format(script=HERE / "upstream.yaml"))
    try:
        edge = Gateway(folder / "edge", EDGE.format(script=HERE / "upstream.yaml", upstream=upstream.address))
        try:
            yield edge
        finally:
            edge.stop()
    finally:
        upstream.stop()


class Run:
    """What a program printed, one JSON document a line, and the calls that it made meanwhile."""

    def __init__(self, done: subprocess.CompletedProcess[str], calls: list[dict[str, Any]]) -> None:
        self.status = done.returncode
        self.text = done.stdout + done.stderr
        self.lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.calls = calls
        self.statuses = [call["status"] for call in calls]


class Project:
    """A folder with a note in it, a home, and the environment that the programs run in."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.gateway = gateway
        self.folder = folder / "project"
        self.home = folder / "home"
        for made in (self.folder, self.home):
            made.mkdir()
        (self.folder / "note.txt").write_text(NOTE + "\n")
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "NO_PROXY": "127.0.0.1", **nowhere}

    def run(self, command: list[str], **more: str) -> Run:
        before = len(self.gateway.settle())
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **more},
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Run(done, self.gateway.settle()[before:])


@pytest.fixture
def project(tmp_path, gateway):
    yield Project(tmp_path, gateway)
    shutil.rmtree(tmp_path, ignore_errors=True)


def installed(pattern: str) -> str:
    """The native program inside its platform's package."""
    found = sorted(MODULES.glob(pattern))
    assert found, f"{pattern} is not in .agent-clis: run scripts/setup-agent-clis.sh (make test-clis does)"
    return str(found[0])


@pytest.fixture
def codex(project):
    """Run `codex exec` with a provider of its own in config.toml, as docs/clients-codex-claude.md says."""
    program = installed("@openai/codex-*/vendor/*/bin/codex")
    (project.home / ".codex").mkdir()
    (project.home / ".codex" / "config.toml").write_text(
        f"""
model_provider = "switchgear"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.switchgear]
name = "Switchgear"
base_url = "{project.gateway.address}/v1"
wire_api = "responses"
env_key = "SWITCHGEAR_KEY"
"""
    )

    def run(model: str, task: str, *options: str) -> Run:
        # The kernel's sandbox is Codex's own affair, and not every test machine has one.
        fixed = ["--skip-git-repo-check", "--sandbox", "danger-full-access", "--json", "--model", model]
        return project.run([program, "exec", *fixed, *options, task], SWITCHGEAR_KEY="a-key")

    return run


@pytest.fixture
def claude(project):
    """Run `claude -p`, as docs/clients-codex-claude.md says."""
    program = installed("@anthropic-ai/claude-code-*/claude")

    def run(model: str, task: str, *options: str, **more: str) -> Run:
        form = ["--output-format", "stream-json", "--verbose"]
        return project.run(
            [program, "-p", task, *form, *(options or ("--allowedTools", "Bash(cat:*)", "Read"))],
            ANTHROPIC_BASE_URL=project.gateway.address,
            ANTHROPIC_AUTH_TOKEN="a-key",
            ANTHROPIC_MODEL=model,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            DISABLE_AUTOUPDATER="1",
            DISABLE_TELEMETRY="1",
            **more,
        )

    return run
