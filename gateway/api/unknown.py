"""Every path that is not an endpoint: a 404 in the caller's dialect that names near ones. A browser at / is sent to /docs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from gateway.api.asgi import AsgiApp, AsgiSend, Receive, Scope, reply
from gateway.api.errors import dialect_of, reply_error
from gateway.core.errors import NotFound


def endpoint(paths: Sequence[str]) -> AsgiApp:
    """Give the endpoint; `paths` are the ones that exist."""

    async def answer(scope: Scope, receive: Receive, send: AsgiSend) -> None:
        del receive
        if scope["type"] != "http":
            return
        path = scope["path"][:200]
        if path == "/" and _is_browser(scope):
            # Relative, so that a proxy may serve all this below a path of its own.
            await reply(send, 307, b"", [(b"location", b"docs"), (b"vary", b"accept")])
            return
        near = difflib.get_close_matches(path, paths, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]}?" if near else " GET /openapi.json lists what there is, /docs shows it."
        await reply_error(send, dialect_of(scope), NotFound(f"There is nothing at {path!r}.{hint}"), [])

    return answer


def _is_browser(scope: Scope) -> bool:
    """Whether it asks for a page."""
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["method"] in ("GET", "HEAD") and b"text/html" in accepted
