"""What an MCP server asks people for in the midst of a call, in either revision of the protocol, as wishes; and their answers, also that there is none, on the way back.

Nobody is at hand while a call is under way, and nothing is kept open for days. In the revision 2026-07-28 that is how it is meant: the
server says what it needs (`input_required`), and is called again with the answers. In 2025-11-25 it asks in the midst of the call
(`elicitation/create`): there it is told that nobody answers now (`cancel`), what it makes of that is put aside, and when people
have answered it is called again, with the same idempotency key, and given the answer at once when it asks again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final
from urllib.parse import urlsplit

import anyio
import msgspec

from gateway.core.items import Json
from gateway.core.tools import RESULT, Refusal, ToolOutput, Wish
from gateway.tools.connection import ToolCallAsked
from gateway.tools.content import failure
from gateway.tools.logged import Logged
from gateway.tools.passing import CAPABILITIES, NotPassed, request_of, told

URL_REQUIRED: Final = -32_042
"""The code of the error by which a server of 2025-11-25 says that people have to visit a page first."""
MOST_WISHES: Final = 8
MOST_MESSAGE: Final = 4000
MOST_URL: Final = 2000
MOST_BYTES: Final = 64 * 1024
"""Of a form, and of what a server wants back."""
MOST_FIELDS: Final = 40

NO_MORE: Final = "A person has declined what the tool asked for, and it asks for more. Nobody is asked again."

_ELICIT: Final = "elicitation/create"
_PLAIN: Final = frozenset({"boolean", "integer", "number", "string"})
_BORDER: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+")
_SECRET: Final = re.compile(
    r"\b(api ?keys?|access tokens?|credit ?card|cvc|cvv|pass ?(code|phrase|word)s?|passwd|private ?keys?|secrets?)\b",
    re.IGNORECASE,
).search
_OWN_MACHINE: Final = ("127.0.0.1", "::1", "localhost")
_ACCEPT: Final = "accept"
_CANCEL: Final = "cancel"


class Unfit(Exception):
    """What a server asks for cannot be put to people; the message says why, in words for a model."""


class Flight:
    """One call under way, and what its server has asked for in the midst of it."""

    def __init__(self, asked: ToolCallAsked, passed: Collection[str] = ()) -> None:
        self._asked = asked
        self._passed = passed
        self._seen: dict[str, int] = {}
        self.key = asked.key
        self.logged = Logged(asked.hearing) if asked.hearing is not None and "logging" in passed else None
        self.alone = False
        self.wishes: list[Wish] = []
        self.unfit = ""

    def answer(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """Give the answer to an `elicitation/create`: the one that people have given before, or that nobody answers now."""
        try:
            wish = wish_of(params)
        except Unfit as error:
            self.unfit = str(error)
            return {"action": _CANCEL}
        key, answer = self._answered(wish)
        return {"action": self._asked.refused.get(key, _CANCEL)} if answer is None else answer

    def result(self, method: str, params: Json) -> dict[str, Json] | None:
        """Give what the client's program has answered to a request; None where it is asked now, or has declined. Raises NotPassed."""
        return self._answered(self.request(method, params))[1]

    def request(self, method: str, params: Json) -> Wish:
        """Give what is asked of the client's program. Raises NotPassed."""
        asked = self._asked
        return request_of(asked.tool.server, method, params, asked.client, self._passed)

    @property
    def capabilities(self) -> dict[str, Json]:
        """Give what the server is told that can be asked in this call."""
        return told(self._asked.client, self._passed)

    def _answered(self, wish: Wish) -> tuple[str, dict[str, Json] | None]:
        """Give the key of what is asked for, and the answer; it is noted where there is none yet, and nobody has declined."""
        number = self._seen[wish.key] = self._seen.get(wish.key, 0) + 1
        key = wish.key if number == 1 else f"{wish.key}.{number}"
        answers = self._asked.answers
        if key in answers:
            return key, accepted(answers[key])
        # Who has said no is not asked for something else in the same call.
        if not self._asked.refused:
            self.wishes.append(msgspec.structs.replace(wish, key=key, earlier=answers))
        return key, None


CURRENT: ContextVar[Flight | None] = ContextVar("mcp_flight", default=None)
"""The call in whose answer something came. The library hands it on from who sent the request, where the transport has a stream for each."""


