"""Judging: what is quick is judged at once; what may be slow, in a process that is killed when it takes too long.

The usual schema and answer cost microseconds and stay in this process. A schema that is large, or an answer whose judgement
could grow (see `Outline`), goes to one of a few children, started when the first is needed. No caller waits longer than the deadline,
and nothing that a schema does can hold up the others: they share neither interpreter nor memory.
"""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
import structlog
from anyio.abc import Process

from gateway.core.errors import Overloaded, Unavailable, UnsupportedSchema
from gateway.schemas import limits
from gateway.schemas.judge import Judge, Judges, Violation, compiled, digest_of
from gateway.schemas.judging_child import FRAME, MOST_BYTES, Job, Verdict, out_of_memory

log = structlog.get_logger()

AT_ONCE_EFFORT = 8_000
"""What is judged in this process: a millisecond or two at worst."""
AT_ONCE_BYTES = 64 * 1024
DEADLINE = 2.0
START_TIMEOUT = 20.0
_REFUSED_KEPT = 256
_MOST_WAITING = 64
_MOST_STRIKES = 3
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_ROOT = Path(__file__).resolve().parents[2]
_RUN = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class Judging:
    """Judges answers by schemas. Belongs to one event loop; `aclose` ends its children, which run the program `module`."""

    def __init__(
        self,
        *,
        size: int = 2,
        deadline: float = DEADLINE,
        judges: Judges | None = None,
        module: str = "gateway.schemas.judging_child",
    ) -> None:
        self._deadline = deadline
        self._judges = judges or Judges()
        self._children = [_Child(module) for _ in range(size)]
        self._free = list(self._children)
        self._turn = anyio.Semaphore(size)
        # Schemas that cannot be used, or took too long: not tried again.
        self._refused: OrderedDict[bytes, str] = OrderedDict()
        self._strikes: OrderedDict[bytes, int] = OrderedDict()
        self.killed = 0
        """How many children were killed because they took too long, or died."""
        self.sent = 0
        """How many jobs went to a child."""

    async def check(self, schema: Mapping[str, Any]) -> None:
        """Find out whether `schema` can be judged by. Raises UnsupportedSchema, or Overloaded where too many wait."""
        if self._judge_here(schema) is None:
            await self._elsewhere(schema, None, 0)

    async def violations(self, schema: Mapping[str, Any], text: str, *, limit: int = 5) -> tuple[Violation, ...]:
        """Say where `text` breaks `schema`, as `Judge.violations` does.

        Raises UnsupportedSchema for a schema that cannot be used or takes too long to judge by, Overloaded where too many wait.
        """
        judge = self._judge_here(schema)
        if judge is not None and _at_once(judge, text):
            return judge.violations(text, limit=limit)
        return await self._elsewhere(schema, text, limit)

    async def tried(self, frame: bytes) -> str | None:
        """Have a child do a job of its program; give the reason why it cannot be done, or not in time. Raises Overloaded."""
        try:
            return (await self._in_turn(frame)).refused
        except _Failed as failure:
            return str(failure)

    async def aclose(self) -> None:
        """End the children, at once."""
        for child in self._children:
            await child.kill()

    @property
    def pids(self) -> tuple[int, ...]:
        """Tell the children that run."""
        return tuple(child.pid for child in self._children if child.pid is not None)

    def _judge_here(self, schema: Mapping[str, Any]) -> Judge | None:
        """Give the judge of a schema that is compiled in this process; None for one that is not."""
        text = limits.canonical(schema)
        digest = digest_of(text)
        if (judge := self._judges.kept(digest)) is not None:
            return judge
        if len(text) > limits.LIGHT_BYTES:
            return None
        checked = limits.check(schema)
        return self._judges.keep(Judge(checked)) if checked.light else None

    async def _elsewhere(self, schema: Mapping[str, Any], text: str | None, limit: int) -> tuple[Violation, ...]:
        canonical = limits.canonical(schema)
        digest = digest_of(canonical)
        if (reason := self._refused.get(digest)) is not None:
            raise UnsupportedSchema(reason)
        job = Job(schema=msgspec.Raw(canonical), text=text, limit=limit, seconds=self._deadline)
        try:
            frame = msgspec.json.encode(job)
        except UnicodeEncodeError:
            return compiled({}).violations(text or "")
        if len(frame) > MOST_BYTES:
            msg = f"The answer is larger than {MOST_BYTES:,} bytes, and cannot be judged."
            raise UnsupportedSchema(msg)
        try:
            verdict = await self._in_turn(frame)
        except _Failed as failure:
            self._strike(digest, str(failure), once=text is None)
            raise UnsupportedSchema(str(failure)) from failure
        if verdict.refused is not None:
            self._remember(digest, verdict.refused)
            raise UnsupportedSchema(verdict.refused)
        return verdict.violations

    def _strike(self, digest: bytes, reason: str, *, once: bool) -> None:
        """Count what took too long. A schema is to blame when compiling it did, or when judging by it did several times."""
        count = self._strikes.pop(digest, 0) + 1
        if once or count == _MOST_STRIKES:
            self._remember(digest, reason)
            return
        self._strikes[digest] = count
        if len(self._strikes) > _REFUSED_KEPT:
            self._strikes.popitem(last=False)

    def _remember(self, digest: bytes, reason: str) -> None:
        self._refused[digest] = reason
        if len(self._refused) > _REFUSED_KEPT:
            self._refused.popitem(last=False)

    async def _in_turn(self, frame: bytes) -> Verdict:
        if self._turn.statistics().tasks_waiting >= _MOST_WAITING:
            raise _too_many()
        with anyio.move_on_after(self._deadline) as waited:
            await self._turn.acquire()
        if waited.cancelled_caught:
            raise _too_many()
        child = self._free.pop()
        self.sent += 1
        try:
            with suppress(_Died):
                return await self._ask(child, frame)
            # It may have been killed from outside while it was idle: the job is not to blame yet.
            return await self._ask(child, frame)
        finally:
            self._free.append(child)
            self._turn.release()

    async def _ask(self, child: _Child, frame: bytes) -> Verdict:
        try:
            with anyio.fail_after(START_TIMEOUT):
                await child.ready()
        except (TimeoutError, OSError, *_GONE) as exc:
            await child.kill()
            msg = "The process that judges schemas does not start."
            raise Unavailable(msg, retry_after=1) from exc
        answered = False
        try:
            with anyio.fail_after(self._deadline):
                verdict = msgspec.json.decode(await child.ask(frame), type=Verdict)
            answered = True
        except TimeoutError as exc:
            msg = f"Judging by the schema takes longer than {self._deadline:g} s."
            raise _Failed(msg) from exc
        except _GONE as exc:
            raise _Died(out_of_memory()) from exc
        else:
            return verdict
        finally:
            # Who left in the middle leaves a child at work on what nobody waits for.
            if not answered:
                await self._replace(child)

    async def _replace(self, child: _Child) -> None:
        self.killed += 1
        log.warning("schema.judging_child_killed", pid=child.pid)
        await child.kill()
        # Its successor loads while nobody waits for it.
        with anyio.CancelScope(shield=True), suppress(OSError):
            await child.launch()


