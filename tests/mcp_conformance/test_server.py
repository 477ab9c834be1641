"""The official example server behind /mcp, with its names as they are, held to what each revision requires of a server: the whole way through the gateway."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.mcp_conformance.conftest import HOME, ROOT, required
from tests.tool_world import free_port

pytestmark = pytest.mark.mcp_conformance
CASES = [(revision, name) for revision in ("2026-07-28", "2025-11-25") for name in required("server", revision)]
SCRIPT = "models: {small: {answers: [{say: hello}]}}\n"


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def started(command, url, folder, name):
    """A program that listens where it is to."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HOME / 'example'}"},
        )
    until = time.monotonic() + 90
    while not answers(url):
        assert process.poll() is None, (folder / f"{name}.log").read_text()[-3000:]
        assert time.monotonic() < until, f"{name} does not answer"
        process_wait(process)
    return process


def process_wait(process):
    """Wait for a moment, or until the program ends."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return


LISTING = """
import anyio, json, sys
from mcp import Client
async def main():
    async with Client(sys.argv[1]) as c:
        print(json.dumps({
            "tools": [one.name for one in (await c.list_tools()).tools],
            "resources": [str(one.uri) for one in (await c.list_resources()).resources],
            "resource_templates": [one.name for one in (await c.list_resource_templates()).resource_templates],
            "prompts": [one.name for one in (await c.list_prompts()).prompts],
        }))
anyio.run(main)
"""


def listed(url):
    """What the example server has, by its kind: an operator writes each name down."""
    ran = subprocess.run([sys.executable, "-c", LISTING, url], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ran.stdout)


def configuration(folder, upstream, revision):
    """The gateway, with that server behind /mcp under an empty prefix, in the revision that its client speaks: the server asks in its words."""
    has = listed(upstream)
    tools = has.pop("tools")
    (folder / "script.yaml").write_text(SCRIPT)
    document = {
        "providers": {"script": {"kind": "scripted", "document": "script.yaml"}},
        "models": {"small": "script/small"},
        "database": {"kind": "sqlite", "path": "gateway.db"},
        "runs": {},
        "tools": {
            "servers": {
                "example": {
                    "kind": "http",
                    "url": upstream,
                    "protocol": "legacy" if revision == "2025-11-25" else "auto",
                    "pass_on": ["logging", "roots", "sampling"],
                    "tools": {name: {"effect": "read"} for name in tools},
                    **has,
                }
            }
        },
        "mcp": {
            "servers": {"example": tools},
            "prefixes": {"example": ""},
            "offers": ["example"],
            "clients": "trusted",
        },
    }
    (folder / "switchgear.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Gives where /mcp is, by revision."""
    with ExitStack() as open_:
        found = {}

        def address(revision):
            if revision not in found:
                found[revision] = open_.enter_context(running(tmp_path_factory, revision))
            return found[revision]

        yield address


@contextmanager
def running(tmp_path_factory, revision):
    """The gateway and the example server; gives where /mcp is."""
    folder: Path = tmp_path_factory.mktemp("mcp")
    there, here = free_port(), free_port()
    upstream, url = f"http://127.0.0.1:{there}/mcp", f"http://127.0.0.1:{here}"
    programs = []
    try:
        server = [sys.executable, "-m", "mcp_everything_server", "--port", str(there)]
        programs.append(started(server, upstream, folder, "example"))
        configuration(folder, upstream, revision)
        gateway = [sys.executable, "-m", "gateway", "serve", "-c", "switchgear.yaml", "--port", str(here)]
        programs.append(started(gateway, f"{url}/readyz", folder, "gateway"))
        yield f"{url}/mcp"
    finally:
        for program in reversed(programs):  # the gateway first: the other waits for its clients
            program.terminate()
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(20)


@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_what_is_behind_mcp_does_what_a_server_has_to(suite, addresses, revision, scenario):
    said = suite("server", scenario, revision, "--url", addresses(revision))

    assert "0 failed" in said
