"""Approvals and votes as rows of the tables, and back. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping

from gateway.core.caller import Caller
from gateway.core.tools import Label, Wish
from gateway.stores.approvals_tables import APPROVAL_VOTES, APPROVALS
from gateway.stores.ledger import storable
from gateway.stores.tool_calls import Approval, Vote

_PLAIN: Final = tuple(column.name for column in APPROVALS.columns if column.name not in ("edited", "body"))
_VOTE: Final = tuple(column.name for column in APPROVAL_VOTES.columns)


class _Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is long, and never asked for by itself."""

    requester: Caller
    arguments: str
    reason: str = ""
    rules: tuple[str, ...] = ()
    origins: dict[str, Label] = {}
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    wish: Wish | None = None
    groups: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(_Body)


def approval_row(approval: Approval) -> dict[str, Any]:
    """Give the row of an approval."""
    row = {name: getattr(approval, name) for name in _PLAIN}
    body = _Body(**{name: getattr(approval, name) for name in _Body.__struct_fields__})
    names = {name: storable(row[name]) for name in ("agent", "server", "tool")}
    return row | names | {"edited": approval.edited.encode(), "body": _encode(body)}


def read_approval(row: RowMapping) -> Approval:
    """Give the approval of a row."""
    fields: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Approval(**fields, **msgspec.structs.asdict(_body.decode(row["body"])), edited=bytes(row["edited"]).decode())


def vote_row(vote: Vote) -> dict[str, Any]:
    """Give the row of a vote."""
    return {name: getattr(vote, name) for name in _VOTE} | {
        "approver": storable(vote.approver),
        "reason": storable(vote.reason),
    }


def read_vote(row: RowMapping) -> Vote:
    """Give the vote of a row."""
    return Vote(**{name: row[name] for name in _VOTE})
