"""A fake Slack: its Web API over HTTP, and the signed requests that it sends when somebody clicks. The demo and the tests use it; it is not Slack, and listens on 127.0.0.1 alone.

It keeps messages as Slack does (one `ts` a channel and message, replies with the `thread_ts` of a message that there is), refuses what Slack refuses
(tokens, channels, shapes and lengths of blocks), and can be told to fail a method: with a code ({"ok": false}), with 429 and Retry-After, with a
status, or to be silent for a while.

Source of the signature: Slack's "Verifying requests from Slack".
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

TOKEN = "xoxb-token-of-the-demo"
SECRET = "signing-secret-of-the-demo"
TEAM, USER, CHANNEL = "T0DEMO", "U0ADA", "C0ONCALL"
BLOCK_TYPES = {"rich_text", "actions", "context"}

Message = dict[str, Any]
Told = Callable[[Message, str], None]


def _nobody(message: Message, what: str) -> None:
    """Tell nobody."""
    del message, what


class FakeSlack:
    """`messages` are those that stand, by channel and ts; `calls` all that was asked, in order; `views` the forms that were opened.

    `on_post` hears of each message that is new or changed, and which of these it is.
    """

    def __init__(
        self, on_post: Told = _nobody, *, token: str = TOKEN, secret: str = SECRET, team: str = TEAM, channels: Collection[str] = (CHANNEL,)
    ) -> None:  # fmt: skip
        self.url = ""
        self.messages: dict[tuple[str, str], Message] = {}
        self.calls: list[tuple[str, Message]] = []
        self.views: list[dict[str, Any]] = []
        self.ephemeral: list[Message] = []
        self.channels = set(channels)
        self.hold = asyncio.Event()
        self.hold.set()
        self._on_post = on_post
        self._token, self._secret, self._team = token, secret, team
        self._fail: dict[str, list[tuple[int, dict[str, Any], dict[str, str]]]] = {}
        self._ts = itertools.count(1)
        self._triggers: set[str] = set()

    def fail(self, method: str, code: str = "", *, status: int = 200, retry_after: str = "", times: int = 1) -> None:
        """Have the next calls of a method fail."""
        headers = {"retry-after": retry_after} if retry_after else {}
        self._fail.setdefault(method, []).extend([(status, {"ok": False, "error": code}, headers)] * times)

    def named(self, method: str) -> list[Message]:
        """Give the arguments of all calls of a method."""
        return [arguments for name, arguments in self.calls if name == method]

    def message(self, channel: str) -> Message:
        """Give the only message of a channel."""
        (found,) = [message for (where, _), message in self.messages.items() if where == channel]
        return found

    def thread(self, channel: str) -> list[Message]:
        """Give the first messages of a channel and, after each, its replies."""
        found = [message for (where, _), message in self.messages.items() if where == channel]
        heads = [message for message in found if not message.get("thread_ts")]
        return [one for first in heads for one in (first, *(each for each in found if each.get("thread_ts") == first["ts"]))]  # fmt: skip

    def open_questions(self) -> list[Message]:
        """Give the messages that still have buttons, the oldest first."""
        return [message for message in self.messages.values() if buttons(message)]

    def answer(self, method: str, token: str, arguments: Message) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Give what Slack answers: status, document, headers."""
        self.calls.append((method, arguments))
        if self._fail.get(method):
            return self._fail[method].pop(0)
        if token != f"Bearer {self._token}":
            return 200, {"ok": False, "error": "invalid_auth"}, {}
        known = {
            "chat.postMessage": self._chat_post_message,
            "chat.update": self._chat_update,
            "chat.postEphemeral": self._chat_post_ephemeral,
            "views.open": self._views_open,
        }
        if method not in known:
            return 200, {"ok": False, "error": "unknown_method"}, {}
        return 200, known[method](arguments), {}

    def _chat_post_message(self, arguments: Message) -> dict[str, Any]:
        channel, thread = arguments["channel"], arguments.get("thread_ts")
        if channel not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        if thread is not None and (channel, thread) not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        if fault := fault_of(arguments):
            return {"ok": False, "error": fault}
        ts = f"1790000000.{next(self._ts):06d}"
        self.messages[channel, ts] = {**arguments, "ts": ts}
        self._on_post(self.messages[channel, ts], "a reply in the thread" if thread else "a new message")
        return {"ok": True, "channel": channel, "ts": ts, "message": {"text": arguments["text"]}}

    def _chat_update(self, arguments: Message) -> dict[str, Any]:
        key = arguments["channel"], arguments["ts"]
        if key not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        if fault := fault_of(arguments):
            return {"ok": False, "error": fault}
        where = {name: value for name, value in self.messages[key].items() if name == "thread_ts"}
        self.messages[key] = {**arguments, **where}
        self._on_post(self.messages[key], "the message changes")
        return {"ok": True, "channel": key[0], "ts": key[1]}

    def _chat_post_ephemeral(self, arguments: Message) -> dict[str, Any]:
        self.ephemeral.append(arguments)
        return {"ok": True, "message_ts": "1790000000.999999"}

    def _views_open(self, arguments: Message) -> dict[str, Any]:
        if arguments["trigger_id"] not in self._triggers:
            return {"ok": False, "error": "invalid_trigger_id"}
        self._triggers.discard(arguments["trigger_id"])
        self.views.append(arguments["view"])
        return {"ok": True, "view": {"id": "V1", **arguments["view"]}}

    def click(self, message: Message, label: str, *, user: str = USER, team: str = "") -> Sent:
        """Give the request of a click on a button of a message."""
        button = next(one for one in buttons(message) if one["text"]["text"] == label)
        trigger, team = f"{len(self._triggers)}.{time.monotonic_ns()}", team or self._team
        self._triggers.add(trigger)
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "ada", "team_id": team},
            "api_app_id": "A0APP",
            "token": "deprecated",
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"], "is_ephemeral": False},
            "trigger_id": trigger,
            "team": {"id": team, "domain": "acme"},
            "channel": {"id": message["channel"], "name": "approvals"},
            "message": {"type": "message", "ts": message["ts"], "text": message["text"]},
            "response_url": f"{self.url}/actions/T0TEAM/1/x",
            "actions": [{"action_id": button["action_id"], "block_id": "answer", "type": "button", "value": button["value"], "action_ts": "1.2"}],
        }  # fmt: skip
        return Sent(payload, secret=self._secret)

    def submit(self, view: dict[str, Any], reason: str, *, user: str = USER, team: str = "") -> Sent:
        """Give the request of a form that is sent off with a reason."""
        state = {"values": {"reason": {"reason": {"type": "plain_text_input", "value": reason or None}}}}
        payload = {
            "type": "view_submission",
            "team": {"id": team or self._team, "domain": "acme"},
            "user": {"id": user, "username": "ada", "team_id": team or self._team},
            "api_app_id": "A0APP",
            "trigger_id": "9.9",
            "view": {"id": "V1", "type": "modal", **view, "state": state},
        }
        return Sent(payload, secret=self._secret)


