"""How a call reaches an API of OpenAI's shape: paths, headers, and what a verbatim body needs changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.core.call import Call
from gateway.core.content import Operation, Prompt
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT, strip_usage_chunk
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_moderations import OPENAI_MODERATIONS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.parameters import parameters_lost
from gateway.dialects.rerank import RERANK
from gateway.providers.by_dialect import ByDialect
from gateway.providers.exchange import Exchange
from gateway.providers.http.protocol import Upstream
from gateway.providers.keyring import Keyring

Headers = tuple[tuple[bytes, bytes], ...]
Adapt = Callable[[dict[str, object], Call], dict[str, object]]

APIS: Mapping[str, tuple[Dialect, bytes]] = {
    "chat": (OPENAI_CHAT, b"/chat/completions"),
    "completions": (OPENAI_COMPLETIONS, b"/completions"),
    "responses": (OPENAI_RESPONSES, b"/responses"),
    # Not OpenAI's, but many servers of its shape have Anthropic's API beside it.
    "messages": (ANTHROPIC_MESSAGES, b"/messages"),
    "embeddings": (OPENAI_EMBEDDINGS, b"/embeddings"),
    "moderations": (OPENAI_MODERATIONS, b"/moderations"),
    "rerank": (RERANK, b"/rerank"),
}
_TRANSLATE_TO: Mapping[Operation, tuple[str, ...]] = {
    "generate": ("chat", "responses", "messages"),
    "embed": ("embeddings",),
    "moderate": ("moderations",),
    "rerank": ("rerank",),
}
_STREAMED_WITH_USAGE = frozenset({OPENAI_CHAT.name, OPENAI_COMPLETIONS.name})
_encode = msgspec.json.Encoder().encode


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to get in: the client for the base URL, keys and the header that carries them, and what goes with every request."""

    upstream: Upstream
    keyring: Keyring
    key_header: str = "authorization"
    headers: Headers = ()
    query: bytes = b""
    stream_usage: bool = True

    def credentials(self) -> Headers:
        """Give the header with the key whose turn it is."""
        return credential(self.key_header, self.keyring.in_turn()[0])


class OpenAIWire:
    """A Wire for one API of one upstream of OpenAI's shape."""

    def __init__(self, access: Access, dialect: Dialect, path: bytes, adapt: Adapt | None = None) -> None:
        self.upstream = access.upstream
        self.dialect = dialect
        self._access = access
        self._path = path + access.query
        self._adapt = adapt
        self._headers: dict[str | None, Headers] = {}

    def headers(self, call: Call, key: str | None) -> Headers:
        """Give the headers for `key`, made once."""
        del call  # OpenAI's shape takes nothing from the client's headers
        ready = self._headers.get(key)
        if ready is None:
            ready = self._headers[key] = (
                (b"content-type", b"application/json"),
                *credential(self._access.key_header, key),
                *self._access.headers,
            )
        return ready

    def path(self, call: Call, target: Target) -> bytes:
        """Give the API's path; the model is named in the body."""
        del call, target
        return self._path

    def changes(self, call: Call, target: Target) -> Mapping[str, bytes]:
        """Name the target's model, and ask for usage where the client did not."""
        changes: dict[str, bytes] = {}
        if call.model != target.model:
            changes["model"] = _encode(target.model)
        if self._adds_usage(call):
            changes["stream_options"] = _encode({**(call.fields.get("stream_options") or {}), "include_usage": True})
        return changes

    def adapt(self, body: dict[str, object], call: Call) -> dict[str, object]:
        """Change a translated body where this upstream differs."""
        if not self._access.stream_usage:
            body.pop("stream_options", None)
        return body if self._adapt is None else self._adapt(body, call)

    def credentials(self) -> Sequence[str | None]:
        """Give the keys in turn."""
        return self._access.keyring.in_turn()

    def stripper(self, call: Call) -> Callable[[bytes], bytes] | None:
        """Take out the usage that only we asked for."""
        return strip_usage_chunk if self._adds_usage(call) else None

    def _adds_usage(self, call: Call) -> bool:
        if not call.stream or not self._access.stream_usage or call.dialect not in _STREAMED_WITH_USAGE:
            return False
        options = call.fields.get("stream_options")
        # What is no object is the upstream's to refuse.
        return options is None or (isinstance(options, dict) and not options.get("include_usage"))


def credential(header: str, key: str | None) -> Headers:
    """Give the header that carries `key`: a bearer token in `authorization`, the bare key in any other."""
    if key is None:
        return ()
    value = f"Bearer {key}" if header == "authorization" else key
    return ((header.encode("latin-1"), value.encode("utf-8")),)


def responder(name: str, access: Access, apis: Sequence[str], target: Target, adapt: Adapt | None = None) -> Responder:
    """Give what answers calls for `target` on an upstream that speaks `apis`."""
    wires = {api: OpenAIWire(access, *APIS[api], adapt=adapt) for api in apis}
    own: dict[str, Responder] = {}
    opened: dict[str, Responder] = {}
    for api, wire in wires.items():
        dialect = APIS[api][0].name
        own[dialect] = Exchange(wire, target, verbatim=True)
        if api in _TRANSLATE_TO["generate"] or api == "completions":
            # What an opened call asks for fits its own API best.
            opened[dialect] = Exchange(wire, target, verbatim=False)
    translated: dict[Operation, Responder] = {}
    for operation, candidates in _TRANSLATE_TO.items():
        spoken = next((api for api in candidates if api in wires), None)
        if spoken is not None:
            translated[operation] = Exchange(wires[spoken], target, verbatim=False)
    return ByDialect(name, own, translated, opened)


def operations(apis: Sequence[str]) -> frozenset[Operation]:
    """Give what an upstream that speaks `apis` can do."""
    return frozenset(operation for operation, candidates in _TRANSLATE_TO.items() if set(candidates) & set(apis))


def dialects(apis: Sequence[str]) -> frozenset[str]:
    """Give the names of the dialects that go out as they came."""
    return frozenset(APIS[api][0].name for api in apis)


def loses(apis: Sequence[str], call: Call) -> tuple[str, ...]:
    """Give what of a call cannot be carried to an upstream that speaks `apis`."""
    if call.operation != "generate" or call.dialect in dialects(apis):
        return ()
    spoken = next((api for api in _TRANSLATE_TO["generate"] if api in apis), None)
    return () if spoken is None else parameters_lost(APIS[spoken][0], call.content)


def with_top_k(prompt: Prompt) -> Prompt:
    """Move `top_k` where the chat dialect sends it: OpenAI's API has none, servers of its shape often do."""
    if prompt.top_k is None:
        return prompt
    own = {**prompt.rest.get(OPENAI_CHAT.name, {}), "top_k": prompt.top_k}
    return msgspec.structs.replace(prompt, top_k=None, rest={**prompt.rest, OPENAI_CHAT.name: own})
