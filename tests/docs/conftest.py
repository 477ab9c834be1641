"""What the documentation's examples run against: one real server, and for each page a directory and an environment.

The server is `switchgear serve` with examples/switchgear.yaml on a free port. The pages say 127.0.0.1:8080 for it and
127.0.0.1:9000 and 9001 for servers that they start themselves; all are translated on the way in, and back on the way out.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from gateway.config.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = "127.0.0.1:8080"
OWN_PORTS = ("9000", "9001")
BLOCK_SECONDS = 90
START_SECONDS = 40


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def environment(home: Path, bin_directory: Path) -> dict[str, str]:
    """What an operator would have set: the customary key variables, and `switchgear` on the path."""
    path = (str(bin_directory), str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin")
    keys = {preset.key_variable: "a-key-of-the-vendor" for preset in PRESETS.values() if preset.key_variable}
    return {
        **{name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TMPDIR")},
        **keys,
        "COHERE_API_KEY": "a-key-of-the-vendor",
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "SWITCHGEAR_KEY": "a-long-random-secret",
    }


class Server:
    """A running `switchgear serve`: where it listens, and what it printed when it began."""

    def __init__(self, process: subprocess.Popen[str], address: str, printed: str) -> None:
        self.process = process
        self.address = address
        self.printed = printed


def start_server(directory: Path, env: dict[str, str], *args: str) -> Server:
    """Start a server and wait until it answers. Its log goes to a file in `directory`."""
    log = directory / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            ["switchgear", "serve", *args], cwd=directory, env=env, text=True, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        return wait_until_it_answers(process)
    except BaseException as problem:
        process.kill()
        process.communicate(timeout=10)
        problem.add_note(log.read_text())
        raise


def wait_until_it_answers(process: subprocess.Popen[str]) -> Server:
    """Read what the server prints when it begins, up to the line to try."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "curl" in line:
            break
    assert lines, "the server did not start"
    address = lines[0].split("http://", 1)[1].split()[0]
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=2):
                return Server(process, address, "".join(lines))
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"


def stop_server(server: Server) -> int:
    """Stop it as an operator would; its exit status."""
    server.process.terminate()
    try:
        status = server.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        status = server.process.wait(timeout=10)
    assert server.process.stdout is not None
    server.process.stdout.close()
    return status


def furnish(directory: Path) -> dict[str, str]:
    """Copy what the pages refer to, and give the environment to run in."""
    for name in ("config", "examples"):
        shutil.copytree(ROOT / name, directory / name)
    commands = directory / ".bin"
    commands.mkdir()
    command = commands / "switchgear"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
    command.chmod(0o755)
    env = environment(directory, commands)
    # Files that configurations on the pages refer to; they are named there, and never read as what they are named.
    for name in ("secrets/any_other.key", "vllm-env/bin/python", "models/qwen2.5-1.5b-instruct-q4_k_m.gguf"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        # A GGUF file by its first bytes, a key by all of them.
        (directory / name).write_text("GGUF-or-a-key\n")
    shutil.copy(ROOT / "examples" / "demo.yaml", directory)
    return env


@pytest.fixture(scope="session")
def examples_server(tmp_path_factory):
    """The one server that all pages talk to."""
    directory = tmp_path_factory.mktemp("docs-server")
    server = start_server(directory, furnish(directory), "--config", "examples/switchgear.yaml", "--port", "0")
    yield server
    stop_server(server)


class Workplace:
    """One page's directory. Commands of the page run here, one after the other; files stay between them."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory = directory
        self.env = furnish(directory)
        self._there = (DOCUMENTED, server.address)
        self._own = {port: str(free_port()) for port in OWN_PORTS}

    def translate(self, text: str) -> str:
        """Put the real addresses into a page's text."""
        return re.sub(rf"\b({'|'.join(OWN_PORTS)})\b", lambda port: self._own[port[0]], text.replace(*self._there))

    def _back(self, text: str) -> str:
        text = text.replace(self._there[1], self._there[0])
        for port, own in self._own.items():
            text = text.replace(own, port)
        return text

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command; its status and its output, both streams together, with the page's addresses."""
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=BLOCK_SECONDS)
        except subprocess.TimeoutExpired:
            # With what it has started: a server in the background keeps the output open.
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate(timeout=10)
            return 124, f"{self._back(output)}\n(took more than {BLOCK_SECONDS} s)"
        return process.returncode, self._back(output)


@pytest.fixture
def workplace(tmp_path, examples_server):
    return Workplace(tmp_path, examples_server)


@pytest.fixture
def serve_default(tmp_path):
    """`switchgear serve` as `make serve` calls it, on a free port."""
    server = start_server(tmp_path, furnish(tmp_path), "--port", "0")
    yield server
    stop_server(server)
