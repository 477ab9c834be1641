"""Native code crashes, parents are killed: the gateway lives on, and nothing is left behind."""

import os
import signal
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from gateway.core.errors import UpstreamUnreachable
from gateway.providers.embedded.launch import chat_command, chat_model
from gateway.providers.supervisor import ChildSupervisor, RestartPolicy

pytestmark = pytest.mark.embedded

ASK = {"messages": [{"role": "user", "content": "Tell a long story."}], "stream": True}


async def crash_while_answering(http, base, child):
    async with http.stream("POST", f"{base}/v1/chat/completions", json=ASK) as answer:
        async for _ in answer.aiter_bytes():
            os.kill(child.pid, signal.SIGSEGV)


async def test_a_crash_in_the_middle_of_an_answer_ends_that_answer_only():
    command = chat_command(chat_model(None, cores=2, slots=1, context=512))
    child = ChildSupervisor("chat", command, policy=RestartPolicy(first_delay=0.01))
    headers = {"Authorization": f"Bearer {command.first_line}"}
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, httpx2.AsyncClient(headers=headers, timeout=30) as http:
            tasks.start_soon(child.run)
            base = await child.ensure_ready()
            with pytest.raises(httpx2.TransportError):
                await crash_while_answering(http, base, child)
            while child.state == "ready":
                await anyio.sleep(0.01)

            again = await child.ensure_ready()
            short = {"messages": ASK["messages"], "max_tokens": 2}
            answer = await http.post(f"{again}/v1/chat/completions", json=short)

            assert answer.status_code == 200
            assert child.restarts == 1
            tasks.cancel_scope.cancel()


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("killed_at", ["ready", "loading"])
async def test_a_child_whose_parent_was_killed_ends_too(killed_at):
    wait = "child.stdout.readline()" if killed_at == "ready" else "pass"
    program = (
        "import subprocess, sys, signal\n"
        "from gateway.providers.embedded.launch import chat_command, chat_model\n"
        "command = chat_command(chat_model(None, cores=2, slots=1, context=512))\n"
        "child = subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "child.stdin.write(command.first_line + '\\n'); child.stdin.flush()\n"
        f"{wait}; print(child.pid, flush=True); signal.pause()"
    )
    async with await anyio.open_process([sys.executable, "-c", program], cwd=Path(__file__).parents[2]) as parent:
        pid = int(await parent.stdout.receive())
        parent.kill()

        with anyio.fail_after(15):
            while not gone(pid):
                await anyio.sleep(0.02)


async def test_a_model_file_that_cannot_be_loaded_is_a_plain_reason(tmp_path):
    file = tmp_path / "half.gguf"
    file.write_bytes(b"GGUF, and then no model")
    policy = RestartPolicy(crash_limit=1, slow=600)
    child = ChildSupervisor("chat", chat_command(chat_model(str(file), cores=2)), policy=policy)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.run)
            with pytest.raises(UpstreamUnreachable) as caught:
                await child.ensure_ready()
            tasks.cancel_scope.cancel()

    reason = "it exited with status 1: half.gguf is no model that llama.cpp can load"
    assert caught.value.message == f"chat does not run: {reason}"
