"""A double of Slack, in the test's event loop: its Web API over HTTP, and the requests that it sends when somebody clicks.

It keeps messages as Slack does (one `ts` a channel and message), refuses what Slack refuses (tokens, channels, shapes and lengths of
blocks), and can be told to fail a method: with a code ({"ok": false}), with 429 and Retry-After, with a status, or not at all for a while.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from gateway.slack.signature import sign

TOKEN = "xoxb-token-of-the-bot"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T0TEAM"
BLOCK_TYPES = {"rich_text", "actions", "context"}


class SlackDouble:
    """`messages` are those that stand, by channel and ts; `calls` all that was asked, in order; `views` the forms that were opened."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: dict[tuple[str, str], dict] = {}
        self.calls: list[tuple[str, dict]] = []
        self.views: list[dict] = []
        self.ephemeral: list[dict] = []
        self.channels = {"C0MAIN", "C0SRE", "C0LATE"}
        self._fail: dict[str, list[tuple[int, dict, dict[str, str]]]] = {}
        self._ts = itertools.count(1)
        self._triggers: set[str] = set()
        self.hold = asyncio.Event()
        self.hold.set()

    def fail(self, method: str, code: str = "", *, status: int = 200, retry_after: str = "", times: int = 1) -> None:
        """Have the next calls of a method fail."""
        headers = {"retry-after": retry_after} if retry_after else {}
        self._fail.setdefault(method, []).extend([(status, {"ok": False, "error": code}, headers)] * times)

    def named(self, method: str) -> list[dict]:
        """The arguments of all calls of a method."""
        return [arguments for name, arguments in self.calls if name == method]

    def message(self, channel: str = "C0MAIN") -> dict:
        """The only message of a channel."""
        (found,) = [message for (where, _), message in self.messages.items() if where == channel]
        return found

    def answer(self, method: str, token: str, arguments: dict) -> tuple[int, dict, dict[str, str]]:
        """What Slack answers: status, document, headers."""
        self.calls.append((method, arguments))
        if self._fail.get(method):
            return self._fail[method].pop(0)
        if token != f"Bearer {TOKEN}":
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

    def _chat_post_message(self, arguments: dict) -> dict:
        channel = arguments["channel"]
        if channel not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        if fault := fault_of(arguments):
            return {"ok": False, "error": fault}
        ts = f"1790000000.{next(self._ts):06d}"
        self.messages[channel, ts] = {**arguments, "ts": ts}
        return {"ok": True, "channel": channel, "ts": ts, "message": {"text": arguments["text"]}}

    def _chat_update(self, arguments: dict) -> dict:
        key = arguments["channel"], arguments["ts"]
        if key not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        if fault := fault_of(arguments):
            return {"ok": False, "error": fault}
        self.messages[key] = {**arguments}
        return {"ok": True, "channel": key[0], "ts": key[1]}

    def _chat_post_ephemeral(self, arguments: dict) -> dict:
        self.ephemeral.append(arguments)
        return {"ok": True, "message_ts": "1790000000.999999"}

    def _views_open(self, arguments: dict) -> dict:
        if arguments["trigger_id"] not in self._triggers:
            return {"ok": False, "error": "invalid_trigger_id"}
        self._triggers.discard(arguments["trigger_id"])
        self.views.append(arguments["view"])
        return {"ok": True, "view": {"id": "V1", **arguments["view"]}}

    def click(self, message: dict, label: str, *, user: str = "U0ADA", team: str = TEAM) -> "Sent":
        """The request of a click on a button of a message."""
        button = next(one for one in buttons(message) if one["text"]["text"] == label)
        trigger = f"{len(self._triggers)}.{time.monotonic_ns()}"
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
        return Sent(payload)

    def submit(self, view: dict, reason: str, *, user: str = "U0ADA", team: str = TEAM) -> "Sent":
        """The request of a form that is sent off."""
        state = {"values": {"reason": {"reason": {"type": "plain_text_input", "value": reason or None}}}}
        payload = {
            "type": "view_submission",
            "team": {"id": team, "domain": "acme"},
            "user": {"id": user, "username": "ada", "team_id": team},
            "api_app_id": "A0APP",
            "trigger_id": "9.9",
            "view": {"id": "V1", "type": "modal", **view, "state": state},
        }
        return Sent(payload)


class Sent:
    """A request that Slack would send: `body` and `headers`, signed."""

    def __init__(self, payload: dict, *, at: float | None = None, secret: str = SIGNING_SECRET) -> None:
        self.payload = payload
        self.body = urlencode({"payload": json.dumps(payload)}).encode()
        timestamp = str(int(time.time() if at is None else at)).encode()
        self.headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": timestamp.decode(),
            "x-slack-signature": sign(self.body, timestamp, secret=secret).decode(),
        }

    @property
    def raw_headers(self) -> dict[bytes, bytes]:
        return {name.encode(): value.encode() for name, value in self.headers.items()}


def buttons(message: dict) -> list[dict]:
    """The buttons of a message."""
    return [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]


def words(message: dict) -> str:
    """All that a message says, without its form."""
    return "".join(_texts(message["blocks"]))


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    return own + [text for name, one in value.items() if name != "style" for text in _texts(one)]


def fault_of(arguments: dict) -> str:
    """What Slack would refuse of a message; empty where nothing."""
    blocks = arguments.get("blocks", [])
    if len(blocks) > 50 or any(block["type"] not in BLOCK_TYPES for block in blocks):
        return "invalid_blocks"
    if len(json.dumps(blocks, ensure_ascii=False)) > 40_000 or len(words({"blocks": blocks})) > 13_000:
        return "msg_blocks_too_long"
    for button in buttons(arguments):
        if len(button["value"]) > 2000 or len(button["text"]["text"]) > 75:
            return "invalid_blocks"
    return ""


@asynccontextmanager
async def slack_double() -> AsyncIterator[SlackDouble]:
    """Run one on a free port."""
    slack = SlackDouble()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                await slack.hold.wait()
                method = lines[0].split()[1].removeprefix("/api/")
                status, document, headers = slack.answer(method, fields.get("authorization", ""), json.loads(body))
                written = json.dumps(document).encode()
                extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {len(written)}\r\n\r\n".encode()
                    + written
                )
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
