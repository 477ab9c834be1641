"""Lets a call through only if its caller may make it. What may be done is for the policies to say; who calls, for the edge."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Final

import structlog

from gateway.config.policy_settings import ActionName
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.core.items import Json
from gateway.core.responder import Responder, Send
from gateway.policies.authorizer import Authorizer
from gateway.policies.decision import Decision
from gateway.policies.facts import BY_PROVIDER, Resource, Situation, tool

log = structlog.get_logger()

MOST_ALLOWED: Final = 1024
"""Ways of asking that one route remembers as allowed."""
MOST_TOOL_KINDS: Final = 16
"""Of tools that an upstream runs, in one call: each is a question of its own."""
LONGEST_TOOL_KIND: Final = 64
UNKNOWN_TOOL: Final = "unknown"

_OF_THE_CLIENT: Final = (None, "function", "custom")
_IMPLIED: Final = {
    "mcp_servers": "mcp",
    "plugins": "plugins",  # OpenRouter
    "search_parameters": "web_search",  # xAI
    "web_search_options": "web_search",
}
"""Fields of a request that have the upstream run a tool although none is listed."""
_TELLING: Final = frozenset({"tools", *_IMPLIED})

_ACTIONS: Final[dict[str, ActionName]] = {"model": "use_model", "agent": "use_agent"}
_WORDS: Final = {"model": "the model", "agent": "the agent", "tool": "the tool", "endpoint": "the endpoint"}

SITUATIONS: Final = tuple(
    Situation(operation=operation, dialect=dialect, stream=stream)
    for operation, dialect, streams in (
        ("generate", "openai_chat", (False, True)),
        ("generate", "openai_responses", (False, True)),
        ("generate", "anthropic_messages", (False, True)),
        ("generate", "openai_completions", (False, True)),
        ("embed", "openai_embeddings", (False,)),
        ("rerank", "rerank", (False,)),
        ("moderate", "openai_moderations", (False,)),
    )
    for stream in streams
)
"""The ways in which a model can be asked for: one that is listed can be used in at least one of them."""


class Authorized:
    """A Stage: raises Forbidden before anything was spent. `subject` is the model (or agent) that the route answers for."""

    def __init__(self, inner: Responder, *, authorizer: Authorizer, subject: Resource) -> None:
        self._inner = inner
        self._authorizer = authorizer
        self._subject = subject
        self._action: ActionName = _ACTIONS[subject.kind]
        self._allowed: set[tuple[Caller, str, str, bool]] = set()

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder. Raises Forbidden at once."""
        asked = (call.caller, call.operation, call.dialect, call.stream)
        if asked not in self._allowed and self._require_use(call):
            if len(self._allowed) >= MOST_ALLOWED:
                self._allowed.clear()
            self._allowed.add(asked)
        fields = call.fields
        if not _TELLING.isdisjoint(fields):
            for name in provider_tools(fields):
                self._require(call, "use_tool", tool(BY_PROVIDER, name), _situation_of(call))
        return self._inner(call, send)

    def _require_use(self, call: Call) -> bool:
        """Raise Forbidden for what may not be used; say whether the same question will always have the same answer."""
        situation = _situation_of(call)
        lasts, authorizer = True, self._authorizer
        asked: list[tuple[ActionName, Resource]] = [(self._action, self._subject)]
        if authorizer.asks_about_endpoints:
            asked.append(("use_endpoint", Resource(kind="endpoint", id=call.dialect)))
        for action, resource in asked:
            self._require(call, action, resource, situation)
            lasts = lasts and authorizer.lasts(call.caller, action, resource, situation)
        return lasts

    def _require(self, call: Call, action: ActionName, resource: Resource, situation: Situation) -> None:
        decision = self._authorizer.decide(call.caller, action, resource, situation)
        if decision.effect == "allow":
            return
        if decision.errors:
            log.error("policy.erred", call=call.id, action=action, resource=resource.id, errors=list(decision.errors))
        raise Forbidden(refusal(action, resource, decision), param="model" if resource is self._subject else None)


def _situation_of(call: Call) -> Situation:
    return Situation(operation=call.operation, dialect=call.dialect, stream=call.stream)


def offered(authorizer: Authorizer, caller: Caller, subject: Resource) -> bool:
    """Whether the caller may use this model in any way at all: what may not be used is not listed."""
    action = _ACTIONS[subject.kind]
    return any(authorizer.decide(caller, action, subject, situation).allowed for situation in SITUATIONS)


def provider_tools(fields: dict[str, Json]) -> Iterator[str]:
    """Give the kinds of tools in a request that its client does not run itself, each once.

    Functions and custom tools are the client's own. Raises InvalidRequest for more than anybody needs.
    """
    found: dict[str, None] = {}
    listed = fields.get("tools")
    for entry in listed if isinstance(listed, list) else ():
        kind = entry.get("type") if isinstance(entry, dict) else UNKNOWN_TOOL
        if kind not in _OF_THE_CLIENT:
            found[kind if isinstance(kind, str) and len(kind) <= LONGEST_TOOL_KIND else UNKNOWN_TOOL] = None
    for field, kind in _IMPLIED.items():
        value = fields.get(field)
        # An object without settings asks for the tool as it comes; a list without servers asks for none.
        if value or isinstance(value, dict):
            found[kind] = None
    if len(found) > MOST_TOOL_KINDS:
        msg = f"`tools` asks for more than {MOST_TOOL_KINDS} kinds of tools that the provider runs."
        raise InvalidRequest(msg, param="tools")
    return iter(found)


def refusal(action: ActionName, resource: Resource, decision: Decision) -> str:
    """Give the sentence for the caller: what was refused, and by which rule where the rule has a name.

    Ids that nobody wrote are not told, for they name files; nor is what went wrong in a policy.
    """
    what = f"{_WORDS.get(resource.kind, resource.kind)} {resource.id[:200]!r} ({action})"
    if decision.why == "key":
        return f"{what[0].upper()}{what[1:]} is not on the list of what this key or token may use."
    if decision.why == "default":
        return f"No policy permits {what} to this caller."
    if decision.why == "error":
        return f"The policies could not be evaluated for {what}, and so it is refused."
    names = " and ".join(repr(rule.id) for rule in decision.rules if rule.named)
    if decision.effect == "ask":
        verdict = f"needs an approval{f' ({names})' if names else ''}, for which a call like this cannot wait"
    else:
        verdict = f"is forbidden by {f'the policy {names}' if names else 'a policy'}"
    said = dict.fromkeys(filter(None, (rule.note("explain") for rule in decision.rules)))
    return " ".join((f"The use of {what} {verdict}.", *said))
