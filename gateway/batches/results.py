"""The results of a batch: two files of lines that only grow, and that become the batch's output and error files as they are.

They are also its journal. A line of the input is done when its line is here, and not before; what was answered is known by
`custom_id`, which a batch has once. The order is:

1. the answer arrives, and its line is written by one system call, before anything else is done or waited for: from then on
   the death of the process changes nothing, because the bytes are the kernel's;
2. the files are forced to the disk once a second (`sync`), and before the batch ends: a power cut loses no more than that;
3. the database says that the batch has ended, and names the files, in one transaction.

What is left between an answer and its line is the time from the last byte of the answer to the system call, with no other
work between: a process that dies in it, or while a line is on its way to the upstream, asks that line again. A line that
was cut in the middle by a death has no line feed, is taken away by `open`, and counts as not written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.batches.asking import Answer

_PIECE: Final = 1024 * 1024


class _Known(msgspec.Struct):
    """What of a line tells whose it is; the rest is not looked at."""

    custom_id: str


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    custom_id: str
    response: _Response | None
    error: _Error | None


def answered_line(result_id: str, custom_id: str, answer: Answer) -> bytes:
    """Give the line of a request that was answered, well or with an error."""
    response = _Response(status_code=answer.status, request_id=answer.request_id, body=_on_one_line(answer.body))
    return msgspec.json.encode(_Result(id=result_id, custom_id=custom_id, response=response, error=None)) + b"\n"


def unanswered_line(result_id: str, custom_id: str, code: str, message: str) -> bytes:
    """Give the line of a request that was never answered."""
    error = _Error(code=code, message=message)
    return msgspec.json.encode(_Result(id=result_id, custom_id=custom_id, response=None, error=error)) + b"\n"


def _on_one_line(body: bytes) -> msgspec.Raw:
    """Give a body without the white space between its parts; what is no JSON becomes a text of it."""
    try:
        return msgspec.Raw(msgspec.json.format(body, indent=-1))
    except msgspec.DecodeError:
        return msgspec.Raw(msgspec.json.encode(body.decode("utf-8", "replace")))


class Growing:
    """One file of whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.lines = 0
        self._descriptor = -1
        self._synced = 0

    def open(self) -> Iterator[str]:
        """Open or make it, take away what was cut in the middle, and yield the `custom_id` of each line. Raises OSError."""
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with self.path.open("rb") as file:
            while (line := file.readline()).endswith(b"\n"):
                yield msgspec.json.decode(line, type=_Known).custom_id
                self.size += len(line)
                self.lines += 1
        os.ftruncate(self._descriptor, self.size)

    def append(self, line: bytes) -> None:
        """Write a whole line, or nothing of it. Raises OSError."""
        try:
            written = os.write(self._descriptor, line)
        except OSError:
            self._take_back()
            raise
        if written < len(line):
            self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written
        self.lines += 1

    def sync(self) -> None:
        """Force it to the disk. Raises OSError."""
        size = self.size
        if size > self._synced:
            os.fdatasync(self._descriptor)
            self._synced = size

    def close(self) -> None:
        """Let go of it. May come twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take_back(self) -> None:
        os.ftruncate(self._descriptor, self.size)


class Results:
    """Both files of one batch, and which requests are done. `completed` and `failed` count them."""

    def __init__(self, output: Path, errors: Path) -> None:
        self.output = Growing(output)
        self.errors = Growing(errors)
        self.done: set[str] = set()

    @property
    def completed(self) -> int:
        """Requests that were answered well."""
        return self.output.lines

    @property
    def failed(self) -> int:
        """All others that are done."""
        return self.errors.lines

    def open(self) -> None:
        """Take in what is there. It blocks: for a thread. Raises OSError."""
        for file in (self.output, self.errors):
            self.done.update(file.open())

    def note(self, custom_id: str, line: bytes, *, into: Literal["output", "errors"]) -> None:
        """Write the line of a request, which is done then. Raises OSError, and it is not."""
        (self.output if into == "output" else self.errors).append(line)
        self.done.add(custom_id)

    def sync(self) -> None:
        """Force both to the disk. It blocks: for a thread. Raises OSError."""
        self.output.sync()
        self.errors.sync()

    def close(self) -> None:
        """Let go of both."""
        self.output.close()
        self.errors.close()
