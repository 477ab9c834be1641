"""A vLLM server started here gets what it needs and no more, is ready when it says so itself, and is never left behind."""

import os
import signal
import socket
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from gateway.config.provider_settings import VllmSettings, VllmSpawnSettings
from gateway.config.secret import Secret
from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import Unavailable
from gateway.core.target import Target, Timeouts
from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts
from gateway.providers.supervisor import ChildCommand, ChildSupervisor, RestartPolicy
from gateway.providers.vllm import spawn
from gateway.providers.vllm.provider import VllmProvider

LAUNCHER = str(Path(spawn.__file__).with_name("launcher.py"))
# Stands for vLLM: starts a child of its own (the engine), names both, listens on the port with a /health, and waits.
SERVER = """
import http.server, os, subprocess, sys
engine = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health)
print("pids", os.getpid(), engine.pid, file=sys.stderr, flush=True)
server.serve_forever()
"""


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.02)


def settings(**more):
    return VllmSpawnSettings(python=Path("/opt/vllm/bin/python"), model="org/model", **more)


def test_the_command_serves_the_model_on_its_port_with_the_operators_arguments():
    command = spawn.command(settings(port=8123, args=("--max-model-len", "2048")), {}, {}, "k")

    assert command.argv[0] == "/opt/vllm/bin/python"
    assert command.argv[4:] == (
        *("/opt/vllm/bin/python", "-m", "vllm.entrypoints.cli.main", "serve", "org/model"),
        *("--host", "127.0.0.1", "--port", "8123", "--max-model-len", "2048"),
    )


def test_adapters_are_given_on_the_command_line():
    argv = spawn.command(settings(), {"poet": "/p", "a=b": "/q"}, {}, "k").argv

    assert argv[argv.index("--enable-lora") :][:4] == (
        *("--enable-lora", "--lora-modules"),
        *('{"name":"poet","path":"/p"}', '{"name":"a=b","path":"/q"}'),
    )


def test_the_environment_holds_no_secret_of_the_gateway():
    environ = {"PATH": "/bin", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "sk-secret", "AWS_SECRET_ACCESS_KEY": "x"}
    asked = settings(env={"VLLM_CPU_KVCACHE_SPACE": "1", "HF_TOKEN": Secret("hf", source="env:HF")})
    command = spawn.command(asked, {}, environ, "k")

    assert command.env == {
        "PATH": "/bin",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_TOKEN": "hf",
        "VLLM_API_KEY": "k",
        "PYTHONSAFEPATH": "1",
    }
    assert "k" not in command.argv


def a_call():
    fields = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}
    return Call(
        id="c1",
        operation="generate",
        dialect="openai_chat",
        model="m",
        stream=False,
        caller=ANONYMOUS,
        received=0.0,
        body=msgspec.json.encode(fields),
        fields=fields,
    )


async def no_one(event):
    raise AssertionError(event)


def started(port, **policy):
    argv = (sys.executable, "-I", LAUNCHER, str(port), sys.executable, "-c", SERVER, str(port))
    command = ChildCommand(argv=argv, first_line="")
    policy = RestartPolicy(**{"start_timeout": 20, "stop_timeout": 5, "first_delay": 0.05, **policy})
    return ChildSupervisor("vLLM", command, ready=spawn.launched(port), policy=policy, lazy=False)


def pids(child):
    return [int(word) for word in child.stderr_tail().split("pids ")[-1].split()[:2]]


async def test_stopping_leaves_no_process_behind(port):
    child = started(port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child.run)
        assert await child.ensure_ready() == f"http://127.0.0.1:{port}"
        server, engine = pids(child)
        launcher = child.pid
        tasks.cancel_scope.cancel()

    await until(lambda: gone(server) and gone(engine) and gone(launcher))


async def test_a_killed_gateway_takes_server_and_engine_with_it(port):
    program = (
        "import subprocess, sys, signal\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE,\n"
        "                         start_new_session=True, text=True)\n"
        "print(child.stderr.readline(), flush=True); signal.pause()"
    )
    argv = (sys.executable, "-I", LAUNCHER, str(port), sys.executable, "-c", SERVER, str(port))
    async with await anyio.open_process([sys.executable, "-c", program, *argv]) as gateway:
        server, engine = map(int, (await gateway.stdout.receive()).decode().split()[1:3])
        gateway.send_signal(signal.SIGKILL)

        await until(lambda: gone(server) and gone(engine))


async def test_a_killed_launcher_takes_server_and_engine_with_it(port):
    child = started(port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child.run)
        await child.ensure_ready()
        server, engine = pids(child)
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: gone(server) and gone(engine))

        assert await child.ensure_ready()
        tasks.cancel_scope.cancel()


async def test_somebody_elses_server_on_the_port_is_not_taken_for_ours(port):
    other = started(port)
    ours = started(port, crash_limit=1, slow=600)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.run)
        await other.ensure_ready()
        tasks.start_soon(ours.run)
        await until(lambda: ours.state == "failed")

        assert f"port {port} of 127.0.0.1 is in use" in ours.reason
        tasks.cancel_scope.cancel()


async def test_calls_do_not_wait_for_minutes_while_the_server_loads(port):
    loading = ChildCommand(argv=(sys.executable, "-c", "import sys; sys.stdin.read()"), first_line="")
    child = ChildSupervisor("vLLM (gpu)", loading, lazy=False)
    upstream = ChildUpstream(child, connections=4, prefix="", patient=False)
    async with anyio.create_task_group() as tasks:
        upstream.start(tasks)
        with pytest.raises(Unavailable, match=r"vLLM \(gpu\) is not ready") as caught:
            await upstream.request(HttpRequest(path=b"/v1/models"), HttpTimeouts(connect=0.05))

        assert caught.value.retry_after
        await upstream.aclose()


async def test_a_server_that_cannot_be_started_is_told_by_health_and_by_calls(port, tmp_path):
    spawned = VllmSpawnSettings(python=tmp_path / "python", model="m", port=port)
    provider = VllmProvider("gpu", VllmSettings(spawn=spawned))
    impatient = Target(provider="gpu", model="m", timeouts=Timeouts(connect=0.05))
    async with anyio.create_task_group() as tasks:
        await provider.start(tasks)
        await until(lambda: "cannot be started" in (provider.health("m").detail or ""))
        with pytest.raises(Unavailable, match="cannot be started"):
            await provider.responder(impatient)(a_call(), no_one)
        await provider.aclose()
