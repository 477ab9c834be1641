"""A served gateway with everything behind /mcp that clients can meet: servers of tools by stdio and by HTTP, agents, and an authorization server."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import yaml
from anyio.from_thread import start_blocking_portal

from tests.mcp_door_world import TokenSite
from tests.oauth_double import oauth_site
from tests.tool_world import free_port, noted, web

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SECONDS = 60.0
PEPPER = "a-pepper-of-the-tests-that-is-long-enough"
OWN = {"outward": False, "gives": {"integrity": "trusted"}}
SCRIPT = {
    "models": {
        "clerk": {
            "answers": [
                {"when": {"contains": "slowly"}, "say": "one two three four five six", "pace": 0.1},
                {"when": {"contains": "count", "turn": 0}, "call": [{"tool": "desk__count", "arguments": {"text": "by an agent"}}]},
                {"when": {"tool_result": ""}, "say": "The tool said: {tool_result}"},
                {"say": "You said: {input}"},
            ]
        }
    }
}  # fmt: skip


def stdio(program, folder, tools, **more):
    folder.mkdir()
    args = [str(TESTS / program), "stdio", str(folder)]
    return {"kind": "stdio", "command": sys.executable, "args": args, "tools": tools, **more}


def configuration(folder, *, port, far, issuer):
    """Write down the whole configuration."""
    read, once = {"effect": "read", **OWN}, {"effect": "once", **OWN}
    (folder / "script.yaml").write_text(yaml.safe_dump(SCRIPT))
    clerk = folder / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "agent.yaml").write_text("model: clerk\ndescription: Talks.\ntools: {desk: [count]}\napproval: {desk/count: always}\n")  # fmt: skip
    (clerk / "instructions.md").write_text("Be brief.")
    desk = dict.fromkeys(("echo", "blocks", "structured", "fail", "raise", "hang"), read) | {
        "count": once,
        "pause": once,
    }
    document = {
        "server": {"drain_timeout": 0.2},
        "database": {"kind": "sqlite", "path": str(folder / "runs.db")},
        "access": {
            "pepper": "env:PEPPER",
            "bootstrap_key_file": str(folder / "first.key"),
            "keys_refresh": 0.1,
            "jwt": {"corp": {"issuer": issuer, "audience": ["https://elsewhere.example"], "jwks_url": f"{issuer}/keys"}},
        },
        "runs": {"lease": 5, "poll": 0.1},
        "providers": {"script": {"kind": "scripted", "document": str(folder / "script.yaml")}},
        "models": {"clerk": "script/clerk"},
        "agents": {"folder": str(folder / "agents")},
        "tools": {
            "public_url": f"http://127.0.0.1:{port}",
            "servers": {
                "desk": stdio("mcp_server_double.py", folder / "desk", desk),
                "far": {"kind": "http", "url": f"http://127.0.0.1:{far}/mcp", "tools": {"echo": read}},
                "office": stdio("mcp_asking_double.py", folder / "office", {"book": once, "pay": once}),
                "memos": stdio(
                    "mcp_offering_double.py",
                    folder / "memos",
                    {"advance": read, "change": once, "link": read},
                    resources=["memo://one", "memo://two", "memo://picture"],
                    resource_templates=["note"],
                    prompts=["greet", "extra"],
                ),
            },
        },
        "mcp": {
            "servers": {
                "desk": [*desk],
                "far": ["echo"],
                "office": ["book", "pay"],
                "memos": ["advance", "change", "link"],
            },
            "prefixes": {"far": ""},
            "agents": ["clerk"],
            "offers": ["memos"],
            "approval": {"desk/count": "always"},
            "clients": "trusted",
            "instructions": "Ask before you count.",
            "page": 4,
            "authorization": {
                "resource": f"http://127.0.0.1:{port}/mcp",
                "issuers": ["corp"],
                "required": ["mcp"],
                "scopes": {"tools:write": {"tools": ["desk/pause"]}},
            },
        },
    }  # fmt: skip
    (folder / "desk" / "extra").write_text("pause")
    (folder / "switchgear.yaml").write_text(yaml.safe_dump(document))


class World:
    """`url` is the gateway's, `mcp` that of /mcp; `site` gives out tokens."""

    def __init__(self, folder, port, site):
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.mcp = f"{self.url}/mcp"
        self.site = site
        self.key = ""

    @property
    def by_key(self):
        """How a client with the first key connects."""
        return {"url": self.mcp, "headers": {"authorization": f"Bearer {self.key}"}}

    @property
    def by_command(self):
        """How a client that starts a program does."""
        words = ["-m", "gateway", "mcp", "--url", self.url]
        env = {"PYTHONPATH": str(ROOT), "SWITCHGEAR_API_KEY": self.key, "PATH": os.environ["PATH"], "HOME": "/"}
        return {"command": sys.executable, "args": words, "env": env, "cwd": "/"}

    def asked(self, method, path, body=None):
        """Ask the admin API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)

    def agree(self, approval, **body):
        """Answer a question, as a person does."""
        return self.asked("POST", f"/admin/approvals/{approval}/approve", body)

    def noted(self, server, file="calls.jsonl"):
        """What a server has noted."""
        return noted(self.folder / server, file)

    def count(self, text):
        """How often the counting tool was called with a text."""
        return sum(call["arguments"] == {"text": text} for call in self.noted("desk") if call["tool"] == "count")


def until(holds, process, what):
    """Wait until something holds, of a process that runs."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert process.poll() is None, what()
        assert time.monotonic() < end, what()
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def served(folder):
    """The gateway as a process, with its tools, until the block ends."""
    port, far = free_port(), free_port()
    (folder / "far").mkdir()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(oauth_site(TokenSite)) as site,
        web(folder / "far", far),
        (folder / "serve.log").open("wb") as log,
    ):
        world = World(folder, port, site)
        site.url = world.mcp
        configuration(folder, port=port, far=far, issuer=site.issuer)
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", "switchgear.yaml", "--port", str(port)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "PEPPER": PEPPER},
            stdout=log,
            stderr=log,
        )
        try:
            until((folder / "first.key").exists, process, (folder / "serve.log").read_text)
            world.key = (folder / "first.key").read_text().strip()
            until(lambda: ready(world), process, (folder / "serve.log").read_text)
            yield world
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ready(world):
    """Whether all servers of tools are there."""
    try:
        servers = world.asked("GET", "/admin/tools")["data"]
    except OSError:
        return False
    return len(servers) == 4 and all(server["state"] == "ready" for server in servers)
