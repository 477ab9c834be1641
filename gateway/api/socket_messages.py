"""The messages of a WebSocket on /v1/responses: what a client's says, and what is said to it, as OpenAI has them. Pure.

Sources: OpenAI's guide to the WebSocket mode, the types of its client, and the Open Responses specification (2026-04-24).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.errors import InvalidRequest, SwitchgearError
from gateway.core.items import Json
from gateway.core.strict_json import decode_object
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.openai_responses.stored_encode import TERMINAL

CREATE: Final = "response.create"
STEER: Final = "response.steer"
PROCESSED: Final = "response.processed"
PREVIOUS: Final = "previous_response_id"
_ENVELOPE: Final = ("type", "stream_id", "generate", "stream", "background")
_LANE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}").fullmatch
_KINDS: Final = (CREATE, STEER, PROCESSED)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class BadMessage(InvalidRequest):
    """A message that is none of the protocol's; `code` says what is wrong with it."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a client. `lane` is empty for the default one, `fields` what is left of a body for /v1/responses."""

    kind: str
    lane: str
    fields: dict[str, Json]
    generate: bool = True


def read_message(text: str, *, depth: int) -> Said:
    """Read a message. Raises MalformedBody, BadMessage, and InvalidRequest for what has no place in one."""
    fields = decode_object(text.encode(), depth=depth)
    kind, lane = fields.get("type"), fields.get("stream_id")
    if kind not in _KINDS:
        msg = f"`type` must be {CREATE}."
        raise BadMessage(msg, "unknown_event_type", "type")
    if lane is not None and (not isinstance(lane, str) or _LANE(lane) is None):
        msg = "`stream_id` must be 1 to 256 letters, digits, underscores, hyphens and periods."
        raise BadMessage(msg, "invalid_stream_id", "stream_id")
    if fields.get("background"):
        msg = "`background` is not for WebSockets: send the request to POST /v1/responses."
        raise InvalidRequest(msg, param="background")
    if fields.get("stream") is False:
        msg = "`stream` must be left out: every answer on a WebSocket is a stream of events."
        raise InvalidRequest(msg, param="stream")
    generate = fields.get("generate")
    if generate is not None and not isinstance(generate, bool):
        msg = "`generate` must be true or false."
        raise InvalidRequest(msg, param="generate")
    body = {name: value for name, value in fields.items() if name not in _ENVELOPE}
    return Said(kind=kind, lane=lane or "", fields=body, generate=generate is not False)


def error_message(error: SwitchgearError, lane: str, headers: Mapping[str, str]) -> bytes:
    """Give the message for an error of ours."""
    return error_of(error.status, OPENAI_RESPONSES.encode_error(error), lane, headers)


def error_of(status: int, body: bytes, lane: str, headers: Mapping[str, str]) -> bytes:
    """Give the message for an error that HTTP would have had as a status and a document."""
    error = _decode(body)["error"]
    if status == 404 and error.get("param") == PREVIOUS:
        # What clients look for, to begin anew with all that was said.
        status, error["code"] = 400, "previous_response_not_found"
    said = {"type": "error", "status": status, "error": error}
    if headers:
        said["headers"] = dict(headers)
    return _on(_encode(said), lane)


def event_message(name: str, data: bytes, lane: str, previous: str) -> bytes:
    """Give the message for an event of a stream. `previous` is what the response goes on from, where its upstream was not told that."""
    if name == "error":
        told = _decode(data)
        error = {key: told.get(key) for key in ("code", "message", "param")}
        return _on(_encode({"type": "error", "status": 500, "error": {"type": "server_error", **error}}), lane)
    if previous and '"response":' in data[:200].decode("latin-1"):
        told = _decode(data)
        told["response"][PREVIOUS] = previous
        data = _encode(told)
    return _on(data, lane)


def ended(name: str, data: bytes) -> dict[str, Json] | None:
    """Give the response of the event with which it ends; None for every other event."""
    return _decode(data)["response"] if name in TERMINAL else None


def not_steered(said: Said) -> bytes:
    """Give the answer to input for a response that is under way, which nothing here takes in."""
    error = {
        "code": "steering_not_supported",
        "message": "A response that is under way takes no input here: send it in the next response.create.",
        "type": "invalid_request_error",
    }
    steer = {"input": said.fields.get("input"), PREVIOUS: said.fields.get(PREVIOUS)}
    return _encode({"type": "response.steer.failed", "sequence_number": 0, "error": error, "steer": steer})


def _on(data: bytes, lane: str) -> bytes:
    return b'%b,"stream_id":"%b"}' % (data[:-1], lane.encode("ascii")) if lane else data
