"""One request of an MCP client, as handlers see it: who asks, what he can, and where to tell him how it goes. And what surrounds every handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.api.mcp.run_ids import run_of_key, run_of_request
from gateway.api.mcp.sessions import askable, key_of, session_of
from gateway.api.mcp.speaking import SPEAKING, Speaking
from gateway.api.plain import CALLER
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, SwitchgearError
from gateway.core.items import Json
from gateway.tools.logged import Hearing

log = structlog.get_logger()

KEY: Final = "switchgear/idempotency-key"
"""Of `_meta`: a client that asks again with the same key asks for the same call."""
CALL_ID: Final = "switchgear.call"
REQUEST_ID: Final = "switchgear.mcp.request"
SESSION: Final = b"mcp-session-id"

_CODE: Final = "code"
_PROGRESS: Final = "progress_token"

Context = ServerRequestContext[Any, Any]
Params = Any
Answer = dict[str, Json]
Handler = Callable[[Context, Params], Awaitable[Answer]]


class Asked:
    """A request."""

    def __init__(self, context: Context) -> None:
        self._context = context
        scope = context.request.scope if context.request is not None else {}
        self.caller: Caller = scope[CALLER]
        scope[REQUEST_ID] = context.request_id
        self.id: str = scope.get(CALL_ID, "")
        departure = (scope.get("extensions") or {}).get("switchgear.departure")
        self._departure = departure
        self.address: str = (scope.get("client") or ("",))[0]
        headers = dict(scope.get("headers") or ())
        self.version = context.protocol_version
        self.modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        self.session: str = "" if self.modern else key_of(scope)
        self._speaking: Speaking | None = None if self.modern else scope.get(SPEAKING)
        self.hearing: Hearing | None = None
        self.can: dict[str, Json] = self._capabilities(scope)
        trace = self.meta("traceparent") or headers.get(b"traceparent", b"").decode("latin-1")
        self.trace: str | None = trace if isinstance(trace, str) and len(trace) == 55 else None

    def meta(self, name: str) -> Json:
        """Give what the request's `_meta` says under a name."""
        return dict(self._context.meta or {}).get(name)

    @property
    def left(self) -> bool:
        """Whether the client has left, as far as the server can tell: else it is the server that goes down, and calls go on without it."""
        return self._departure is None or bool(self._departure.left)

    def _capabilities(self, scope: Mapping[str, Any]) -> dict[str, Json]:
        if self.modern:
            said = self._context.session.client_capabilities
            return {} if said is None else askable(said.model_dump(by_alias=True, mode="json", exclude_none=True))
        session = session_of(dict(scope))
        return {} if session is None else session.can

    @property
    def can_visit(self) -> bool:
        """Whether the client can send its user to a page."""
        said = self.can.get("elicitation")
        return isinstance(said, dict) and "url" in said

    @property
    def can_fill(self) -> bool:
        """Whether the client can have its user fill in a form."""
        said = self.can.get("elicitation")
        # A client that names no way at all has this one.
        return isinstance(said, dict) and ("form" in said or "url" not in said)

    @property
    def run(self) -> str:
        """Give the id of the run that this request begins, where another request can mean the same: empty where none can."""
        key = self.meta(KEY)
        if isinstance(key, str) and key:
            return run_of_key(self.caller, key)
        if self.session and not self.modern and self._context.request_id is not None:
            return run_of_request(self.caller, self.session, self._context.request_id)
        return ""

    @property
    def wants_progress(self) -> bool:
        """Whether the client wants to hear how far the call is."""
        return self.meta(_PROGRESS) is not None

    async def say(self, message: dict[str, Json]) -> bool:
        """Ask the client something in the midst of its request (2025-11-25); False where that cannot be done."""
        return self._speaking is not None and await self._speaking.say(message)

    async def tell(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Say how it goes, where the client wants to hear it."""
        await self._context.session.report_progress(progress, total, message)


def guarded(handler: Handler) -> Handler:
    """Give a handler whose errors are ours: a code and a sentence, never an exception's own words."""

    async def answer(context: Context, params: Params) -> Answer:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except SwitchgearError as error:
            raise told(error) from error
        except Exception as error:
            log.exception("mcp.crashed", method=context.method)
            raise MCPError(INTERNAL_ERROR, "The server met an error of its own.") from error

    return answer


def told(error: SwitchgearError) -> MCPError:
    """Give an error of ours as one of JSON-RPC."""
    code = INVALID_PARAMS if isinstance(error, InvalidRequest) else INTERNAL_ERROR
    if error.status in (401, 403, 429):
        code = INVALID_REQUEST
    data: dict[str, Json] = {_CODE: error.code}
    if error.retry_after is not None:
        data["retry_after"] = error.retry_after
    return MCPError(code, error.message, data)
