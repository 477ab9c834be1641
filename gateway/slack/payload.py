"""What Slack sends when somebody clicks, or sends a form off: read strictly as far as it is used. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.slack.message import ANSWER, APPROVE, DENY, REASON, Ticket

_MESSAGE = "This is no interaction that Switchgear asked for."


class _Team(msgspec.Struct, frozen=True, kw_only=True):
    id: str


class _User(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    team_id: str = ""


class _Action(msgspec.Struct, frozen=True, kw_only=True):
    action_id: str
    value: str = ""


class _View(msgspec.Struct, frozen=True, kw_only=True):
    callback_id: str
    private_metadata: str
    state: dict[str, Any] = {}


class _Container(msgspec.Struct, frozen=True, kw_only=True):
    channel_id: str = ""


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    user: _User
    team: _Team | None = None
    actions: tuple[_Action, ...] = ()
    container: _Container = _Container()
    trigger_id: str = ""
    view: _View | None = None


class Click(msgspec.Struct, frozen=True, kw_only=True):
    """What a person did. `who` is the ids of workspace and user; `ticket` None is a button that is not ours any more.

    `submitted` says that it is a form that was sent off, with `reason`; else `trigger` opens one.
    """

    who: str
    user: str
    action: str
    channel: str
    ticket: Ticket | None
    trigger: str = ""
    reason: str = ""
    submitted: bool = False


def read_click(body: bytes) -> Click:
    """Read the body of a request whose signature is good. Raises InvalidRequest."""
    try:
        fields = dict(parse_qsl(body.decode(), strict_parsing=True, max_num_fields=10))
        payload = msgspec.json.decode(fields["payload"], type=_Payload)
    except (KeyError, ValueError, msgspec.DecodeError):
        raise InvalidRequest(_MESSAGE) from None
    who = f"{payload.user.team_id or ('' if payload.team is None else payload.team.id)}/{payload.user.id}"
    if payload.type == "view_submission" and payload.view is not None:
        return _submitted(payload.view, who, payload.user.id)
    if payload.type != "block_actions" or len(payload.actions) != 1:
        raise InvalidRequest(_MESSAGE)
    action = payload.actions[0]
    if action.action_id not in (APPROVE, DENY, ANSWER):
        raise InvalidRequest(_MESSAGE)
    return Click(
        who=who,
        user=payload.user.id,
        action=action.action_id,
        channel=payload.container.channel_id,
        ticket=Ticket.read(action.value),
        trigger=payload.trigger_id,
    )


def _submitted(view: _View, who: str, user: str) -> Click:
    if view.callback_id not in (DENY, ANSWER):
        raise InvalidRequest(_MESSAGE)
    channel, _, ticket = view.private_metadata.partition("|")
    return Click(
        who=who,
        user=user,
        action=view.callback_id,
        channel=channel,
        ticket=Ticket.read(ticket),
        reason=_reason(view.state),
        submitted=True,
    )


def _reason(state: dict[str, Any]) -> str:
    found: Any = state
    for name in ("values", REASON, REASON, "value"):
        found = found.get(name) if isinstance(found, dict) else None
    return found[:2000] if isinstance(found, str) else ""