class Flights:
    """The calls under way on one connection. Of what comes by itself the protocol does not say to which of them it belongs: where there are several, to none.

    From the first such question on, calls on this connection are made one after the other. `passed` is what is passed on to clients.
    """

    def __init__(self, passed: Collection[str] = ()) -> None:
        self.passed = passed
        self._live: list[Flight] = []
        self._alone = False
        self._asides = 0
        self._turn = anyio.Lock()

    async def begin(self, asked: ToolCallAsked) -> Flight:
        """Note a call that is made now. It is to be ended."""
        flight = Flight(asked, self.passed)
        if self._alone:
            await self._turn.acquire()
            flight.alone = True
        self._live.append(flight)
        return flight

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Something that is no call of a tool is under way, and may be what a question belongs to: nobody answers it then."""
        alone = self._alone
        if alone:
            await self._turn.acquire()
        self._asides += 1
        try:
            yield
        finally:
            self._asides -= 1
            if alone:
                self._turn.release()

    def end(self, flight: Flight) -> None:
        """The call is over."""
        self._live.remove(flight)
        if flight.alone:
            self._turn.release()

    def answer(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """Answer a server that asks in the midst of a call."""
        flight = self.current
        return {"action": _CANCEL} if flight is None else flight.answer(params)

    def result(self, method: str, params: Json) -> dict[str, Json] | None:
        """Answer a server that asks something of the client's program; None where nobody answers now. Raises NotPassed."""
        flight = self.current
        if flight is None:
            raise NotPassed("It cannot be told which call this is for.")
        return flight.result(method, params)

    def capabilities(self, key: Json) -> dict[str, Json]:
        """Give what a server is told that can be asked, in the call with this key or in no call at all."""
        return next((flight.capabilities for flight in self._live if flight.key == key), told(None, ()))

    @property
    def current(self) -> Flight | None:
        """Give the call that what has just come belongs to; where that cannot be told, later calls are made one at a time."""
        flight = CURRENT.get()
        if flight is not None and flight in self._live:
            return flight
        if len(self._live) == 1 and not self._asides:
            return self._live[0]
        self._alone = True
        return None

    async def log(self, level: str, logger: str | None, data: Json) -> None:
        """Pass on what a server logs in a call; what it logs otherwise is for no client."""
        flight = CURRENT.get()
        if flight is None and len(self._live) == 1 and not self._asides:
            flight = self._live[0]
        if flight is not None and flight.logged is not None:
            await flight.logged(level, logger, data)


def accepted(content: Json) -> dict[str, Json]:
    """Give an answer as a server takes it; `content` is None for a page that was visited, and a result where a program was asked."""
    if isinstance(content, dict) and content.keys() == {RESULT} and isinstance(result := content[RESULT], dict):
        return result
    return {"action": _ACCEPT} if content is None else {"action": _ACCEPT, "content": content}


def responses_of(answers: Mapping[str, Json], refused: Mapping[str, Refusal]) -> dict[str, Json]:
    """Give `inputResponses` of a call that is made again."""
    given: dict[str, Json] = {key: accepted(content) for key, content in answers.items()}
    return given | {key: {"action": action} for key, action in refused.items()}


def needed(result: Mapping[str, Json], flight: Flight | None = None) -> ToolOutput | None:
    """Give what a result of type `input_required` asks people for, and the client's program in the call that is `flight`.

    None where it only wants to be asked again (`requestState` alone).
    """
    requests, state = result.get("inputRequests") or {}, result.get("requestState")
    if not isinstance(requests, dict) or not (state is None or isinstance(state, str)):
        return failure("The tool asks for something in return, in a form that cannot be read.")
    if not requests:
        return None
    if state is not None and len(state) > MOST_BYTES:
        return failure("The tool asks for something in return, and for more to be kept meanwhile than is kept here.")
    try:
        wishes = [_requested(key, request, state, flight) for key, request in requests.items()]
    except Unfit as error:
        return failure(str(error))
    return wanting(wishes)


