"""Items of tools that this server runs: how clients see them, and what a model is given in their place.

A model knows functions only: a call of a tool is a function call and its output to it, whoever ran it. The calls of one answer of the
model have ids that differ in their last two digits alone, so that they can be given back as the parallel calls that they were,
also where a client sends them all back by itself. Items with other ids are those of an upstream that runs tools by itself, and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.core.items import Json
from gateway.core.tools import Tool, Wish, model_name

CALL: Final = "mcp_call"
REQUEST: Final = "mcp_approval_request"
RESPONSE: Final = "mcp_approval_response"
LISTING: Final = "mcp_list_tools"
KINDS: Final = frozenset({CALL, REQUEST, RESPONSE, LISTING})

AGENTS: Final = "agents"
"""The label of the agents that agents call."""
PREFIXES: Final = {CALL: "mcp_", REQUEST: "mcpr_", LISTING: "mcpl_"}
MOST_AT_ONCE: Final = 128
"""Calls in one answer of a model; of more, the others are refused."""
_OURS: Final = re.compile(r"mcp[lr]?_([0-9a-f]{24})[0-9a-f]{2}").fullmatch
_decode = msgspec.json.Decoder().decode

Body = dict[str, Json]
WAITS: Final = "This call waits for a person's approval. It has not been made."
REFUSED: Final = "A person refused this call; it was not made."
AGENT_WAITS: Final = "The agent waits for people. It goes on, and answers, when they have."
LOST: Final = (
    "This call was begun, and whether it was done is not known. It waits for a person, and has not been made again."
)
NOT_AGAIN: Final = (
    "This call was begun, and whether it was done is not known. A person decided that it is not made again."
)

ASKS: Final = "A person was asked, and has not answered yet. It has not been done."
DECLINED: Final = "The tool had asked a person for something, and was told that nobody gives it."
UNANSWERED: Final = "A person was asked, and nobody answered. It was not done."


def item_id(kind: str, step: str, index: int) -> str:
    """Give the id of an item; `step` are the 24 digits that the calls of one answer share, `index` is below 256."""
    return f"{PREFIXES[kind]}{step}{index:02x}"


def request_of(name: str) -> str:
    """Give the id of the question about a call, by the call's own."""
    return PREFIXES[REQUEST] + name.removeprefix(PREFIXES[CALL])


def is_ours(name: Json) -> bool:
    """Whether an id is one that this server gives to such items."""
    return isinstance(name, str) and _OURS(name) is not None


def listing(name: str, server: str, tools: Sequence[Tool], error: str = "") -> Body:
    """Give the item that shows the tools of a server."""
    shown = [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.schema,
            "annotations": tool.annotations or None,
        }
        for tool in tools
    ]
    return {"id": name, "type": LISTING, "server_label": server, "tools": shown, "error": error or None}


def call(name: str, server: str, tool: str, arguments: str, *, request: str = "") -> Body:
    """Give a call that is being made. `request` is the approval that it is made under."""
    return {
        "id": name,
        "type": CALL,
        "status": "in_progress",
        "server_label": server,
        "name": tool,
        "arguments": arguments,
        "approval_request_id": request or None,
        "output": None,
        "error": None,
    }


def completed(body: Body, output: str) -> Body:
    """Give a call with what the tool gave."""
    return {**body, "status": "completed", "output": output}


def reported(body: Body, text: str) -> Body:
    """Give a call whose tool reports that it could not do what was asked."""
    content = [{"type": "text", "text": text}]
    return {**body, "status": "failed", "error": {"type": "mcp_tool_execution_error", "content": content}}


def failed(body: Body, message: str, code: int = -32603, *, status: str = "failed") -> Body:
    """Give a call that came to nothing here: the tool was not asked, or did not answer."""
    return {**body, "status": status, "error": {"type": "mcp_protocol_error", "code": code, "message": message}}


def request(name: str, server: str, tool: str, arguments: str, wish: Wish | None = None) -> Body:
    """Give the question whether a call may be made; with a wish, what is asked for beside: the API has no words for that, so it is a field of our own."""
    body: Body = {"id": name, "type": REQUEST, "server_label": server, "name": tool, "arguments": arguments}
    if wish is not None:
        body["question"] = {"message": wish.message, "schema": wish.schema or None, "url": wish.url or None}
    return body


def response(name: str, asked: str, *, approve: bool, reason: str = "") -> Body:
    """Give the answer to such a question, as a client sends it."""
    return {
        "id": name,
        "type": RESPONSE,
        "approval_request_id": asked,
        "approve": approve,
        "reason": reason or None,
    }


def said_to_model(body: Body) -> str:
    """Give what a model reads of a call."""
    error = body.get("error")
    if error is None:
        output = body.get("output")
        return output if isinstance(output, str) else ""
    if not isinstance(error, dict):
        # A client may have written it: an error that says nothing is one all the same.
        return f"Error: {error}" if isinstance(error, str) else "Error."
    content = error.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict)) or "Error."
    return f"Error: {error.get('message', 'the call failed')}"


