"""A supervised child is ready when it says so, comes back when it dies, and goes when it is told to."""

import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from gateway.core.errors import UpstreamUnreachable
from gateway.providers.supervisor import ChildCommand, ChildSupervisor, RestartPolicy, probed

BRISK = RestartPolicy(start_timeout=10, stop_timeout=5, first_delay=0.01, longest_delay=0.02, crash_limit=3, slow=600)
SERVES = "import sys; print('noise'); print('ready 4711', flush=True); sys.stdin.read()"
DIES = "import sys; sys.exit('no such model')"


def supervisor(program, *, policy=BRISK, **options):
    command = ChildCommand(argv=(sys.executable, "-c", program), first_line="token")
    return ChildSupervisor("child", command, policy=policy, jitter=lambda: 1.0, **options)


@asynccontextmanager
async def running(child):
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.run)
            yield child
            tasks.cancel_scope.cancel()


def children():
    return {pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


async def until(condition):
    while not condition():
        await anyio.sleep(0.01)


async def test_nothing_is_started_before_it_is_wanted():
    async with running(supervisor(SERVES)) as child:
        await anyio.wait_all_tasks_blocked()
        assert (child.state, child.pid) == ("stopped", None)

        assert await child.ensure_ready() == "http://127.0.0.1:4711"
        assert child.state == "ready"
    assert child.state == "stopped"


async def test_an_eager_child_starts_without_being_asked():
    async with running(supervisor(SERVES, lazy=False)) as child:
        await until(lambda: child.state == "ready")


async def test_the_token_reaches_the_child_and_what_it_prints_is_kept():
    echo = "import sys; print('ready 1', flush=True); print('got', sys.stdin.readline(), file=sys.stderr, flush=True); sys.stdin.read()"
    async with running(supervisor(echo)) as child:
        await child.ensure_ready()
        await until(lambda: "got token" in child.stderr_tail())


async def test_a_killed_child_comes_back():
    async with running(supervisor(SERVES)) as child:
        await child.ensure_ready()
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.state != "ready")

        await child.ensure_ready()

        assert child.pid != first
        assert child.restarts == 1


async def test_a_child_that_dies_at_once_is_failed_with_its_last_words():
    async with running(supervisor(DIES)) as child:
        with pytest.raises(UpstreamUnreachable, match="no such model") as caught:
            await child.ensure_ready()

        assert child.state == "failed"
        assert caught.value.retry_after == BRISK.slow
        assert child.restarts == BRISK.crash_limit


async def test_a_child_that_knows_its_reason_is_quoted_with_nothing_else():
    program = "import os, sys; print('noise\\nfatal: the file is empty\\nmore noise', file=sys.stderr, flush=True); os._exit(1)"
    async with running(supervisor(program)) as child:
        with pytest.raises(UpstreamUnreachable) as caught:
            await child.ensure_ready()

    assert caught.value.message == "child does not run: it exited with status 1: the file is empty"


async def test_a_reason_holds_no_dump_of_an_interpreter():
    dump = "out of paper\nFatal Python error: x\nPython runtime state: finalizing (tstate=0x00007fccc2776ef8)\n  <no Python frame>"
    program = f"import os, sys; print({dump!r}, file=sys.stderr, flush=True); os.abort()"
    async with running(supervisor(program)) as child:
        with pytest.raises(UpstreamUnreachable) as caught:
            await child.ensure_ready()

    assert caught.value.message == "child does not run: it was killed by SIGABRT; it last said: out of paper"


async def test_what_a_child_said_in_service_is_no_reason_for_its_crash():
    chatty = f"import sys; print('request of somebody failed', file=sys.stderr, flush=True); {SERVES}"
    async with running(supervisor(chatty, policy=RestartPolicy(first_delay=600))) as child:
        await child.ensure_ready()
        await until(child.stderr_tail)
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: child.state == "backing_off")

        assert child.reason == "it was killed by SIGKILL"


async def test_what_an_earlier_child_said_is_no_reason_for_the_next(tmp_path):
    first = tmp_path / "first"
    program = (
        f"import os, sys\nif os.path.exists({str(first)!r}): os._exit(2)\nopen({str(first)!r}, 'w').close()\n"
        "sys.exit('too little memory')"
    )
    async with running(supervisor(program)) as child:
        with pytest.raises(UpstreamUnreachable) as caught:
            await child.ensure_ready()

    assert caught.value.message == "child does not run: it exited with status 2"


async def test_a_failed_child_is_still_tried_and_may_recover(tmp_path):
    mended = tmp_path / "mended"
    program = f"import os, sys\nif not os.path.exists({str(mended)!r}): sys.exit('broken')\n{SERVES}"
    policy = RestartPolicy(first_delay=0.01, crash_limit=2, slow=0.05)
    async with running(supervisor(program, policy=policy, lazy=False)) as child:
        await until(lambda: child.state == "failed")
        mended.touch()

        await until(lambda: child.state == "ready")


async def test_a_program_that_does_not_exist_is_a_reason():
    child = ChildSupervisor("child", ChildCommand(argv=("/no/such/program",)), policy=BRISK, jitter=lambda: 1.0)
    async with running(child):
        with pytest.raises(UpstreamUnreachable, match="cannot be started"):
            await child.ensure_ready()


async def test_a_child_that_is_never_ready_is_not_waited_for_for_ever():
    policy = RestartPolicy(start_timeout=0.3, stop_timeout=1, first_delay=0.01, crash_limit=1, slow=600)
    async with running(supervisor("import sys; sys.stdin.read()", policy=policy)) as child:
        with pytest.raises(UpstreamUnreachable, match="not ready"):
            await child.ensure_ready()
        await until(lambda: child.state == "failed")


async def test_a_child_that_ignores_sigterm_is_killed():
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"
    policy = RestartPolicy(stop_timeout=0.2)
    child = supervisor(stubborn + "; signal.pause()", policy=policy)
    async with running(child):
        await child.ensure_ready()
        pid = child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("turns", range(8))
async def test_who_stops_a_child_while_it_is_being_started_leaves_no_process(turns):
    before = children()
    async with running(supervisor("import sys; sys.stdin.read()", lazy=False)):
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()

    assert children() <= before


async def test_what_the_child_started_dies_with_it():
    parent = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "print(p.pid, file=sys.stderr, flush=True); print('ready 1', flush=True); sys.stdin.read()"
    )
    async with running(supervisor(parent)) as child:
        await child.ensure_ready()
        await until(lambda: child.stderr_tail().strip().isdigit())
        grandchild = int(child.stderr_tail())
    with anyio.fail_after(5):
        await until(lambda: is_gone(grandchild))


def is_gone(pid):
    # Killed, but nobody may have reaped it yet.
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


async def test_a_child_with_a_fixed_address_is_probed():
    async def answer(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
    command = ChildCommand(argv=(sys.executable, "-c", "import sys; sys.stdin.read()"))
    child = ChildSupervisor("child", command, probed("127.0.0.1", port, "/health", interval=0.01), policy=BRISK)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        async with running(child):
            assert await child.ensure_ready() == f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()
