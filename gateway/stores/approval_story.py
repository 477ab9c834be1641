"""How an approval was decided, in words for who comes too late. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.stores.tool_calls import Approval, Vote


def story(approval: Approval, votes: Sequence[Vote]) -> str:
    """Say how it was decided: by whom, when, and what goes on."""
    used = "approved" if approval.state == "consumed" else approval.state
    deciding = [vote for vote in votes if vote.version == approval.version and vote.approve == (used == "approved")]
    people = "".join(
        f" by {vote.approver} ({vote.channel})" for vote in deciding[-1:] if used in ("approved", "denied")
    )
    when = "" if approval.decided_at is None else f" at {moment(approval.decided_at)}"
    goes_on = f" The response {approval.continuation} goes on." if approval.continuation else ""
    became = "expired" if used == "expired" else f"was {used}"
    return f"The approval {approval.id} {became}{people}{when}.{goes_on}"


def moment(at: float) -> str:
    """Give a time (seconds since 1970) as people write it, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
