"""The first administrator's key: made when nobody could administer the server. Who shows it is the caller's choice."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from gateway.core.caller import DEFAULT_TENANT
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.errors import Conflict
from gateway.stores.directory import Directory, VirtualKey
from gateway.stores.held_key import BOOTSTRAP_MARK
from gateway.stores.key_material import digest_key, make_key, shown_prefix

log = structlog.get_logger()

_ADMINISTER: Final = frozenset({"owner", "admin"})


async def bootstrap(
    directory: Directory,
    pepper: bytes,
    *,
    file: Path | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> str | None:
    """Make an owner's key of the default tenant when no key works that may administer, and return it; None otherwise.

    With a `file` it is written there too, for its owner only (mode 0600), in place of what was there. When several replicas
    start at once, one of them makes the key. Raises StoreUnavailable, and OSError where the file cannot be written.
    """
    now = clock.wall()
    known = (await directory.keys.changed_since(0)).keys
    if any(key.role in _ADMINISTER and key.works_at(now) for key in known):
        return None
    earlier = sum(BOOTSTRAP_MARK in key.metadata for key in known)
    key = make_key()
    record = VirtualKey(
        # The same id on every replica: only one of them can be the first.
        id=f"key_bootstrap_{earlier + 1}",
        tenant=DEFAULT_TENANT,
        name="bootstrap" if earlier == 0 else f"bootstrap {earlier + 1}",
        prefix=shown_prefix(key),
        digest=digest_key(key.encode("ascii"), pepper),
        created_at=now,
        role="owner",
        metadata={BOOTSTRAP_MARK: "true"},
    )
    try:
        if file is None:
            await directory.keys.create(record)
        else:
            # On the disk before it is good for anything, so that it cannot be lost; in its place only when it is.
            with _written_beside(file, key) as written:
                await directory.keys.create(record)
                written.replace(file)
    except Conflict:
        log.info("bootstrap.made_elsewhere", key=record.id)
        return None
    log.info("bootstrap.key_made", key=record.id)
    return key


@contextmanager
def _written_beside(file: Path, key: str) -> Iterator[Path]:
    """Give a new file beside `file` that holds the key; it is removed if it is still there at the end."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(key + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