def for_model(items: Iterable[Body], labels: Collection[str] = ()) -> Iterator[Body]:
    """Give items as a model takes them: calls of tools as functions. `labels` are servers that are known to be this server's.

    What asks for approval is shown as a call when it is answered, or at the end where it is not. A question about a call that was begun
    follows that call, and has its number. What an agent that was called asks for, is its own business: the call waits.
    """
    items = list(items)
    # The call that asked is shown as incomplete.
    made = (body for body in items if body.get("type") == CALL and body.get("status") != "incomplete")
    told = {str(body.get("approval_request_id")): "" for body in made}
    asked: dict[str, Body] = {}
    begun: set[str] = set()
    group: list[tuple[Body, str]] = []
    waiting: set[str] = set()
    for body in items:
        kind = body.get("type")
        if kind not in KINDS or not _is_for_us(body, labels):
            yield from _flushed(group)
            yield body
        elif kind == REQUEST:
            # The run's own questions share the number of the calls that were asked for at the same time.
            if not waiting or _step(body) in waiting:
                asked[str(body.get("id"))] = body
        elif kind == CALL and _is_waiting_agent(body):
            waiting.add(_step(body))
            asked[str(body.get("approval_request_id"))] = body
        elif kind == CALL:
            waiting &= {_step(body)}
            asked.pop(str(body.get("approval_request_id")), None)
            begun.add(request_of(str(body.get("id"))))
            if group and _step(group[-1][0]) != _step(body):
                yield from _flushed(group)
            group.append((body, said_to_model(body) + told.get(str(body.get("approval_request_id")), "")))
        elif kind == RESPONSE:
            refused = _answered(body, asked, begun, told)
            # What was refused was asked for in an answer of its own, and not beside the calls before it.
            if group and refused and _step(group[-1][0]) != _step(refused[0][0]):
                yield from _flushed(group)
            group += refused
    yield from _flushed(group)
    group += [(body, _unanswered(body, was_begun=name in begun)) for name, body in asked.items()]
    yield from _flushed(group)


def _answered(
    body: Body, asked: dict[str, Body], begun: Collection[str], told: dict[str, str]
) -> list[tuple[Body, str]]:
    """Take a person's answer to what was asked; give what the model is told of a call that it forbids.

    `told` are calls by which servers were told that a question has no answer: it gets what the model reads after their results.
    """
    name = str(body.get("approval_request_id"))
    question, approve = asked.get(name), body.get("approve")
    if question is None or question.get("type") != REQUEST:
        return []
    if approve is False:
        del asked[name]
        said, reason = _refusal(question, begun), body.get("reason")
        if question.get("question") and name in told:
            told[name] = f"\n[{DECLINED} The reason given: {reason}]" if reason else f"\n[{DECLINED}]"
            return []
        return [(question, f"{said} The reason given: {reason}" if reason else said)]
    if approve is True and question.get("question"):
        # Of several answers to what one call asks for, the call that follows names one alone.
        del asked[name]
    return []


def _refusal(refused: Body, begun: Collection[str]) -> str:
    """Say what it means that a person said no."""
    if refused.get("question"):
        return UNANSWERED
    return NOT_AGAIN if refused["id"] in begun else REFUSED


def _is_waiting_agent(body: Body) -> bool:
    """Whether it is the call of an agent that waited for people when its run ended."""
    waits = body.get("status") == "incomplete" and body.get("approval_request_id") is not None
    return waits and body.get("server_label") == AGENTS


def _unanswered(body: Body, *, was_begun: bool) -> str:
    if body.get("type") == CALL:
        return AGENT_WAITS
    if body.get("question"):
        return ASKS
    return LOST if was_begun else WAITS


def _is_for_us(body: Body, labels: Collection[str]) -> bool:
    name = body.get("approval_request_id") if body.get("type") == RESPONSE else body.get("id")
    return is_ours(name) or server_of(body) in labels


def server_of(body: Body) -> str:
    """Give the server that an item names, empty for one that names none: a client may have written it."""
    label = body.get("server_label")
    return label if isinstance(label, str) else ""


def _step(body: Body) -> str:
    found = _OURS(str(body.get("id")))
    return found[1] if found else str(body.get("id"))


def _flushed(group: list[tuple[Body, str]]) -> Iterator[Body]:
    """Give calls as one answer of a model, and then what came of them."""
    for body, _ in group:
        yield {
            "type": "function_call",
            "call_id": _call_id(body),
            "name": function_name(body),
            "arguments": _arguments(body.get("arguments")),
        }
    for body, output in group:
        yield {"type": "function_call_output", "call_id": _call_id(body), "output": output}
    group.clear()


def _arguments(given: Json) -> str:
    """Give arguments that an upstream takes: what is no JSON object was refused, and why is in the output."""
    try:
        return given if isinstance(_decode(given), dict) else "{}"
    except (TypeError, msgspec.DecodeError, UnicodeError, RecursionError):
        return "{}"


def _call_id(body: Body) -> str:
    return str(body.get("id") or "call")


def function_name(body: Body) -> str:
    """Give the name by which a model knows the tool of a call; of one that there is not, the name by which it was asked for."""
    server, name = str(body.get("server_label") or ""), str(body.get("name") or "")
    return model_name(server, name) if server else re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"


def canonical(arguments: dict[str, Json]) -> str:
    """Give arguments as the one JSON text that they are judged, approved and made by: names sorted, no spaces."""
    return msgspec.json.encode(arguments, order="sorted").decode()
