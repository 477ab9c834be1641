"""What a server of tools has to offer besides tools: resources, templates of resources, and prompts. What is not on its allow-list does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import unquote

import msgspec

from gateway.config.tool_settings import McpSettings, ToolServerSettings
from gateway.core.caller import Caller
from gateway.core.errors import SwitchgearError
from gateway.core.items import Json
from gateway.tools.watching import Watched

OfferKind = Literal["resources", "templates", "prompts"]
KINDS: Final[tuple[OfferKind, ...]] = ("resources", "templates", "prompts")
_UPWARDS: Final = re.compile(r"(?:\A|[/\\?#=&;:])\.\.(?:[/\\?#=&;:]|\Z)")
_URI: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-F]{2})*\Z")
_UNRESERVED: Final = re.compile(r"%(?:2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)")
"""A letter, a digit, `-`, `.`, `_` or `~`, encoded: whoever reads it may take it for the sign itself."""
_ENCODED_TWICE: Final = re.compile(r"%25[0-9A-Fa-f]{2}")
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NOTHING_BETWEEN: Final = re.compile(r"//|/\.(?:[/?#]|\Z)")
AskedMethod = Literal["resources/read", "prompts/get", "completion/complete"]


class OfferRefused(SwitchgearError):
    """The server itself refused what it was asked for; `rpc` is the JSON-RPC code that it gave. Its words are its own."""

    status = 502
    code = "tool_server_refused"

    def __init__(self, message: str, *, rpc: int) -> None:
        super().__init__(message)
        self.rpc = rpc


class Offer(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One thing that a server offers. `said` is what it says of it, by the names of the protocol; `key` is its URI, or its name.

    Of a template, `matches` says whether a URI is one of its own. Two offers are the same when the server says the same of them.
    """

    key: str
    said: dict[str, Json]
    matches: Callable[[str], bool] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offer) and (self.key, self.said) == (other.key, other.said)

    def __hash__(self) -> int:
        return hash(self.key)


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the offers of one server, each kind by key. `reachable` are the URIs that may be read although it lists none of them."""

    resources: Mapping[str, Offer] = {}
    templates: Mapping[str, Offer] = {}
    prompts: Mapping[str, Offer] = {}
    reachable: frozenset[str] = frozenset()

    def may_read(self, uri: str) -> bool:
        """Whether a URI is on the allow-list: by itself, or as one of a template's that does not lead out of it."""
        if uri in self.reachable:
            return True
        return next(self.templates_of(uri), None) is not None

    def templates_of(self, uri: str) -> Iterator[Offer]:
        """Yield the templates through which a URI may be read."""
        if _climbs(uri) or not _is_in_normal_form(uri):
            return
        yield from (one for one in self.templates.values() if one.matches is not None and one.matches(uri))

    def template(self, written: str) -> Offer | None:
        """Give the template that is written so."""
        return next((one for one in self.templates.values() if one.said.get("uriTemplate") == written), None)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a server lists of one kind, and for how many seconds it says that this stays so; None where it does not say."""

    offers: Sequence[Offer] = ()
    fresh: float | None = None


class OfferAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a server is asked for. `params` are those of the protocol, with the server's own names."""

    method: AskedMethod
    params: dict[str, Json]
    caller: Caller
    trace: str | None = None


@runtime_checkable
class Offering(Protocol):
    """A Connection to a server that may offer more than tools."""

    async def offered(self, kind: OfferKind, wanted: frozenset[str]) -> Page:
        """Give those of one kind that the server lists and that are wanted, by key. Raises CannotConnect."""
        ...

    async def ask(self, asked: OfferAsked, seconds: float) -> dict[str, Json]:
        """Give the server's result, which has the form of the protocol. Raises OfferRefused and ToolNotReached."""
        ...

    async def listen(self) -> None:
        """Hear from the server when its lists change, where that has to be asked for, and tell it by the signals. It raises nothing."""
        ...

    async def watch(self, watched: Watched) -> None:
        """Have the server tell of single resources, for as long as they are watched. It raises nothing."""
        ...


def wanted_of(settings: ToolServerSettings) -> dict[OfferKind, frozenset[str]]:
    """Give what the operator has named, by kind; nothing for a server of a kind that offers tools alone."""
    if not isinstance(settings, McpSettings):
        return {}
    named = {
        "resources": settings.resources,
        "templates": settings.resource_templates,
        "prompts": settings.prompts,
    }
    return {kind: frozenset(named[kind]) for kind in KINDS if named[kind]}


def _climbs(uri: str) -> bool:
    """Whether a URI has a step that leads upwards, written in whatever way: what a template gives room for is not to be left by it."""
    plain = uri
    for _ in range(3):
        plain = unquote(plain)
    return "\x00" in plain or _UPWARDS.search(plain) is not None


def _is_in_normal_form(uri: str) -> bool:
    """Whether a URI is written in the one way that it has (RFC 3986, 6.2.2): what policies say of it is not to be got around by another spelling."""
    if _URI.match(uri) is None or _UNRESERVED.search(uri) or _ENCODED_TWICE.search(uri):
        return False
    return _NOTHING_BETWEEN.search(_ORIGIN.sub("", uri)) is None
