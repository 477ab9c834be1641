"""The child process behind a stdio server: started with nothing of our environment, watched, heard, and ended with all that it started."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import msgspec
import structlog
from anyio.abc import ByteReceiveStream, Process

from gateway.tools.connection import CannotConnect

log = structlog.get_logger()

INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")
"""The variables that a child has of ours. Keys of models and databases are in the others."""

_GUARD = str(Path(__file__).with_name("stdio_guard.py"))
_FATAL = "fatal: "
_LINE = 500
_MOST_OF_A_LINE = 8 * 1024
_LINES_KEPT = 20
_LINES_A_MINUTE = 60
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_STOP_SECONDS = 2.0


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. `environment` is all of its environment; `masked` are values of it that may not be logged."""

    server: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    masked: tuple[str, ...] = ()
    cwd: str | None = None


class Child:
    """A running program. `ended` is set when it has gone, and then `reason` says how."""

    def __init__(self, program: Program, process: Process, monotonic: Callable[[], float]) -> None:
        self._program = program
        self.process = process
        self.ended = anyio.Event()
        self.reason = ""
        self._monotonic = monotonic
        self._tail: deque[str] = deque(maxlen=_LINES_KEPT)
        self._minute = 0.0
        self._said = 0
        self._drained = anyio.Event()

    async def watch(self) -> None:
        """Wait for its end, and say so at once."""
        code = await self.process.wait()
        # What it wrote last is the reason: the pipe is read to its end, which comes with the program's.
        with anyio.move_on_after(0.2):
            await self._drained.wait()
        self.reason = f"its program {_ending(code)}{self._last_words()}"
        self.ended.set()

    async def hear(self, stream: ByteReceiveStream) -> None:
        """Keep and log what it writes to standard error: so many lines a minute, each cut."""
        rest = b""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                *lines, rest = (rest + await stream.receive()).split(b"\n")
                rest = rest[:_MOST_OF_A_LINE]
                for line in lines:
                    self._take(line[:_MOST_OF_A_LINE])
        self._drained.set()

    def _take(self, line: bytes) -> None:
        text = _CONTROL.sub(" ", line.decode(errors="replace")).strip()
        for value in self._program.masked:
            text = text.replace(value, "***")
        text = text[:_LINE]
        if not text:
            return
        self._tail.append(text)
        now = self._monotonic()
        if now - self._minute >= 60:
            self._minute, self._said = now, 0
        self._said += 1
        if self._said <= _LINES_A_MINUTE:
            log.info("tool_server.said", server=self._program.server, line=text)

    def _last_words(self) -> str:
        known = next((line for line in reversed(self._tail) if line.startswith(_FATAL)), None)
        said = known.removeprefix(_FATAL) if known else " ".join(list(self._tail)[-3:])
        return f": {said}" if said else ""


def environment_of(own: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a child: the harmless part of ours, and what is configured for it."""
    return {name: own[name] for name in INHERITED if name in own} | dict(added)


@asynccontextmanager
async def running(program: Program, monotonic: Callable[[], float]) -> AsyncGenerator[Child]:
    """Start a program, and end it when the block is left: its input is closed, then it is asked, then it is killed.

    Raises CannotConnect where it cannot be started.
    """
    liveness, held = os.pipe()
    try:
        process = await _start(program, liveness)
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(liveness)
    child = Child(program, process, monotonic)
    try:
        async with anyio.create_task_group() as tasks:
            assert process.stderr  # noqa: S101 open_process made pipes of all three
            tasks.start_soon(child.hear, process.stderr)
            tasks.start_soon(child.watch)
            yield child
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
        os.close(held)


async def _start(program: Program, liveness: int) -> Process:
    process: Process | None = None
    # The guard's own interpreter is started bare: nothing of the environment can change what it does.
    argv = (sys.executable, "-I", "-S", _GUARD, str(liveness), *program.command)
    try:
        # Who is cancelled in between would leave behind a process that nobody ends.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                argv, env=program.environment, cwd=program.cwd, pass_fds=(liveness,), start_new_session=True
            )
    except (OSError, ValueError) as error:
        msg = f"its program cannot be started: {error}"
        raise CannotConnect(msg) from error
    assert process is not None  # noqa: S101 a shielded scope lets nobody pass without it
    return process


async def _end(process: Process) -> None:
    if process.stdin is not None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            await process.stdin.aclose()
    for ask in (None, signal.SIGTERM):
        if process.returncode is not None:
            break
        if ask is not None:
            _signal_group(process, ask)
        with anyio.move_on_after(_STOP_SECONDS):
            await process.wait()
    _signal_group(process, signal.SIGKILL)
    await process.aclose()


def _signal_group(process: Process, sign: signal.Signals) -> None:
    # Even when its leader is gone: what it started would live on.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, sign)


def _ending(code: int) -> str:
    number = -code if code < 0 else code - 128
    if code < 0 or code > 128:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(number).name}"
    return f"ended with status {code}"
