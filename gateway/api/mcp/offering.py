"""What the handlers of resources, prompts and completion have in common: what a caller sees of all servers, pages of it, and notes of what was given."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol, TypeVar

import msgspec
from mcp import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from mcp_types.methods import serialize_server_result
from pydantic import ValidationError

from gateway.api.mcp.uris import Uris
from gateway.config.policy_settings import ActionName
from gateway.core.caller import Caller
from gateway.core.errors import NotFound, SwitchgearError
from gateway.core.items import Json
from gateway.core.tools import model_name
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Resource, Situation, offered
from gateway.stores.audit import AuditActor, AuditObject
from gateway.stores.audit_log import AuditLog
from gateway.tools.eliciting import needed
from gateway.tools.hub import ToolNotReached
from gateway.tools.offers import OfferRefused, Offers
from gateway.tools.server_offers import ServerOffers

SITUATION: Final = Situation(operation="read", dialect="mcp")
"""How policies are asked about what is neither a call nor a model: always the same, so that an answer is remembered."""

SOURCE: Final = "switchgear/source"
INTEGRITY: Final = "switchgear/integrity"
"""Where, in `_meta` of a result, its provenance stands: the server and the thing, and that strangers may have written it."""

RESOURCE_NOT_FOUND: Final = -32_002
"""As revisions before 2026-07-28 have it; that one says INVALID_PARAMS."""

MOST_OF_A_CURSOR: Final = 8192

Answer = dict[str, Json]
Handler = Callable[[Any, Any], Awaitable[Answer]]
Listed = TypeVar("Listed")


class Asker(Protocol):
    """A request, as far as it matters here."""

    @property
    def caller(self) -> Caller:
        """Who asks."""
        ...

    @property
    def version(self) -> str:
        """The revision that is spoken."""
        ...

    @property
    def modern(self) -> bool:
        """Whether that is 2026-07-28 or a later one."""
        ...

    @property
    def trace(self) -> str | None:
        """The trace that it belongs to."""
        ...

    @property
    def address(self) -> str:
        """Where it came from."""
        ...


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What clients see in one generation: of which `servers`, under which names (`outer` names prompts by server and name), and who may.

    `bare` is the server whose URIs are not changed. A page has `page` entries, and may be kept for `ttl` seconds.
    """

    servers: frozenset[str]
    authorizer: Authorizer
    outer: Callable[[str, str], str] = model_name
    bare: str = ""
    page: int = 100
    ttl: float = 60.0

    @property
    def uris(self) -> Uris:
        """Its URIs."""
        return Uris(self.bare)

    def lets(self, caller: Caller, action: ActionName, resource: Resource) -> bool:
        """Whether a caller may have this. Nobody is asked about what is only read: what people would have to agree to is not there."""
        return self.authorizer.decide(caller, action, resource, SITUATION).effect == "allow"

    def may_read(self, caller: Caller, server: str, uri: str, known: Offers | None) -> bool:
        """Whether a caller may read a resource of a server's that offers what is `known`.

        It is one that the operator named by itself, or it has a template that the caller may use. Of what nobody knows there is no way.
        """
        if known is None or not self.lets(caller, "read_resource", offered("resource", server, uri)):
            return False
        return uri in known.reachable or any(
            self.lets(caller, "read_resource", offered("resource", server, str(one.said["uriTemplate"])))
            for one in known.templates_of(uri)
        )


