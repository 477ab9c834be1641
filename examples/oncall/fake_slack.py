"""A fake Slack for the demo: it takes messages as Slack's Web API does, and sends signed clicks. It is not Slack, and listens on 127.0.0.1 alone.

Source of the signature: Slack's "Verifying requests from Slack".
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

TOKEN = "xoxb-token-of-the-demo"
SECRET = "signing-secret-of-the-demo"
TEAM, USER, CHANNEL = "T0DEMO", "U0ADA", "C0ONCALL"

Message = dict[str, Any]


class FakeSlack:
    """`messages` are those that stand, by their ts, and `views` the forms that were opened. `on_post` hears of each message that is new or changed, and which of these it is."""

    def __init__(self, on_post: Callable[[Message, str], None]) -> None:
        self.url = ""
        self.messages: dict[str, Message] = {}
        self.views: list[dict[str, Any]] = []
        self._on_post = on_post
        self._numbers = itertools.count(1)

    def open_questions(self) -> list[Message]:
        """Give the messages that still have buttons, the oldest first."""
        return [message for message in self.messages.values() if buttons(message)]

    def click(self, message: Message, label: str) -> tuple[bytes, dict[str, str]]:
        """Give the request, body and headers, that Slack would send of a click on a button."""
        button = next(each for each in buttons(message) if each["text"]["text"] == label)
        return signed(
            {
                "type": "block_actions",
                "user": {"id": USER, "team_id": TEAM},
                "team": {"id": TEAM},
                "container": {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"]},
                "trigger_id": f"{time.monotonic_ns()}.1",
                "actions": [{"action_id": button["action_id"], "type": "button", "value": button["value"]}],
            }
        )

    def submit(self, view: dict[str, Any], reason: str) -> tuple[bytes, dict[str, str]]:
        """Give the request of a form that is sent off with a reason."""
        state = {"values": {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}}
        view = {"id": "V1", **view, "state": state}
        return signed(
            {"type": "view_submission", "team": {"id": TEAM}, "user": {"id": USER, "team_id": TEAM}, "view": view}
        )

    def answer(self, method: str, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give what Slack answers to a call of a method."""
        if token != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if method == "chat.postMessage":
            if arguments["channel"] != CHANNEL:
                return {"ok": False, "error": "channel_not_found"}
            ts = f"1790000000.{next(self._numbers):06d}"
            self.messages[ts] = {**arguments, "ts": ts}
            self._on_post(self.messages[ts], "a new message")
            return {"ok": True, "channel": CHANNEL, "ts": ts}
        if method == "chat.update" and arguments["ts"] in self.messages:
            self.messages[arguments["ts"]] = arguments
            self._on_post(arguments, "the message changes")
            return {"ok": True, "channel": CHANNEL, "ts": arguments["ts"]}
        if method == "views.open":
            self.views.append(arguments["view"])
            return {"ok": True, "view": {"id": "V1"}}
        return {"ok": method == "chat.postEphemeral", "error": "unknown_method"}


def signed(payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Give a payload as the body of a request, with the headers that prove that it is Slack's."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    at = str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": f"v0={mac}",
    }


def buttons(message: Message) -> list[dict[str, Any]]:
    """Give the buttons of a message."""
    return [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]


def lines(message: Message) -> list[str]:
    """Give what a message says, a line for each of its parts."""
    said = [_text(part) for block in message["blocks"] if block["type"] != "actions" for part in block["elements"]]
    return [line for text in said for line in text.splitlines() if line.strip()]


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(map(_text, value))
    if not isinstance(value, dict):
        return ""
    return value["text"] if isinstance(value.get("text"), str) else _text(value.get("elements", []))


@asynccontextmanager
async def fake_slack(on_post: Callable[[Message, str], None]) -> AsyncIterator[FakeSlack]:
    """Run one on a free port."""
    slack = FakeSlack(on_post)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, *more = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in more)}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                method = first.split()[1].removeprefix("/api/")
                said = json.dumps(slack.answer(method, fields.get("authorization", ""), json.loads(body))).encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n"
                writer.write(head.encode() + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    slack.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    try:
        yield slack
    finally:
        server.close()
