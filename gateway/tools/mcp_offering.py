"""What an MCP server offers besides tools, asked for over an open connection: its lists, what they name, and word of their changes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, Final

import anyio
import structlog
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate
from mcp_types import (
    CONNECTION_CLOSED,
    PARSE_ERROR,
    CompleteRequest,
    GetPromptRequest,
    ListPromptsRequest,
    ListResourcesRequest,
    ListResourceTemplatesRequest,
    ReadResourceRequest,
    ServerCapabilities,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway.core.items import Json
from gateway.tools.connection import CannotConnect, Signals
from gateway.tools.delivery import KEY, NO_ANSWER, TOO_LARGE, UNAUTHORIZED, UNREADABLE, Deliveries
from gateway.tools.eliciting import Flights
from gateway.tools.hub import ToolNotReached, ToolUnauthorized
from gateway.tools.logged import LEVELS
from gateway.tools.mcp_messages import Result, cut
from gateway.tools.mcp_watching import watch
from gateway.tools.offers import Offer, OfferAsked, OfferKind, OfferRefused, Page
from gateway.tools.watching import Watched

log = structlog.get_logger()

MOST_PAGES: Final = 50
"""Pages of one list that are read: a list that does not end is cut there."""

MOST_OF_AN_OFFER: Final = 64 * 1024
"""Bytes of what a server says of one resource, template or prompt."""

LISTEN_AGAIN: Final = (1.0, 60.0)
"""Seconds after which word of changes is asked for again: the first time, and at most."""

_LISTS: Final[dict[OfferKind, tuple[type[Any], str, str]]] = {
    "resources": (ListResourcesRequest, "resources", "uri"),
    "templates": (ListResourceTemplatesRequest, "resourceTemplates", "name"),
    "prompts": (ListPromptsRequest, "prompts", "name"),
}
"""The request of each list, the field of its result that holds it, and the field by which operators name what is in it."""

_SAID: Final = ("uri", "uriTemplate", "name", "title", "description", "mimeType", "size", "annotations", "arguments")
"""Fields of an offer that are kept. Pictures and whatever else a server adds are not: who reads the list would fetch them."""

_REQUESTS: Final[dict[str, type[Any]]] = {
    "resources/read": ReadResourceRequest,
    "prompts/get": GetPromptRequest,
    "completion/complete": CompleteRequest,
}


class McpOffering:
    """The Offering half of a connection. Anything may be asked at once, each in a task of its own."""

    def __init__(
        self, client: Client, *, server: str, deliveries: Deliveries, signals: Signals, flights: Flights
    ) -> None:
        self._client = client
        self._server = server
        self._deliveries = deliveries
        self._flights = flights
        self._numbers = count(1)
        self._level = LEVELS.index("info")
        self.signals = signals

    async def offered(self, kind: OfferKind, wanted: frozenset[str]) -> Page:
        """Give those of one kind that the server lists and that are wanted. Raises CannotConnect."""
        if not _has(self._client.session.server_capabilities, kind):
            return Page()
        request, field, key = _LISTS[kind]
        found: dict[str, Offer] = {}
        seen: set[str | None] = {None}
        cursor: str | None = None
        fresh: float | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(kind, request(params={"cursor": cursor} if cursor else None))
            for one in _dicts(page.get(field)):
                name = one.get(key)
                # Of two with one name the first counts.
                if isinstance(name, str) and name in wanted and name not in found:
                    offer = self._offer(kind, name, one)
                    found |= {} if offer is None else {name: offer}
            fresh = _least(fresh, page.get("ttlMs"))
            following = page.get("nextCursor")
            cursor = following if isinstance(following, str) else None
            if cursor in seen or len(found) == len(wanted):
                return Page(offers=tuple(found.values()), fresh=fresh)
            seen.add(cursor)
        log.warning("tool_server.list_cut", server=self._server, kind=kind, found=len(found))
        return Page(offers=tuple(found.values()), fresh=fresh)

    async def ask(self, asked: OfferAsked, seconds: float) -> dict[str, Json]:
        """Give the server's result. Raises OfferRefused, ToolUnauthorized and ToolNotReached."""
        key = f"asked-{next(self._numbers)}"
        meta = {KEY: key, **({"traceparent": asked.trace} if asked.trace else {})}
        request = _REQUESTS[asked.method].model_validate(
            {"method": asked.method, "params": {**asked.params, "_meta": meta}}
        )
        try:
            with anyio.move_on_after(seconds):
                async with self._flights.aside():
                    answer = await self._client.session.send_request(request, Result)
                    return answer.model_extra or {}
        except MCPError as error:
            raise self._denied(key, error) from error
        except ValidationError as error:
            msg = f"The answer of the server {self._server!r} cannot be read."
            raise OfferRefused(msg, rpc=UNREADABLE) from error
        finally:
            self._deliveries.forget(key)
        raise ToolNotReached(f"The server {self._server!r} did not answer within its time.")

    async def listen(self) -> None:
        """Hear of changes for as long as the connection lasts, in the revision where that has to be asked for (2026-07-28)."""
        session = self._client.session
        if session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        tools, resources, prompts = _changing(session.server_capabilities)
        pause, longest = LISTEN_AGAIN
        while (tools or resources or prompts) and not self.signals.broken.is_set():
            try:
                async with self._client.listen(
                    tools_list_changed=tools, resources_list_changed=resources, prompts_list_changed=prompts
                ) as events:
                    pause = LISTEN_AGAIN[0]
                    async for _ in events:
                        self.signals.look_again()
            except (SubscriptionLost, TimeoutError):
                pass  # asked for again below
            except Exception as error:  # noqa: BLE001 whatever it makes of that, its tools go on: it is looked at from time to time
                log.info("tool_server.not_listened_to", server=self._server, why=type(error).__name__)
            await anyio.sleep(pause)
            pause = min(longest, pause * 2)
            # Nobody knows what was missed meanwhile.
            self.signals.look_again()

    async def watch(self, watched: Watched) -> None:
        """Have the server tell of single resources, for as long as they are watched."""
        self.signals.updated = watched.tell
        await watch(self._client, watched, self.signals, self._server)

    async def _page(self, kind: OfferKind, request: Any) -> Mapping[str, Json]:
        try:
            page = await self._client.session.send_request(request, Result)
        except MCPError as error:
            raise CannotConnect(f"it does not list its {kind}: {cut(error.message)}") from error
        except ValidationError as error:
            raise CannotConnect(f"its list of {kind} cannot be read") from error
        return page.model_extra or {}

    def _offer(self, kind: OfferKind, key: str, one: Mapping[str, Json]) -> Offer | None:
        said = {name: one[name] for name in _SAID if one.get(name) is not None}
        if len(str(said)) > MOST_OF_AN_OFFER:
            self._odd(kind, key, "it says too much of itself")
            return None
        if kind != "templates":
            return Offer(key=key, said=said)
        try:
            template = UriTemplate.parse(str(said.get("uriTemplate")))
        except InvalidUriTemplate as error:
            self._odd(kind, key, str(error))
            return None
        return Offer(key=key, said=said, matches=lambda uri: template.match(uri) is not None)

    def _odd(self, kind: OfferKind, key: str, why: str) -> None:
        log.warning("tool_server.offer_odd", server=self._server, kind=kind, name=key[:128], why=why[:300])

    def _denied(self, key: str, error: MCPError) -> OfferRefused | ToolNotReached:
        if error.code == UNAUTHORIZED and not self._deliveries.is_out(key):
            return ToolUnauthorized(f"The server {self._server!r} was not asked: {cut(error.message)}.")
        if error.code == TOO_LARGE or self._deliveries.was_too_large(key):
            msg = f"The answer of the server {self._server!r} is too large and was not read: {cut(error.message)}"
            return OfferRefused(msg, rpc=TOO_LARGE)
        if error.code in (PARSE_ERROR, UNREADABLE):
            return OfferRefused(f"The answer of the server {self._server!r} cannot be read.", rpc=UNREADABLE)
        if error.code not in (CONNECTION_CLOSED, NO_ANSWER):
            return OfferRefused(f"The server {self._server!r} refused it: {cut(error.message)}", rpc=error.code)
        if error.message == "Connection closed":
            self.signals.breaks("the connection was closed")
        reason = self.signals.reason or cut(error.message)
        return ToolNotReached(f"The server {self._server!r} did not answer: {reason}.")


def _has(capabilities: ServerCapabilities | None, kind: OfferKind) -> bool:
    if capabilities is None:
        return False
    return (capabilities.prompts if kind == "prompts" else capabilities.resources) is not None


def _changing(capabilities: ServerCapabilities | None) -> tuple[bool, bool, bool]:
    """Give of which lists (tools, resources, prompts) a server says that it tells of their changes."""
    said = capabilities or ServerCapabilities()
    return (
        bool(said.tools and said.tools.list_changed),
        bool(said.resources and said.resources.list_changed),
        bool(said.prompts and said.prompts.list_changed),
    )


def _dicts(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _least(known: float | None, milliseconds: Json) -> float | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or milliseconds <= 0:
        return known
    seconds = milliseconds / 1000
    return seconds if known is None else min(known, seconds)