class McpOffers:
    """Shared by these handlers. `view` gives what clients see now, `asker` reads a request, `pace` bounds what one caller has under way."""

    def __init__(
        self,
        offers: ServerOffers,
        view: Callable[[], View],
        asker: Callable[[Any], Asker],
        *,
        audit: AuditLog | None = None,
        pace: Callable[[Caller], AbstractContextManager[None]] = lambda caller: nullcontext(),
    ) -> None:
        self.servers = offers
        self.view = view
        self.asker = asker
        self.pace = pace
        self._audit = audit

    async def known(self, view: View) -> dict[str, Offers]:
        """Give what each server that clients see offers."""
        return {name: offers for name, offers in (await self.servers.known()).items() if name in view.servers}

    def note(self, asker: Asker, action: str, about: Resource, outcome: str) -> None:
        """Write down what a caller was given, or was not."""
        if self._audit is not None:
            self._audit.record_later(
                action,
                actor=AuditActor.of(asker.caller, address=asker.address),
                about=AuditObject(kind=about.kind, id=about.id[:1000], tenant=asker.caller.tenant),
                details={"outcome": outcome},
            )

    async def given(
        self,
        asker: Asker,
        action: str,
        about: Resource,
        work: Callable[[], Awaitable[Answer]],
        missing: Callable[[], MCPError],
    ) -> Answer:
        """Give what a server answers, noted. Raises MCPError in the words of the protocol."""
        outcome = "cancelled"
        try:
            with self.pace(asker.caller):
                answer = await work()
            outcome = "ok"
        except NotFound as error:
            outcome = error.code
            raise missing() from error
        except OfferRefused as error:
            outcome = error.code
            if error.rpc == RESOURCE_NOT_FOUND:
                raise missing() from error
            raise MCPError(INVALID_PARAMS if error.rpc == INVALID_PARAMS else INTERNAL_ERROR, error.message) from error
        except ToolNotReached as error:
            outcome = error.code
            raise MCPError(INTERNAL_ERROR, error.message, {"code": error.code}) from error
        except SwitchgearError as error:
            outcome = error.code
            raise
        finally:
            self.note(asker, action, about, outcome)
        return answer


def paged(view: View, entries: Mapping[str, Listed], params: Any) -> tuple[list[Listed], str | None]:
    """Give the page that is asked for of entries by key, sorted, and the cursor of the next. A cursor is the last key: it holds in every replica.

    Raises MCPError for a cursor that is none.
    """
    cursor = None if params is None else params.cursor
    after = "" if cursor is None else _read(cursor)
    keys = sorted(key for key in entries if key > after)
    page = keys[: view.page]
    more = base64.urlsafe_b64encode(page[-1].encode()).decode() if len(keys) > len(page) else None
    return [entries[key] for key in page], more


def listed(method: str, field: str, asker: Asker, view: View, page: tuple[Iterable[Answer], str | None]) -> Answer:
    """Give the result of a list: an entry that the client's revision cannot carry does not take the others with it."""
    entries, more = page
    answer: Answer = {
        "resultType": "complete",
        field: [entry for entry in entries if fits(method, asker.version, {field: [entry]})],
    }
    if more is not None:
        answer["nextCursor"] = more
    if asker.modern:
        # What one may have, another may not.
        answer |= {"ttlMs": round(view.ttl * 1000), "cacheScope": "private"}
    return answer


def fits(method: str, version: str, answer: Answer) -> bool:
    """Whether a result is one of the revision."""
    around: Answer = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    try:
        serialize_server_result(method, version, {**around, **answer})
    except (ValidationError, KeyError, ValueError):
        return False
    return True


def again(params: Any) -> Answer:
    """Give what a client says that goes on with a request for which more was wanted."""
    said = params.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {name: said[name] for name in ("inputResponses", "requestState") if name in said}


def wanting(asker: Asker, result: Answer) -> Answer | None:
    """Give what the server wants of people first, for the client to ask; None where it wants nothing. Raises MCPError where that cannot be put to people."""
    if result.get("resultType", "complete") == "complete":
        return None
    output = needed(result)
    if output is not None and output.is_error:
        raise MCPError(INTERNAL_ERROR, output.text)
    if not asker.modern:
        msg = "The server wants to know something of people first, which clients of this revision cannot be asked for here."
        raise MCPError(INTERNAL_ERROR, msg)
    kept = {name: result[name] for name in ("inputRequests", "requestState") if result.get(name) is not None}
    return {"resultType": "input_required", **kept}


def provenance(server: str, name: str) -> Answer:
    """Give the `_meta` of what a server gave."""
    return {SOURCE: f"{server}/{name}", INTEGRITY: "untrusted"}


def _read(cursor: str) -> str:
    try:
        return base64.b64decode(cursor[:MOST_OF_A_CURSOR], altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        msg = "The cursor is not one of this list."
        raise MCPError(INVALID_PARAMS, msg) from error
