"""Judging child: the program that compiles and judges what may be slow, as a child of the gateway that can be killed.

`python -m gateway.schemas.judging_child`. Frames on stdin and stdout: four bytes of length (big endian), then JSON. It ends with its
stdin; while it works, an alarm of the system ends it a little after its deadline, even where nobody is left to kill it.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.schemas.judge import Judges, Violation

FRAME = struct.Struct(">I")
MOST_BYTES = 64 * 1024 * 1024
MEMORY = 1024 * 1024 * 1024
"""Address space, in bytes: Python and the validator take a third of it."""
GRACE = 1.0
"""Seconds between a job's deadline, which its parent watches, and the alarm."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Compile `schema` and, unless `text` is None, judge it, within `seconds`."""

    schema: msgspec.Raw
    text: str | None
    limit: int
    seconds: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job: why the schema is refused, or the violations."""

    refused: str | None = None
    violations: tuple[Violation, ...] = ()


def main() -> None:
    """Serve jobs until stdin ends."""
    decoder = msgspec.json.Decoder(Job)
    judges = Judges(most=64)

    def job(frame: bytes) -> tuple[float, Callable[[], Verdict]]:
        asked = decoder.decode(frame)
        return asked.seconds, partial(_judged, asked, judges)

    serve(job)


def serve(job: Callable[[bytes], tuple[float, Callable[[], Verdict]]]) -> None:
    """Do jobs until stdin ends: `job` reads a frame, and gives the seconds that it may take, and what does it."""
    out = os.fdopen(os.dup(1), "wb")
    # Whatever else prints must not look like an answer.
    os.dup2(2, 1)
    # A job may fill its memory; what it leaves behind is nobody's business.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _write(out, b"{}")  # it is ready
    while (frame := _read(sys.stdin.buffer)) is not None:
        seconds, do = job(frame)
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
        answer = msgspec.json.encode(do())
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(out, answer)


def _judged(job: Job, judges: Judges) -> Verdict:
    try:
        judge = judges.compiled(msgspec.json.decode(job.schema))
        return Verdict(violations=() if job.text is None else judge.violations(job.text, limit=job.limit))
    except UnsupportedSchema as error:
        return Verdict(refused=error.message)
    except MemoryError:
        return Verdict(refused=out_of_memory())


def out_of_memory() -> str:
    """Give the reason for a job that took too much memory."""
    return "Judging by the schema takes more memory than it may."


def _write(out: BinaryIO, frame: bytes) -> None:
    out.write(FRAME.pack(len(frame)) + frame)
    out.flush()


def _read(source: BinaryIO) -> bytes | None:
    head = source.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    (length,) = FRAME.unpack(head)
    return source.read(length) if length <= MOST_BYTES else None


if __name__ == "__main__":
    main()
