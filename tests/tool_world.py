"""A hub over real MCP servers: programs spoken to by stdio, and the same by HTTP in a process of its own."""

import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from gateway.config.tool_settings import HttpServerSettings, StdioServerSettings, ToolHubSettings, ToolSettings
from gateway.core.caller import ANONYMOUS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.providers.supervisor import RestartPolicy
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.hub import ToolAsked
from gateway.tools.server_hub import ServerHub

DOUBLE = str(Path(__file__).with_name("mcp_server_double.py"))
ASKING = str(Path(__file__).with_name("mcp_asking_double.py"))
OFFERING = str(Path(__file__).with_name("mcp_offering_double.py"))
RAW = str(Path(__file__).with_name("mcp_raw_double.py"))
QUICK = RestartPolicy(first_delay=0.05, longest_delay=0.2, quick=5, crash_limit=3, slow=60)
READS = ("echo", "zebra", "structured", "unstructured", "blocks", "with.dots", "environment", "fail", "raise")
OTHERS = ("hang", "huge", "die", "spawn")


def allowed(*names, **about):
    """Tools as the operator names them; those that read may be asked twice."""
    names = names or (*READS, *OTHERS)
    return {
        name: ToolSettings(**({"effect": "read" if name in READS else "once", "timeout": 20.0} | about))
        for name in names
    }


def stdio(folder, *, program=DOUBLE, mode="stdio", tools=None, **fields):
    """A server that is a program."""
    command = {"command": sys.executable, "args": (program, mode, str(folder))}
    return StdioServerSettings(**(command | {"tools": tools or allowed()} | fields))


def http(port, *, tools=None, **fields):
    """A server that is reached by HTTP."""
    return HttpServerSettings(url=f"http://127.0.0.1:{port}/mcp", tools=tools or allowed(), **fields)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def web(folder, port, *, program=DOUBLE):
    """The double behind HTTP, until the block ends. It listens when the block begins."""
    process = subprocess.Popen([sys.executable, program, "http", str(folder), str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            assert process.poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def hub_over(servers, *, pins=None, environment=None, policy=QUICK):
    """A hub that runs."""
    judging = Judging()
    hub = ServerHub(
        pins=pins or PinsInMemory(),
        judging=judging,
        clock=SYSTEM_CLOCK,
        environment=environment or {"PATH": "/usr/bin:/bin"},
        policy=policy,
    )
    hub.configure(ToolHubSettings(servers=servers))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.run)
        try:
            yield hub
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await judging.aclose()


async def until(holds, seconds=60):
    """Wait until something holds: as long as a program may need to start on a machine with much else to do, where nothing is said."""
    with anyio.fail_after(seconds):
        while not holds():
            await anyio.sleep(0.01)


async def ready(hub, *names):
    """Wait until servers are ready."""
    await until(lambda: all(hub.server(name).state == "ready" for name in names))


async def tool_of(hub, server, name):
    await ready(hub, server)
    return next(tool for tool in await hub.tools(server) if tool.name == name)


async def call(hub, server, name, arguments=None, *, key="key-1", tool=None, caller=ANONYMOUS, **more):
    """Call a tool as a run does."""
    tool = tool or await tool_of(hub, server, name)
    asked = ToolAsked(tool=tool, arguments=arguments or {}, key=key, caller=caller, run="run_1", **more)
    return await hub.call(asked)


def noted(folder, file):
    """What the double has noted."""
    path = Path(folder) / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