class Sent:
    """A request that Slack would send: `body` and `headers`, signed."""

    def __init__(self, payload: dict[str, Any], *, secret: str, at: float | None = None) -> None:
        self.payload = payload
        self.body = urlencode({"payload": json.dumps(payload)}).encode()
        timestamp = str(int(time.time() if at is None else at))
        mac = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + self.body, hashlib.sha256).hexdigest()
        self.headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": f"v0={mac}",
        }


def buttons(message: Message) -> list[dict[str, Any]]:
    """Give the buttons of a message."""
    return [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]


def lines(message: Message) -> list[str]:
    """Give what a message says, a line for each of its parts; of a link also where it leads."""
    said = [_text(part) for block in message["blocks"] if block["type"] != "actions" for part in block["elements"]]
    return [line for text in said for line in text.splitlines() if line.strip()]


def words(message: Message) -> str:
    """Give all that a message says, without its form."""
    return "".join(_texts(message["blocks"]))


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(map(_text, value))
    if not isinstance(value, dict):
        return ""
    if value.get("type") == "link":
        return f"{value['text']} <{value['url']}>"
    return value["text"] if isinstance(value.get("text"), str) else _text(value.get("elements", []))


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    return own + [text for name, one in value.items() if name != "style" for text in _texts(one)]


def fault_of(arguments: Message) -> str:
    """Give what Slack would refuse of a message; empty where nothing."""
    blocks = arguments.get("blocks", [])
    if len(blocks) > 50 or any(block["type"] not in BLOCK_TYPES for block in blocks):
        return "invalid_blocks"
    if len(json.dumps(blocks, ensure_ascii=False)) > 40_000 or len(words({"blocks": blocks})) > 13_000:
        return "msg_blocks_too_long"
    for button in buttons({"blocks": blocks}):
        if len(button["value"]) > 2000 or len(button["text"]["text"]) > 75:
            return "invalid_blocks"
    return ""


@asynccontextmanager
async def serving(slack: FakeSlack) -> AsyncIterator[FakeSlack]:
    """Have it listen on a free port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, *more = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in more)}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                await slack.hold.wait()
                method = first.split()[1].removeprefix("/api/")
                status, document, headers = slack.answer(method, fields.get("authorization", ""), json.loads(body))
                said = json.dumps(document).encode()
                extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {len(said)}\r\n\r\n"
                writer.write(head.encode() + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    slack.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield slack
    finally:
        slack.hold.set()
        server.close()