def required(data: Json, answers: dict[str, Json]) -> ToolOutput:
    """Give what the error `URL_REQUIRED` asks people for."""
    listed = data.get("elicitations") if isinstance(data, dict) else None
    try:
        wishes = [wish_of({"mode": "url", **one}) for one in listed or () if isinstance(one, dict)]
    except Unfit as error:
        return failure(str(error))
    if not wishes:
        return failure("The tool wants a page to be visited first, and does not say which.")
    if all(wish.key in answers for wish in wishes):
        return failure("The tool says that a page has to be visited first, although a person says that it was.")
    # By this error nothing can be said back: who called again after a no would only see whether the page is needed still.
    return wanting(msgspec.structs.replace(wish, earlier=answers, untold=True) for wish in wishes)


def wanting(wishes: Iterable[Wish]) -> ToolOutput:
    """Give the output of a call that people have to answer first."""
    some = tuple(wishes)
    if len(some) > MOST_WISHES:
        return failure(f"The tool asks people for more than {MOST_WISHES} things at once.")
    return ToolOutput(text="", wishes=some)


def wish_of(params: Mapping[str, Json]) -> Wish:
    """Give what an `elicitation/create` asks for. Its key is the same whenever it asks for the same. Raises Unfit."""
    message, mode = params.get("message"), params.get("mode") or "form"
    if not isinstance(message, str) or len(message) > MOST_MESSAGE:
        raise Unfit("The tool asks a person for something, in words that cannot be shown.")
    if mode == "url":
        url = params.get("url")
        if not isinstance(url, str) or len(url) > MOST_URL or not _is_page(url):
            raise Unfit("The tool wants a person to visit a page whose address is none.")
        # The address may be another each time: what is asked for is not.
        return Wish(message=message, url=url, key=_digest(["url", message]))
    if mode != "form":
        raise Unfit(f"The tool asks a person for something in a way that is not known here: {str(mode)[:40]!r}.")
    schema = _form(params.get("requestedSchema"))
    return Wish(message=message, schema=schema, key=_digest(["form", message, schema]))


def _is_page(url: str) -> bool:
    """Whether people can see where an address leads: no name before it, no look-alike letters, nothing that ends it elsewhere, and nobody reads along."""
    if not url.isascii() or any(sign <= " " or sign in '"<>\\^`{|}\x7f' for sign in url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    known = parts.scheme == "https" or (parts.scheme == "http" and host in _OWN_MACHINE)
    return known and bool(host) and "@" not in parts.netloc and "xn--" not in host


def _requested(key: Json, request: Json, state: str | None, flight: Flight | None) -> Wish:
    method = request.get("method") if isinstance(request, dict) else None
    if flight is not None and method in CAPABILITIES and isinstance(request, dict):
        try:
            wish = flight.request(str(method), request.get("params"))
        except NotPassed as error:
            raise Unfit(str(error)) from error
        # There is no result by which a program declines.
        return msgspec.structs.replace(wish, key=str(key), state=state, untold=True)
    if method != _ELICIT:
        what = {"sampling/createMessage": "a model to be asked (sampling)", "roots/list": "folders (roots)"}
        named = what.get(str(method), f"{str(method)[:60]!r}")
        raise Unfit(f"The tool's server asks for {named}, which this server does not give it.")
    params = request.get("params")
    if not isinstance(params, dict):
        raise Unfit("The tool asks for something in return, in a form that cannot be read.")
    return msgspec.structs.replace(wish_of(params), key=str(key), state=state)


def _form(schema: Json) -> dict[str, Json]:
    """Give a form that is as MCP has them: an object of plain fields, and lists of listed words. Raises Unfit for any other."""
    fields = schema.get("properties", {}) if isinstance(schema, dict) and schema.get("type") == "object" else None
    if not isinstance(fields, dict) or len(msgspec.json.encode(schema)) > MOST_BYTES or len(fields) > MOST_FIELDS:
        raise Unfit("The tool asks a person to fill in a form that is none.")
    for name, field in fields.items():
        kind = field.get("type") if isinstance(field, dict) else None
        if not isinstance(kind, str) or (kind not in _PLAIN and kind != "array"):
            raise Unfit(f"The tool asks a person to fill in a form with a field that cannot be shown: {name[:60]!r}.")
        if field.get("format") == "password" or _SECRET(_BORDER.sub(" ", name)):
            # What people answer is kept and shown; the protocol has servers send them to a page for that.
            raise Unfit(
                f"The tool asks a person to write a secret into a form, which nobody is to do here: {name[:60]!r}."
            )
    return dict(schema)


def _digest(what: Json) -> str:
    return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()[:32]
