"""What an approval looks like in Slack. Pure.

Everything that a model, a tool or a person wrote is an element of rich text: Slack reads no mention, link or markup in those. The
one exception is the line for notifications, where what Slack would read is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from gateway.core.tools import SERVER
from gateway.notices.approval_view import mark, moment, outcome, question_text, visible
from gateway.slack.blocks import MOST_LINE, Block, context, cut, escaped, plain, preformatted, rich, section, text_of
from gateway.stores.tool_calls import Approval, ApprovalKind, Vote

MOST_SHOWN: Final = 5000
"""Characters of arguments; who cannot see all of them in a message cannot approve there."""
APPROVE: Final = "approval.approve"
DENY: Final = "approval.deny"
ANSWER: Final = "approval.answer"
REASON: Final = "reason"

_MOST_LINES: Final = 10

_ASKS: Final[dict[ApprovalKind, str]] = {
    "call": "asks for leave to call ",
    "outcome": "does not know whether this was done, and asks whether to do it again: ",
    "question": "has a question: ",
}
_YES: Final[dict[ApprovalKind, str]] = {"call": "Approve", "outcome": "Do it again", "question": "Answer"}
_NO: Final[dict[ApprovalKind, str]] = {"call": "Deny", "outcome": "Do not repeat it", "question": "Refuse"}


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a click brings back: which approval, in which version, and the nonce of the message. Never the arguments."""

    approval: str
    version: int
    nonce: str

    def text(self) -> str:
        """Give it as a button's value."""
        return f"{self.approval}|{self.version}|{self.nonce}"

    @classmethod
    def read(cls, text: str) -> Ticket | None:
        """Read a button's value; None for what is none."""
        approval, _, rest = text.partition("|")
        version, _, nonce = rest.partition("|")
        if not (approval and nonce and version.isascii() and version.isdecimal() and len(version) < 10):
            return None
        return cls(approval=approval, version=int(version), nonce=nonce)


def message(approval: Approval, votes: Sequence[Vote], nonce: str, *, show_url: str | None = None) -> dict[str, Any]:
    """Give text and blocks of the message as the approval stands: with buttons only while somebody may still answer."""
    shown, left = _arguments(approval)
    blocks = [rich(_headline(approval)), rich(preformatted(shown))]
    if left:
        where = f" or at {show_url}" if show_url else ""
        told = f"{left} more characters are not shown, so it cannot be approved here: switchgear approvals show {approval.id}{where}"
        blocks.append(rich(section([text_of(told, bold=True)])))
    blocks.append(rich(*(section(line) for line in _facts(approval))))
    blocks.append(rich(section([text_of(cut(outcome(approval, votes), MOST_LINE * 4), bold=True)])))
    if approval.state == "pending":
        ticket = Ticket(approval=approval.id, version=approval.version, nonce=nonce)
        blocks.append(_buttons(approval, ticket, whole=not left))
    hint = f"{approval.id} · to change the arguments: switchgear approvals edit {approval.id}"
    blocks.append(context(hint))
    about = f"{approval.server}/{approval.tool}" if approval.wish is None else cut(approval.wish.message)
    return {
        "text": escaped(f"{_who(approval)} {_ASKS[approval.kind]}{about} ({_state(approval, votes)})"),
        "blocks": blocks,
    }


def closed(approval: str) -> dict[str, Any]:
    """Give the message of an approval that is gone, with its run."""
    said = "The run was deleted, and what it asked with it. Nobody can answer any more."
    return {"text": said, "blocks": [rich(section([text_of(said)])), context(approval)]}


def modal(ticket: Ticket, channel: str, *, approve: bool, kind: ApprovalKind) -> dict[str, Any]:
    """Give the view that asks for words: why not, or the answer to a question."""
    title, label = ("Answer", "Your answer") if approve else ("Deny", "Why? The agent is told")
    return {
        "type": "modal",
        "callback_id": ANSWER if approve else DENY,
        "private_metadata": f"{channel}|{ticket.text()}",
        "title": plain(title),
        "submit": plain(_YES[kind] if approve else _NO[kind]),
        "close": plain("Back"),
        "blocks": [
            {
                "type": "input",
                "block_id": REASON,
                "optional": not approve,
                "label": plain(label),
                "element": {"type": "plain_text_input", "action_id": REASON, "multiline": True, "max_length": 1000},
            }
        ],
    }


def _arguments(approval: Approval) -> tuple[str, int]:
    """Give the arguments as they are shown, after what is asked for beside leave, and how many characters are left out."""
    text = approval.edited or approval.arguments
    with suppress(msgspec.DecodeError):  # what is no JSON is shown as it is
        text = msgspec.json.format(text, indent=2)
    text = visible(text)
    if approval.wish is not None:
        asked = question_text(approval.wish)
        text = asked if approval.server == SERVER else f"{asked}\n\n{approval.server}/{approval.tool} {text}"
    return text[:MOST_SHOWN] or "(no arguments)", max(0, len(text) - MOST_SHOWN)


def _headline(approval: Approval) -> Block:
    asked = f"{approval.server}/{approval.tool}" if approval.kind != "question" else ""
    return section(
        [text_of(_who(approval), bold=True), text_of(f" {_ASKS[approval.kind]}"), *([text_of(cut(asked), bold=True)] if asked else [])]
    )  # fmt: skip


def _who(approval: Approval) -> str:
    return cut(f"The agent {approval.agent}" if approval.agent else "A run")


def _facts(approval: Approval) -> list[list[Block]]:
    requester = approval.requester
    needed = f"{approval.quorum} of {', '.join(approval.groups) or 'all who may approve'}"
    does = {
        "read": "changes nothing",
        "idempotent": "doing it twice is doing it once",
        "once": "may do it twice if repeated",
    }
    lines = [
        ("Asked for by", requester.user or requester.id),
        ("Why", approval.reason + (f" ({', '.join(approval.rules)})" if approval.rules else "")),
        ("Effect", does[approval.effect]),
        ("The model had read", ", ".join(approval.taint)),
        *(
            (f"{path} comes from", f"{label.said} ({label.integrity}, {label.confidentiality})")
            for path, label in list(approval.origins.items())[:_MOST_LINES]
        ),
        ("Needs", needed + (", not who asked for it" if approval.four_eyes else "")),
        ("Until", moment(approval.expires_at)),
    ]
    more = len(approval.origins) - _MOST_LINES
    if more > 0:
        lines.append(("Origins", f"{more} more are not shown"))
    return [
        [text_of(f"{cut(name, MOST_LINE // 2)}: ", bold=True), text_of(f"{cut(value)}\n")]
        for name, value in lines
        if value
    ]


def _buttons(approval: Approval, ticket: Ticket, *, whole: bool) -> Block:
    # Who has been to the page has nothing to say but that.
    plain = approval.wish is not None and not approval.wish.schema.get("properties")
    yes = ANSWER if approval.kind == "question" and not plain else APPROVE
    deny = _button(DENY, _NO[approval.kind], ticket, "danger")
    # Nobody agrees to what he has not seen.
    label = "Done" if plain else _YES[approval.kind]
    elements = [_button(yes, label, ticket, "primary"), deny] if whole else [deny]
    return {"type": "actions", "block_id": "answer", "elements": elements}


def _button(action: str, label: str, ticket: Ticket, style: str) -> Block:
    return {"type": "button", "action_id": action, "text": plain(label), "style": style, "value": ticket.text()}


def _state(approval: Approval, votes: Sequence[Vote]) -> str:
    return mark(approval, votes).partition(":")[0]
