"""Receipts of writes: a small file that knows what was begun and what came of it, by idempotency keys, across programs and their deaths.

Each line is one step of one write, on the disk before the next step is taken: begun (with the plan), applied, done (with the result) or
dropped (nothing was changed). One write is made at a time by all programs that share the file, and the lock is the system's: it goes with
its program, so a write that is begun and not applied belongs to a program that died, or that does not know what came of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import anyio
import msgspec

from mcp_servers.verbs import Json, Refused

_POLL_SECONDS: Final = 0.02


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a write. `digest` is of its verb and arguments, `plan` is what carrying it on needs."""

    key: str
    digest: str
    step: Literal["begun", "applied", "done", "dropped"]
    plan: Json = None
    result: dict[str, Json] | None = None


_decode: Final = msgspec.json.Decoder(Receipt)


class Receipts:
    """The file. It holds at most `most` writes: what is older is forgotten."""

    def __init__(self, path: Path, *, most: int) -> None:
        self._path = path
        self._most = most

    def held(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Be the only one who writes. Raises Refused when that takes longer than this many seconds."""
        return lock(self._path, seconds)

    def find(self, key: str) -> Receipt | None:
        """Give the last step of a write."""
        return self._all().get(key)

    def note(self, receipt: Receipt) -> None:
        """Keep a step; it is on the disk when this returns."""
        if len(known := self._all()) >= self._most and receipt.key not in known:
            newest = set([*known][-self._most // 2 :])
            self._rewrite([each for each in known.values() if each.key in newest or each.step != "done"])
        ends_well = _ends_well(self._path)
        with self._path.open("ab") as file:
            # A program that died in the middle of a line must not spoil this one.
            file.write((b"" if ends_well else b"\n") + msgspec.json.encode(receipt) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _all(self) -> dict[str, Receipt]:
        """Every write's last step, with the plan of its first; the least recently touched first."""
        known: dict[str, Receipt] = {}
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return known
        for line in lines:
            try:
                receipt = _decode.decode(line)
            except msgspec.DecodeError:
                continue  # half a line: its step was not taken
            before = known.pop(receipt.key, None)
            if receipt.step == "dropped":
                continue
            if receipt.plan is None and before is not None:
                receipt = msgspec.structs.replace(receipt, plan=before.plan)
            known[receipt.key] = receipt
        return known

    def _rewrite(self, kept: list[Receipt]) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        with new.open("wb") as file:
            file.writelines(msgspec.json.encode(each) + b"\n" for each in kept)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


@asynccontextmanager
async def lock(path: Path, seconds: float) -> AsyncIterator[None]:
    """Be the only one at a file, of all programs and of all calls in this one. Raises Refused when it takes longer than this many seconds."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        end = anyio.current_time() + seconds
        while not _locked(descriptor):
            if anyio.current_time() > end:
                msg = "Somebody else is at it, and takes long: nothing was done. Try again later."
                raise Refused(msg)
            await anyio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ends_well(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:  # there is no file, or nothing in it
        return True