def _at_once(judge: Judge, text: str) -> bool:
    return judge.linear and len(text) <= AT_ONCE_BYTES and judge.effort(text) <= AT_ONCE_EFFORT


class _Failed(Exception):
    """A child came to no verdict."""


class _Died(_Failed):
    """A child was gone before it answered."""


class _Child:
    """One child process, or none yet."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: Process | None = None
        self._ready = False

    @property
    def pid(self) -> int | None:
        """Tell the process's number."""
        return None if self._process is None else self._process.pid

    async def ready(self) -> None:
        """Start the process unless it runs, and wait until it says that it can work."""
        if self._process is None or self._process.returncode is not None:
            await self.kill()
            await self.launch()
        if not self._ready:
            await self._receive()
            self._ready = True

    async def launch(self) -> None:
        """Start the process."""
        # -P: the working folder is not importable. Where this package lies comes last on the path: it need not be installed.
        argv = [sys.executable, "-P", "-c", _RUN, str(_ROOT), self._module]
        self._ready = False
        with anyio.CancelScope(shield=True):
            self._process = await anyio.open_process(argv, stderr=subprocess.DEVNULL, start_new_session=True)

    async def ask(self, frame: bytes) -> bytes:
        """Send a frame, and give the answer. Raises what anyio raises when the process is gone."""
        assert self._process and self._process.stdin  # noqa: S101, PT018 open_process made a pipe of it
        await self._process.stdin.send(FRAME.pack(len(frame)) + frame)
        return await self._receive()

    async def _receive(self) -> bytes:
        assert self._process and self._process.stdout  # noqa: S101, PT018 open_process made a pipe of it
        received = bytearray()
        while len(received) < FRAME.size or len(received) < FRAME.size + FRAME.unpack_from(received)[0]:
            received += await self._process.stdout.receive()
        return bytes(received[FRAME.size :])

    async def kill(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await process.aclose()


def _too_many() -> Overloaded:
    return Overloaded("Too many schemas wait to be judged by.", retry_after=1)
