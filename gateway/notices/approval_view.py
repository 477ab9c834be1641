"""An approval as people and programs are shown it. Pure.

Arguments come from a model, names of tools from their servers: both may be written to deceive who reads them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.core.tools import Wish
from gateway.stores.tool_calls import Approval, Vote

# What is not seen, or turns a line around: controls but tab and newline, separators, marks of direction, zero widths, tags.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)


def approval_view(approval: Approval, votes: Sequence[Vote] = ()) -> dict[str, Any]:
    """Give all that there is to see. `arguments` are those that are asked about now, `arguments_text` the same to the byte."""
    effective = approval.edited or approval.arguments
    requester = approval.requester
    return {
        "object": "approval",
        "id": approval.id,
        "tenant": approval.tenant,
        "run": approval.run,
        "call": approval.call,
        "kind": approval.kind,
        "state": approval.state,
        "agent": approval.agent or None,
        "requester": {"id": requester.id, "user": requester.user or None, "team": requester.team or None},
        "server": approval.server,
        "tool": approval.tool,
        "effect": approval.effect,
        "arguments": msgspec.Raw(effective.encode()) if effective else None,
        "arguments_text": effective,
        "arguments_sha256": approval.arguments_hash,
        "arguments_before": approval.arguments if approval.edited else None,
        "definition_sha256": approval.definition,
        "question": None if approval.wish is None else wish_view(approval.wish),
        "reason": approval.reason,
        "rules": list(approval.rules),
        "origins": {path: label.shown() for path, label in approval.origins.items()},
        "taint": list(approval.taint),
        "groups": list(approval.groups),
        "quorum": approval.quorum,
        "four_eyes": approval.four_eyes,
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
        "version": approval.version,
        "continuation": approval.continuation or None,
        "votes": [vote_view(vote) for vote in votes],
    }


def wish_view(wish: Wish) -> dict[str, Any]:
    """Give what people are asked for beside leave."""
    return {"message": wish.message, "schema": wish.schema or None, "url": wish.url or None}


def question_text(wish: Wish) -> str:
    """Give what people are asked for as they read it: the words, the page to go to, a line for each field of a form."""
    lines = [wish.message]
    if wish.url:
        lines += ["", f"Go to {wish.url}", "and say yes when you have done there what it asks for."]
    fields = wish.schema.get("properties")
    if isinstance(fields, dict) and fields:
        needed = wish.schema.get("required")
        lines += ["", *(_field(name, field, needed) for name, field in fields.items())]
    return visible("\n".join(lines))


def _field(name: str, field: Any, needed: Any) -> str:
    asked = field if isinstance(field, dict) else {}
    items = asked.get("items")
    inner = items if isinstance(items, dict) else asked
    listed = inner.get("enum") or [
        one.get("const") for one in inner.get("oneOf") or inner.get("anyOf") or () if isinstance(one, dict)
    ]
    about = [
        str(asked.get("description") or asked.get("title") or ""),
        f"{'some' if asked.get('type') == 'array' else 'one'} of {', '.join(map(str, listed))}" if listed else "",
        "" if listed or asked.get("type") in (None, "string", "array") else str(asked.get("type")),
        "" if isinstance(needed, list) and name in needed else "may be left out",
    ]
    told = "; ".join(filter(None, about))
    return f"{name}: {told}" if told else name


def vote_view(vote: Vote) -> dict[str, Any]:
    """Give one person's answer."""
    verdict = "approve" if vote.approve else "deny"
    return {
        "approver": vote.approver,
        "verdict": verdict,
        "reason": vote.reason,
        "channel": vote.channel,
        "at": vote.at,
    }


def mark(approval: Approval, votes: Sequence[Vote]) -> str:
    """Give what differs whenever the approval would be shown differently."""
    if approval.state != "pending":
        return "approved" if approval.state == "consumed" else approval.state
    return f"pending:{approval.version}:{len(votes)}"


def visible(text: str) -> str:
    """Give text with what is not seen written as JSON escapes it: of canonical JSON, that says the same."""
    return _UNSEEN.sub(lambda found: escaped(found[0]), text)


def escaped(character: str) -> str:
    r"""Give a character as \uXXXX, in two halves where it takes that."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def moment(seconds: float) -> str:
    """Give a time as people read it, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def outcome(approval: Approval, votes: Sequence[Vote]) -> str:
    """Say in a sentence what became of an approval; of one that is pending, how far it is."""
    counted = [vote for vote in votes if vote.approve and vote.version in (0, approval.version)]
    names = " and ".join(vote.approver for vote in counted)
    if approval.state == "pending":
        return f"{len(counted)} of {approval.quorum} have approved." if counted else "Nobody has answered yet."
    when = "" if approval.decided_at is None else f" at {moment(approval.decided_at)}"
    if approval.state in ("approved", "consumed"):
        edited = " with other arguments" if approval.edited else ""
        return f"Approved{edited} by {names or 'nobody that is known'}{when}."
    if approval.state == "denied":
        denial = next((vote for vote in reversed(votes) if not vote.approve), None)
        by = "" if denial is None else f" by {denial.approver}"
        why = f": {denial.reason}" if denial is not None and denial.reason else ""
        return f"Denied{by}{when}{why or '.'}"
    return f"{'Expired' if approval.state == 'expired' else 'Cancelled'}{when}; nobody can answer any more."
