"""Child supervisor: keeps one child process running, whatever it runs.

It starts the child, waits until it is ready, restarts it with exponential back-off, calls it failed when it crashes at once again
and again (and then tries it slowly), and stops it. It knows no model, and no HTTP beyond a readiness probe.
It runs in a task group that the caller gives: `tasks.start_soon(child.run)`.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

import anyio
import msgspec
import structlog
from anyio.abc import ByteReceiveStream, Process

from gateway.core.errors import UpstreamUnreachable

log = structlog.get_logger()

State = Literal["stopped", "starting", "ready", "backing_off", "failed"]

_LINES_KEPT = 60
_LINE_LENGTH = 500
_DRAIN_TIMEOUT = 2
# A child that knows why it cannot go on says so in such a line on stderr; it is then all that is quoted.
_KNOWN_REASON = "fatal: "
# What interpreters and native code write about themselves when they die: nothing for those who read the reason.
_DUMP = re.compile(
    r"0x[0-9a-fA-F]{6,}|^Fatal Python error|^Python runtime state|^  File \"|^\s*<no Python frame>|^Extension modules:"
)


class ChildCommand(msgspec.Struct, frozen=True, kw_only=True):
    """How to start a child. `first_line` is written to its stdin, which then stays open as long as the parent lives.

    `env` replaces the parent's environment; None inherits it.
    """

    argv: tuple[str, ...]
    first_line: str | None = None
    env: dict[str, str] | None = None


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When to try again, in seconds.

    A child that was never ready or lived less than `quick` crashed quickly; `crash_limit` of those in a row make it failed, and
    then it is tried every `slow` seconds only.
    """

    start_timeout: float = 60
    stop_timeout: float = 5
    first_delay: float = 0.25
    longest_delay: float = 30
    quick: float = 20
    crash_limit: int = 5
    slow: float = 60


