"""POST /v1/triggers/{name}: what Alertmanagers and other systems send. Its token or signature is the only key; who may send, may send nothing but this."""

from __future__ import annotations

from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge, refuse_while_draining
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.config.trigger_checks import key_of
from gateway.config.trigger_settings import (
    AlertmanagerTriggerSettings,
    AnyTriggerSettings,
    ScheduleTriggerSettings,
    WebhookTriggerSettings,
)
from gateway.core.errors import InvalidRequest, NotFound, SwitchgearError, Unauthenticated
from gateway.triggers.desk import TriggerDesk
from gateway.triggers.folding import Outcome
from gateway.triggers.intake import Delivery
from gateway.triggers.payloads import read_event, read_group
from gateway.triggers.signatures import is_bearer, signed_id

PATH = "/v1/triggers/{trigger}"

_REFUSED = "refused"
Received = AlertmanagerTriggerSettings | WebhookTriggerSettings


def endpoint(edge: Edge, desk: TriggerDesk | None) -> AsgiApp:
    """Give the endpoint; without a desk it says that this server has no triggers."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        if desk is None:
            msg = "This server has no triggers: set `triggers`, `agents`, `runs` and `database` in its configuration."
            raise NotFound(msg)
        refuse_while_draining(scope)
        name = str(scope["path_params"]["trigger"])
        settings = desk.means.triggers().get(name)
        headers = dict(scope["headers"])
        if settings is not None and _is_only_for_bearers(settings) and _sender(settings, headers, b"", 0.0) is None:
            raise _refusal()  # before a byte of the body is read
        # A signature is of the body, so it is read before anything is known of who sends: as much as the trigger takes.
        body = await read_body(receive, _most(edge, settings))
        try:
            outcome = await _taken(desk, name, settings, headers, body)
        except SwitchgearError as error:
            if error.status < 500 and settings is not None:
                desk.means.counts.deliveries.add((name, _REFUSED))
            raise
        return delivered(name, outcome)

    return PlainEndpoint(edge, compute, methods=("POST",), public=True)


def delivered(name: str, outcome: Outcome) -> Document:
    """Give the answer to a delivery: it is written down, and its run begins by itself."""
    shown = {
        "object": "trigger.delivery",
        "trigger": name,
        "outcome": outcome.word,
        "incident": outcome.incident or None,
    }
    return json_document(shown, status=202)


async def _taken(
    desk: TriggerDesk, name: str, settings: AnyTriggerSettings | None, headers: dict[bytes, bytes], body: bytes
) -> Outcome:
    """Take a request in. Raises Unauthenticated, the same for what is not there and for who may not, and InvalidRequest."""
    identifier = None if settings is None else _sender(settings, headers, body, desk.means.clock.wall())
    if identifier is None or settings is None or isinstance(settings, ScheduleTriggerSettings):
        raise _refusal()
    check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
    return await desk.intake.take(name, settings, read(settings, body, identifier))


def read(settings: Received, body: bytes, identifier: str) -> Delivery:
    """Read a body as the trigger has it. Raises InvalidRequest."""
    if isinstance(settings, AlertmanagerTriggerSettings):
        return read_group(body, settings, f"id:{identifier}" if identifier else "")
    if not identifier:
        msg = "A webhook needs an id."
        raise InvalidRequest(msg)
    return read_event(body, settings, identifier)


def _sender(settings: AnyTriggerSettings, headers: dict[bytes, bytes], body: bytes, now: float) -> str | None:
    """Give the id of what is sent, empty where a token is enough and there is none; None for who may not send."""
    if isinstance(settings, WebhookTriggerSettings):
        return signed_id(headers, body, key=key_of(settings.secret), window=settings.window, now=now)
    if isinstance(settings, ScheduleTriggerSettings):
        return None
    if settings.token is not None and is_bearer(headers, token=settings.token.reveal()):
        return ""
    if settings.signing_secret is None:
        return None
    return signed_id(headers, body, key=key_of(settings.signing_secret), window=settings.window, now=now)


def _refusal() -> Unauthenticated:
    return Unauthenticated(
        "There is no such trigger for you: its name, the token, or the signature and its time are not right."
    )


def _is_only_for_bearers(settings: AnyTriggerSettings) -> bool:
    return isinstance(settings, AlertmanagerTriggerSettings) and settings.signing_secret is None


def _most(edge: Edge, settings: AnyTriggerSettings | None) -> int:
    if isinstance(settings, Received):
        return min(settings.body_bytes, edge.body_bytes)
    return min(64 * 1024, edge.body_bytes)
