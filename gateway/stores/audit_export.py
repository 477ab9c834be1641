"""An export of the audit log: JSON lines that anybody can check without the database. It knows files, not databases.

Every line is canonical (see `audit_chain`). An entry is {"content": …, "digest": …, "hash": …, "previous": …, "seq": …}; one
of another tenant has no content. The last line is {"end": {"count": …, "head": …, "tenant": …}}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from gateway.stores.audit_chain import AuditHead, AuditLink, AuditVerdict, ChainCheck, HeadSigner
from gateway.stores.audit_details import canonical

_MOST_LINE: Final = 256 * 1024


class _End(msgspec.Struct, frozen=True, kw_only=True):
    count: int
    head: AuditHead
    tenant: str | None = None


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seq: int = 0
    previous: str = ""
    digest: str = ""
    hash: str = ""
    content: dict[str, Any] | None = None
    end: _End | None = None


_decoder: Final = msgspec.json.Decoder(_Line)


def entry_line(link: AuditLink) -> bytes:
    """Encode one entry, with the line's end."""
    line: dict[str, Any] = {"digest": link.digest, "hash": link.hash, "previous": link.previous, "seq": link.seq}
    if link.content is not None:
        line["content"] = link.content
    return canonical(line) + b"\n"


def end_line(count: int, head: AuditHead, *, tenant: str | None) -> bytes:
    """Encode the last line: how many entries came before it, where the chain ended, and whose contents are shown."""
    end = {"count": count, "head": msgspec.to_builtins(head), "tenant": tenant}
    return canonical({"end": end}) + b"\n"


def verify_export(path: Path, *, key: str | None = None, anchors: Iterable[AuditHead] = ()) -> AuditVerdict:
    """Check an exported file. `key` is the audit key, for the head's signature. Blocks. Raises OSError."""
    with path.open("rb") as file:
        return verify_lines(read_lines(file), key=key, anchors=anchors)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Give the lines of a file, with their ends; one that is longer than any of an export comes in pieces."""
    return iter(lambda: file.readline(_MOST_LINE), b"")


def verify_lines(lines: Iterable[bytes], *, key: str | None = None, anchors: Iterable[AuditHead] = ()) -> AuditVerdict:
    """Check an export as it comes, line by line; lines keep their ends."""
    check = ChainCheck(HeadSigner(key), anchors)
    end: _End | None = None
    count = 0
    for number, line in enumerate(lines, start=1):
        if end is not None:
            check.find("order", check.last_seq, f"line {number} comes after the end")
            break
        read = _read(line)
        if read is None:
            check.find("unreadable", check.last_seq, f"line {number} is not a line of an export, or was rewritten")
        elif read.end is not None:
            end = read.end
        else:
            count += 1
            check.take(
                AuditLink(
                    seq=read.seq, previous=read.previous, digest=read.digest, hash=read.hash, content=read.content
                )
            )
    if end is None:
        check.find("truncated", check.last_seq, "the export has no last line: its end is missing")
    elif end.tenant is None and check.hidden:
        check.find("missing", check.last_seq, f"{check.hidden} entries have no content, in an export of all tenants")
    if end is not None and end.count != count:
        check.find("missing", check.last_seq, f"the export says that it holds {end.count} entries, and holds {count}")
    return check.finish(None if end is None else end.head)


def _read(line: bytes) -> _Line | None:
    """Give the line, or None for what no export of ours holds: other JSON, or the same in another spelling.

    A second key of the same name, say, would show a reader one thing and be hashed as another.
    """
    try:
        read = _decoder.decode(line)
        return read if canonical(msgspec.json.decode(line)) + b"\n" == line else None
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        return None


def shown(verdict: AuditVerdict) -> Iterator[str]:
    """Give a verdict as lines for people."""
    for finding in verdict.findings:
        yield f"{finding.kind}: {finding.message}"
    hidden = f", {verdict.hidden} of them by their hashes only" if verdict.hidden else ""
    yield f"{verdict.entries} entries checked{hidden}"
    if verdict.head is not None:
        yield f"head: entry {verdict.head.seq}, {verdict.head.hash}"
    yield f"signature of the head: {verdict.signature}; anchors: {verdict.anchors}, {verdict.signed_anchors} of them with a valid signature"
    yield "sound" if verdict.sound else "NOT SOUND"
