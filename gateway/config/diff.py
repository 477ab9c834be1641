"""What differs between two configurations, by path. It compares secrets and shows none; it applies nothing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from gateway.config.faults import child_path, item_path
from gateway.config.settings import Settings

# The listening socket, its limits, the log and the exporter outlive every generation of the configuration. The server's keys
# do not: they are the one part of `server` that a reload changes.
_FIXED_IN_ACCESS: Final = ("access.pepper", "access.bootstrap_key_file", "access.keys_refresh")
_FIXED_IN_CACHE: Final = (
    "cache.bytes",
    "cache.entry_bytes",
    "cache.shared",
    "cache.embedding",
    "cache.entries",
    "cache.qdrant",
)
_FIXED_AT_START: Final = (
    "server",
    "logging",
    "telemetry",
    "database",
    "redis",
    "ledger",
    "audit",
    "batches",
    "runs",
    "approvals",
    "slack",
    *_FIXED_IN_ACCESS,
    *_FIXED_IN_CACHE,
)
_RELOADED: Final = "server.keys"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference: where, and whether it came, went or changed. It holds no value, so it can be logged."""

    path: str
    kind: Literal["added", "removed", "changed"]

    def __str__(self) -> str:
        return f"{self.path} {self.kind}"


def diff(old: Settings, new: Settings) -> tuple[Change, ...]:
    """Return what changed from `old` to `new`, as deep as both have the same shape; nothing when they are equal."""
    return tuple(_differences("", old, new))


def needs_restart(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return those of the changes that a reload cannot apply to a running server."""
    return tuple(change for change in changes if _is_fixed(change.path))


def _is_fixed(path: str) -> bool:
    return _below(path, _FIXED_AT_START) and not _below(path, (_RELOADED,))


def _below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def _differences(path: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    before, after = _parts(path, old), _parts(path, new)
    if type(old) is not type(new) or before is None or after is None:
        yield Change(path=path, kind=_change(old, new))
        return
    for below in before | after:
        if below not in after:
            yield Change(path=below, kind="removed")
        elif below not in before:
            yield Change(path=below, kind="added")
        else:
            yield from _differences(below, before[below], after[below])


def _change(old: Any, new: Any) -> Literal["added", "removed", "changed"]:
    if old is None:
        return "added"
    return "removed" if new is None else "changed"


def _parts(path: str, value: Any) -> dict[str, Any] | None:
    """Return what a value is made of, by path, or None when it has no parts."""
    if isinstance(value, msgspec.Struct):
        return {child_path(path, name): getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {child_path(path, key): item for key, item in value.items()}
    if isinstance(value, tuple):
        return {item_path(path, index): item for index, item in enumerate(value)}
    return None
