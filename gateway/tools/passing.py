"""What a server of tools asks of the program of an MCP client in the midst of a call: that client's model, or its folders. It decides what is passed on.

Nothing is ever asked of this gateway's own models, and nothing of a run that no MCP client made by itself. The operator says which servers may
ask (`pass_on`), the client's program what it can be asked; a server is told of the rest that nobody has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from gateway.core.items import Json
from gateway.core.tools import ROOTS, SAMPLING, Wish

CAPABILITIES: Final = {SAMPLING: "sampling", ROOTS: "roots"}
"""Of what is passed on: the capability by which a client says that it can be asked."""

MOST_BYTES: Final = 256 * 1024
"""Of what a model is asked."""

_MOST_SHOWN: Final = 500
_PEOPLE: Final[dict[str, Json]] = {"elicitation": {"form": {}, "url": {}}}
"""What any server may ask: people, wherever they answer."""

Client = Mapping[str, Json]


class NotPassed(Exception):
    """A request is not passed on; the message says why, for the server."""


def told(client: Client | None, passed: Collection[str]) -> dict[str, Json]:
    """Give the capabilities that a server is told of in a call: people, and what the client has of what is passed on."""
    return _PEOPLE | {
        name: client[name] for name in CAPABILITIES.values() if client and name in passed and name in client
    }


def request_of(server: str, method: str, params: Json, client: Client | None, passed: Collection[str]) -> Wish:
    """Give what is asked of the client's program. Its key is the same whenever the same is asked. Raises NotPassed."""
    named = CAPABILITIES.get(method)
    if named is None or named not in passed:
        raise NotPassed(f"This server does not pass on {method[:60]!r}.")
    if not client or named not in client:
        raise NotPassed(f"The client of this call cannot be asked for it: it has not the capability {named!r}.")
    if not isinstance(params, dict):
        params = {}
    said: dict[str, Json] = {} if method == ROOTS else {name: one for name, one in params.items() if name != "_meta"}
    if len(msgspec.json.encode(said)) > MOST_BYTES:
        raise NotPassed(f"What the model is to be asked has more than {MOST_BYTES} bytes.")
    if method == SAMPLING and not isinstance(said.get("messages"), list):
        raise NotPassed("What the model is to be asked cannot be read.")
    if method == SAMPLING and said.get("includeContext") not in (None, "none"):
        # That would be the contexts of other servers of the client's, of which this one is to know nothing.
        said["includeContext"] = "none"
    what = "which folders it works in" if method == ROOTS else f"for an answer of its model: {_shown(said)}"
    message = f"The server {server!r} asks the client's program {what}"
    return Wish(message=message, key=_digest(method, said), method=method, params=said)


def _shown(params: Mapping[str, Json]) -> str:
    """Give the beginning of what a model is asked, for people who look at what waits."""
    messages = params["messages"]
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    text = content.get("text") if isinstance(content, dict) else None
    return str(text)[:_MOST_SHOWN] if isinstance(text, str) else "(no text)"


def _digest(method: str, params: Mapping[str, Json]) -> str:
    return hashlib.sha256(msgspec.json.encode([method, params], order="sorted")).hexdigest()[:32]
