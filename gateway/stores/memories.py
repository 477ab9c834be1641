"""The port of memories: entries that runs write under keys, and later runs read. Each says what it was made from, and who wrote it.

A call of a run writes once, however often it is made: who makes it again after a crash is told what came of it the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.errors import Conflict
from gateway.core.tools import Confidentiality, Integrity

MemoryScope = Literal["user", "agent", "tenant"]


def person(*, user: str, caller: str) -> str:
    """Give the name of a user, or of a key that is nobody's, as owner and author: no key can have the name of a user."""
    return f"user:{user}" if user else f"key:{caller}"


class MemoryChanged(Conflict):
    """The entry is not of the version that the write or the deletion was meant for. `version` is the one that it has, 0 for one that is not there."""

    code = "memory_changed"

    def __init__(self, message: str, version: int) -> None:
        super().__init__(message)
        self.version = version


class MemoryFull(Conflict):
    """The memory has no room for the entry."""

    code = "memory_full"


class MemoryGuarded(Conflict):
    """The entry was written from what is trusted, and would be overwritten with what is not."""

    code = "memory_guarded"


class MemoryPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Which memory: its name, and whose it is. `owner` is the user, the agent, or empty for the tenant's."""

    tenant: str
    name: str
    scope: MemoryScope
    owner: str = ""


class MemoryBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one memory holds at most. `bytes` are those of all keys and texts in UTF-8."""

    entries: int
    bytes: int


class MemoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry. Times are seconds since 1970; `size` is in bytes of UTF-8, of key and text.

    `version` begins with 1 and grows by one with each write of the entry; what is written after entries of the memory have gone begins above
    the versions of these, so that none comes twice under a key. `sources` is where what is not to be trusted, or is
    sensitive, came from; `run`, `agent` and `author` are who wrote it last (`author` is a user or a key).
    """

    key: str
    text: str
    version: int = 0
    integrity: Integrity = "trusted"
    confidentiality: Confidentiality = "internal"
    sources: tuple[str, ...] = ()
    run: str
    agent: str = ""
    author: str
    created_at: float
    updated_at: float
    expires_at: float | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.key.encode("utf-8", "replace")) + len(self.text.encode("utf-8", "replace"))


class MemoryInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a memory. `id` is `mem_…`; `entries` and `bytes` count what has expired until it is removed."""

    id: str
    place: MemoryPlace
    entries: int
    bytes: int
    updated_at: float


class MemoryStore(Protocol):
    """Keeps memories. What has expired at `now` is not there. Everything raises StoreUnavailable."""

    async def find(self, place: MemoryPlace, key: str, *, now: float) -> MemoryEntry | None:
        """Give an entry."""
        ...

    async def entries(self, place: MemoryPlace, *, now: float) -> Sequence[MemoryEntry]:
        """Give all entries, what was written last first."""
        ...

    async def write(
        self,
        place: MemoryPlace,
        entry: MemoryEntry,
        *,
        call: str,
        bounds: MemoryBounds,
        expected: int | None = None,
        guarded: bool = False,
    ) -> MemoryEntry:
        """Keep an entry in the place of the one under its key, at its `updated_at`; give it as it is kept, with its version.

        `call` is the key of the call that writes: one that has written gets what it has written, and nothing is done. `expected` is the
        version that must be there (0: none), None is any. With `guarded` what is not trusted takes the place of nothing that is.
        Raises MemoryChanged, MemoryFull and MemoryGuarded.
        """
        ...

    async def remove(
        self, place: MemoryPlace, key: str, *, call: str, run: str, now: float, expected: int | None = None
    ) -> bool:
        """Forget an entry; False where there is none. A call that has done so is told the same again. Raises MemoryChanged."""
        ...

    async def list(
        self, tenant: str | None, *, name: str = "", owner: str = "", after: str = "", limit: int = 100
    ) -> Sequence[MemoryInfo]:
        """Give memories of a tenant, or of all (None), by their ids."""
        ...

    async def info(self, tenant: str | None, memory: str) -> MemoryInfo | None:
        """Give what is told of one; None where the tenant has none of that id."""
        ...

    async def page(self, memory: str, *, now: float, after: str = "", limit: int = 100) -> Sequence[MemoryEntry]:
        """Give entries by their keys."""
        ...

    async def take_out(self, memory: str, key: str, *, now: float) -> bool:
        """Forget an entry because a person wants it; False where there is none."""
        ...

    async def erase(self, memory: str) -> int:
        """Forget all entries of a memory; give how many there were."""
        ...

    async def erase_of(self, *, tenant: str | None, user: str | None, before: float | None = None) -> int:
        """Forget what a user wrote, and all of the user's own memories; or what a tenant has. Give how many entries there were.

        With `before` only what was written last before it; what is None is any.
        """
        ...

    async def remove_expired(self, now: float) -> int:
        """Forget some of what has expired, and receipts of calls that are over; give how many entries, 0 where none is left."""
        ...
