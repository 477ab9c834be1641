"""A child behind an upstream goes in peace when there is time, and at once when there is none."""

import os
import sys

import anyio
import pytest

from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.supervisor import ChildCommand, ChildSupervisor, RestartPolicy

STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready 4711', flush=True); signal.pause()"
)


async def test_a_child_that_is_killed_has_no_time_and_does_not_come_back():
    """docs/operate.md: a second signal ends the server at once, whatever a child may still be busy with."""
    policy = RestartPolicy(stop_timeout=600, first_delay=0)
    child = ChildSupervisor("child", ChildCommand(argv=(sys.executable, "-c", STUBBORN)), policy=policy)
    upstream = ChildUpstream(child, connections=1)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            upstream.start(tasks)
            await child.ensure_ready()
            pid = child.pid

            upstream.kill()
            await upstream.aclose()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (child.state, child.pid) == ("stopped", None)


async def test_a_child_that_never_started_can_be_killed():
    child = ChildSupervisor("child", ChildCommand(argv=("/no/such/program",)))
    upstream = ChildUpstream(child, connections=1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            upstream.start(tasks)
            upstream.kill()
            await upstream.aclose()