class ChildLines:
    """The lines that a child writes to stdout, one after another, for the readiness check."""

    def __init__(self, stream: ByteReceiveStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def next(self) -> str:
        """Give the next line. Raises anyio.EndOfStream when the child has closed its stdout."""
        while b"\n" not in self._buffer:
            self._buffer += await self._stream.receive()
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace").strip()


Ready = Callable[[ChildLines], Awaitable[str]]
"""Waits until the child is ready and gives its base URL. It may read the child's stdout, or probe a known address."""


async def announced(lines: ChildLines) -> str:
    """Wait for the line `ready <port>`, which our own child programs write once they listen on 127.0.0.1."""
    while True:
        word, _, port = (await lines.next()).partition(" ")
        if word == "ready" and port.isdigit():
            return f"http://127.0.0.1:{port}"


def probed(host: str, port: int, path: str, *, interval: float = 0.5) -> Ready:
    """Make a readiness check that asks for `path` until the answer is 200, for children with a fixed address (vLLM)."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def probe(_: ChildLines) -> str:
        while True:
            with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                async with await anyio.connect_tcp(host, port) as stream:
                    await stream.send(request)
                    if b" 200 " in (await stream.receive()).split(b"\r\n", 1)[0]:
                        return f"http://{host}:{port}"
            await anyio.sleep(interval)

    return probe


class ChildSupervisor:
    """Supervises one child; `run` does the work, `ensure_ready` is what callers wait on. Belongs to one event loop.

    With `lazy`, nothing is started before the first `ensure_ready`. `jitter` gives a factor for each delay.
    """

    def __init__(
        self,
        name: str,
        command: ChildCommand,
        ready: Ready = announced,
        *,
        policy: RestartPolicy | None = None,
        lazy: bool = True,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1),  # noqa: S311 spreads restarts, hides nothing
    ) -> None:
        self.name = name
        self.state: State = "stopped"
        self.address = ""
        self.pid: int | None = None
        self.restarts = 0
        self.first_load = not lazy  # wanted from the start, and neither ready nor failed so far
        self.reason = "it has not been started"
        self._command = command
        self._ready = ready
        self._policy = policy or RestartPolicy()
        self._jitter = jitter
        self._changed = anyio.Event()
        self._wanted = anyio.Event()
        self._drained = anyio.Event()
        self._never_ready = True
        self._stderr: deque[str] = deque(maxlen=_LINES_KEPT)
        if not lazy:
            self._wanted.set()

    def stderr_tail(self, lines: int = 10) -> str:
        """Give the last lines that the child wrote to stderr (and, once ready, to stdout)."""
        return "\n".join(list(self._stderr)[-lines:])

    async def ensure_ready(self) -> str:
        """Start the child if need be, wait until it is ready, and give its base URL.

        Raises UpstreamUnreachable, with the reason, when it has failed or is not ready within `start_timeout`.
        """
        self._wanted.set()
        with anyio.move_on_after(self._policy.start_timeout):
            while not self._is("ready"):
                if self._is("failed"):
                    raise UpstreamUnreachable(f"{self.name} does not run: {self.reason}", retry_after=self._policy.slow)
                await self._changed.wait()
            return self.address
        raise UpstreamUnreachable(f"{self.name} is not ready ({self.state}): {self.reason}", retry_after=5)

    async def ended(self, address: str, *, within: float = 2) -> bool:
        """Wait until it is noticed that the child that listened at `address` has ended; False when it still runs."""
        with anyio.move_on_after(within):
            while self._is("ready") and self.address == address:
                await self._changed.wait()
            return True
        return False

    def _is(self, state: State) -> bool:
        return self.state == state

    async def run(self) -> None:
        """Keep the child running until cancelled; then stop it: SIGTERM, and SIGKILL after `stop_timeout`."""
        crashes = 0
        try:
            await self._wanted.wait()
            while True:
                began = anyio.current_time()
                await self._run_once()
                quick = self._never_ready or anyio.current_time() - began < self._policy.quick
                crashes = crashes + 1 if quick else 1
                self.restarts += 1
                await self._pause(crashes)
        finally:
            self._enter("stopped", "it has been stopped")

    async def _pause(self, crashes: int) -> None:
        policy = self._policy
        hopeless = crashes >= policy.crash_limit
        delay = policy.slow if hopeless else min(policy.longest_delay, policy.first_delay * 2 ** (crashes - 1))
        delay *= self._jitter()
        self._enter("failed" if hopeless else "backing_off", self.reason)
        log.warning("child.restart_planned", child=self.name, delay_s=round(delay, 2), crashes=crashes)
        await anyio.sleep(delay)

    async def _run_once(self) -> None:
        self._enter(
            "starting", f"it is starting again; before, {self.reason}" if self.restarts else "it is still starting"
        )
        self._never_ready = True
        began = anyio.current_time()
        process: Process | None = None
        try:
            # Who is cancelled in between would leave behind a process that nobody ends.
            with anyio.CancelScope(shield=True):
                # A session of its own: Ctrl-C in a terminal reaches the gateway alone, and all it started can be killed at once.
                process = await anyio.open_process(self._command.argv, env=self._command.env, start_new_session=True)
        except OSError as exc:
            self.reason = f"it cannot be started: {exc}"
            return
        assert process is not None  # noqa: S101 a shielded scope lets nobody pass without it
        self.pid = process.pid
        # What an earlier child said is no reason for how this one ends.
        self._stderr.clear()
        self._drained = anyio.Event()
        try:
            await self._attend(process, began)
        finally:
            with anyio.CancelScope(shield=True):
                await self._end(process)
            self.pid = None

    async def _attend(self, process: Process, began: float) -> None:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 open_process made pipes of all three
        lines = ChildLines(process.stdout)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_stderr, process.stderr)
            tasks.start_soon(self._announce_exit, process, tasks.cancel_scope)
            if self._command.first_line is not None:
                with suppress(anyio.BrokenResourceError):
                    await process.stdin.send(f"{self._command.first_line}\n".encode())
            with anyio.move_on_after(self._policy.start_timeout) as in_time, suppress(anyio.EndOfStream):
                self.address = await self._ready(lines)
                self._never_ready = False
                self._enter("ready", "it is ready")
                took = round(anyio.current_time() - began, 2)
                log.info("child.started", child=self.name, pid=process.pid, ready_s=took)
            if in_time.cancelled_caught:
                self.reason = f"it was not ready after {self._policy.start_timeout:g} s"
                tasks.cancel_scope.cancel()
            await self._keep(process.stdout)

    async def _announce_exit(self, process: Process, scope: anyio.CancelScope) -> None:
        code = await process.wait()
        _kill_group(process)
        # What it wrote last is the reason; with all writers gone the pipe ends, however late it is read.
        with anyio.move_on_after(_DRAIN_TIMEOUT):
            await self._drained.wait()
        was = self.state
        self._enter("backing_off", f"it {_ending(code)}{self._last_words(code)}")
        log.warning("child.exited", child=self.name, pid=process.pid, exit=_ending(code), was=was)
        scope.cancel()

    def _last_words(self, code: int) -> str:
        # A child that had been ready writes about its callers' requests; how a signal killed it, it cannot say.
        if not self._never_ready and code < 0:
            return ""
        known = next((line for line in reversed(self._stderr) if line.startswith(_KNOWN_REASON)), None)
        if known is not None:
            return f": {known.removeprefix(_KNOWN_REASON)}"
        told = [line for line in self._stderr if not _DUMP.search(line)]
        return f"; it last said: {' '.join(line.strip() for line in told[-3:])}" if told else ""

    async def _keep_stderr(self, stream: ByteReceiveStream) -> None:
        await self._keep(stream)
        self._drained.set()

    async def _keep(self, stream: ByteReceiveStream) -> None:
        rest = b""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                *lines, rest = (rest + await stream.receive()).split(b"\n")
                rest = rest[:_LINE_LENGTH]
                self._stderr.extend(line[:_LINE_LENGTH].decode(errors="replace") for line in lines if line.strip())

    async def _end(self, process: Process) -> None:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with anyio.move_on_after(self._policy.stop_timeout):
                await process.wait()
        _kill_group(process)
        await process.aclose()

    def _enter(self, state: State, reason: str) -> None:
        self.state = state
        self.reason = reason
        if state in ("ready", "failed"):
            self.first_load = False
        self._changed.set()
        self._changed = anyio.Event()


def _kill_group(process: Process) -> None:
    # Even when its leader is gone: what it started would live on, and hold its pipes.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"exited with status {code}"
