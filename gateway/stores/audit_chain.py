"""The chain of hashes: how an entry is hashed, how a head is signed, and what is wrong with a chain. It reads nothing itself.

An outsider can check it with these four rules (canonical: RFC 8785, keys sorted, no spaces, UTF-8):

    digest    = SHA-256 of the canonical content
    hash      = SHA-256 of canonical {"digest": …, "previous": …, "seq": …}
    previous  = the hash of the entry before, 64 zeros for the first, whose seq is 1
    signature = HMAC-SHA-256, by the audit key, of canonical {"at": …, "hash": …, "seq": …} of the head

Content holds a random id, so a digest tells nothing about a content that is not shown.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gateway.stores.audit_details import canonical

GENESIS: Final = "0" * 64
_MOST_FINDINGS: Final = 100


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain: its last entry's number and hash, and when (ms). `key` names who signed; empty when nobody did."""

    seq: int
    hash: str
    at: int
    key: str = ""
    signature: str = ""


class AuditLink(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as far as the chain is concerned. `content` is None where it is not shown to the reader."""

    seq: int
    previous: str
    digest: str
    hash: str
    content: dict[str, Any] | None = None


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and with which entry.

    `kind`: changed (the content or a hash is another), missing, order (doubled, inserted or moved), link (does not follow
    the one before), truncated (the end is gone), head, signature, anchor, unreadable.
    """

    kind: str
    seq: int
    message: str


class AuditVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification says. `sound` when nothing was found. `hidden` entries were checked by their hashes only.

    `signature` of the head: valid, false, unchecked (no key was given), or absent (nobody signed it). `anchors` counts those that
    the chain was held against, `signed_anchors` those of them with a valid signature.
    """

    sound: bool
    entries: int
    hidden: int
    head: AuditHead | None
    signature: str
    anchors: int
    signed_anchors: int
    findings: tuple[AuditFinding, ...] = ()


class HeadSigner:
    """Signs heads with the audit key; without one, gives them unsigned."""

    def __init__(self, key: str | None) -> None:
        self._key = None if key is None else key.encode()
        # Names the key without telling it: an HMAC under it of a constant.
        self.key_id = "" if self._key is None else hmac.digest(self._key, b"switchgear audit key", "sha256").hex()[:16]

    def sign(self, *, seq: int, hash_: str, at: int) -> AuditHead:
        """Give the head, signed."""
        return AuditHead(seq=seq, hash=hash_, at=at, key=self.key_id, signature=self._signature(seq, hash_, at))

    def accepts(self, head: AuditHead) -> bool:
        """Whether this key signed the head, and the head says so."""
        if self._key is None or head.key != self.key_id:
            return False
        return hmac.compare_digest(self._signature(head.seq, head.hash, head.at).encode(), head.signature.encode())

    def __bool__(self) -> bool:
        return self._key is not None

    def _signature(self, seq: int, hash_: str, at: int) -> str:
        if self._key is None:
            return ""
        return hmac.digest(self._key, canonical({"at": at, "hash": hash_, "seq": seq}), "sha256").hex()


def digest_of(content: dict[str, Any]) -> str:
    """Hash a content, as hexadecimal."""
    return hashlib.sha256(canonical(content)).hexdigest()


def hash_of(*, seq: int, previous: str, digest: str) -> str:
    """Hash an entry, as hexadecimal."""
    return hashlib.sha256(canonical({"digest": digest, "previous": previous, "seq": seq})).hexdigest()


class ChainCheck:
    """Goes along a chain, entry by entry, and notes what is wrong. `anchors` are heads that somebody outside has kept."""

    def __init__(self, signer: HeadSigner, anchors: Iterable[AuditHead] = ()) -> None:
        self._signer = signer
        self._anchors: dict[int, str] = {}
        self._findings: list[AuditFinding] = []
        self._signed_anchors = self._total_anchors = self._entries = 0
        self.last_seq = self.hidden = 0
        self._last_hash = GENESIS
        for anchor in anchors:
            self._keep(anchor)

    def find(self, kind: str, seq: int, message: str) -> None:
        """Note something that is wrong."""
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(AuditFinding(kind=kind, seq=seq, message=message))

    def take(self, link: AuditLink) -> None:
        """Check the next entry, in the order of the chain."""
        self._entries += 1
        self.hidden += link.content is None
        if link.content is not None and not _same_digest(link):
            self.find("changed", link.seq, f"entry {link.seq} does not say what it said when it was written")
        if hash_of(seq=link.seq, previous=link.previous, digest=link.digest) != link.hash:
            self.find("changed", link.seq, f"the hash of entry {link.seq} is not that of the entry")
        self._place(link)
        anchored = self._anchors.get(link.seq)
        if anchored is not None and anchored != link.hash:
            self.find(
                "anchor", link.seq, f"entry {link.seq} is not the one that the anchor holds: the chain was rewritten"
            )
        self.last_seq, self._last_hash = max(link.seq, self.last_seq), link.hash

    def finish(self, head: AuditHead | None) -> AuditVerdict:
        """Hold the end against the head and the anchors, and give the verdict."""
        if head is None:
            self.find(
                "head", self.last_seq, "the chain has no head: whether entries are missing at its end cannot be told"
            )
        else:
            self._end(head)
        beyond = max(self._anchors, default=0)
        if beyond > self.last_seq:
            self.find(
                "truncated", beyond, f"{_entries(self.last_seq + 1, beyond)} cut off: the anchor knows entry {beyond}"
            )
        return AuditVerdict(
            sound=not self._findings,
            entries=self._entries,
            hidden=self.hidden,
            head=head,
            signature=self._signature(head),
            anchors=self._total_anchors,
            signed_anchors=self._signed_anchors,
            findings=tuple(self._findings),
        )

    def _keep(self, anchor: AuditHead) -> None:
        if not anchor.hash:
            self.find("anchor", anchor.seq, f"line {anchor.at} of the anchor cannot be read")
            return
        self._total_anchors += 1
        if self._signer and anchor.key == self._signer.key_id:
            if not self._signer.accepts(anchor):
                self.find("anchor", anchor.seq, f"the anchor for entry {anchor.seq} has a false signature")
                return
            self._signed_anchors += 1
        if anchor.seq > 0 and self._anchors.setdefault(anchor.seq, anchor.hash) != anchor.hash:
            self.find("anchor", anchor.seq, f"two anchors for entry {anchor.seq} differ: the chain was rewritten")

    def _place(self, link: AuditLink) -> None:
        wanted = self.last_seq + 1
        if link.seq > wanted:
            self.find("missing", wanted, f"{_entries(wanted, link.seq - 1)} missing")
        elif link.seq < wanted:
            self.find(
                "order",
                link.seq,
                f"entry {link.seq} stands where entry {wanted} should: it was doubled, inserted or moved",
            )
        elif link.previous != self._last_hash:
            self.find(
                "link", link.seq, f"entry {link.seq} does not follow the entry before it: one of them was replaced"
            )

    def _end(self, head: AuditHead) -> None:
        if head.seq > self.last_seq:
            self.find(
                "truncated",
                head.seq,
                f"{_entries(self.last_seq + 1, head.seq)} cut off: the head knows entry {head.seq}",
            )
        elif head.seq < self.last_seq:
            self.find(
                "head",
                head.seq,
                f"{_entries(head.seq + 1, self.last_seq)} not covered by the head: inserted, or the head is old",
            )
        elif head.hash != self._last_hash:
            self.find("head", head.seq, "the head has another hash than the last entry")
        if self._signer and head.seq > 0 and not self._signer.accepts(head):
            why = "is not signed" if not head.signature else "has a false signature, or that of another key"
            self.find("signature", head.seq, f"the head {why}")

    def _signature(self, head: AuditHead | None) -> str:
        if head is None or not head.signature:
            return "absent"
        if not self._signer:
            return "unchecked"
        return "valid" if self._signer.accepts(head) else "false"


def _same_digest(link: AuditLink) -> bool:
    try:
        return link.content is not None and digest_of(link.content) == link.digest
    except (TypeError, ValueError, RecursionError):
        return False  # what cannot be encoded was never written


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
