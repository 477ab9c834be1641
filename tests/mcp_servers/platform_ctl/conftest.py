"""A small shop on the simulated cluster, and the program as whoever uses it runs it: by stdio, with a real MCP client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest
import yaml
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[3]
COMMAND = "-m", "mcp_servers.platform_ctl", "--config"


class Control:
    """The tools, with the environment `test` where none is given."""

    def __init__(self, client):
        self.client = client

    async def ask(self, verb, **arguments):
        result = await self.client.call_tool(verb, {"environment": "test", **arguments})
        assert not result.is_error, result.content[0].text
        return result.structured_content

    async def refusal(self, verb, **arguments):
        result = await self.client.call_tool(verb, {"environment": "test", **arguments})
        assert result.is_error, result.structured_content
        return result.content[0].text

    async def workload(self, path):
        namespace, name = path.split("/")
        return (await self.ask("describe", namespace=namespace, workload=name))["workload"]


@pytest.fixture
def control_of():
    """Give the program with a configuration."""

    @contextlib.asynccontextmanager
    async def opened(config, **env):
        env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **env}
        parameters = StdioServerParameters(command=sys.executable, args=[*COMMAND, str(config)], env=env)
        with anyio.fail_after(120):
            async with Client(parameters) as client:
                yield Control(client)

    return opened


@pytest.fixture
def configured(tmp_path):
    """Write a configuration whose environment `test` is on a platform."""

    def write(platform, **more):
        settings = {
            "namespaces": ["shop", "data"],
            "writes": ["restart", "scale", "rollback", "drain"],
            "platform": platform,
        }
        settings |= {"nodes": ["node-1", "node-2"], "scale": {"shop/*": {"least": 1, "most": 6}}}
        settings |= {name: more.pop(name) for name in list(more) if name in settings}
        path = tmp_path / "platform_ctl.yaml"
        whole = {"journal": "journal.jsonl", "post_check": {"seconds": 60}, "environments": {"test": settings}}
        path.write_text(yaml.safe_dump(whole | more))
        return path

    return write


CALL = """
import asyncio, json, sys
from mcp import Client, StdioServerParameters
async def main():
    config, path, verb, arguments, env = sys.argv[1:]
    program = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_servers.platform_ctl", "--config", config], env={"PYTHONPATH": path, **json.loads(env)}
    )
    async with Client(program) as client:
        await client.call_tool(verb, {"environment": "test", **json.loads(arguments)})
asyncio.run(main())
"""


@pytest.fixture
def kill_in_the_middle():
    """Have a call made by a client of its own, and kill the program (kill -9) once something holds."""

    async def run(config, verb, arguments, until, **env):
        command = [sys.executable, "-c", CALL, str(config), str(ROOT), verb, json.dumps(arguments), json.dumps(env)]
        caller = await anyio.to_thread.run_sync(
            lambda: subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
        )
        try:
            with anyio.fail_after(60):
                while not until():
                    await anyio.sleep(0.02)
            [program] = [each for each in psutil.Process(caller.pid).children() if str(config) in each.cmdline()]
            program.send_signal(signal.SIGKILL)
            await anyio.to_thread.run_sync(lambda: program.wait(20))
        finally:
            caller.kill()
            caller.wait()

    return run


WORKLOADS = [
    {"namespace": "shop", "name": "web", "replicas": 3, "version": "2.1.0", "history": ["2.0.0"], "needs": ["data/db"], "load": 150},
    {"namespace": "shop", "name": "cart", "replicas": 2},
    {"namespace": "kube-system", "name": "dns", "replicas": 1},
    {"namespace": "data", "name": "db", "kind": "statefulset", "replicas": 2},
]  # fmt: skip


@pytest.fixture
def simulated(configured):
    """Write the configuration of a simulated shop, with what goes wrong there."""

    def write(*incidents, clock=None, **more):
        platform = {"kind": "simulated", "workloads": WORKLOADS, "incidents": list(incidents), "state": "world.json"}
        return configured(platform | (clock or {}), **more)

    return write
