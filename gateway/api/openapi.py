"""GET /openapi.json and GET /docs: what this server answers, for tools and for people.

Request bodies are those of the APIs that they mirror; every field of the official clients is taken, so the schemas name the
main ones and leave the rest open. The admin API describes itself in `openapi_admin`,
files and batches in `openapi_files`, stored responses and conversations in `openapi_responses`. The page's examples name configured
models, so it is made anew for each request.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway import __version__
from gateway.api.asgi import Receive, Scope
from gateway.api.edge import Edge
from gateway.api.openapi_admin import OPERATIONS as ADMIN_OPERATIONS
from gateway.api.openapi_admin import TAG, AdminOperation, admin_paths
from gateway.api.openapi_files import OPERATIONS as FILE_OPERATIONS
from gateway.api.openapi_files import TAG as FILES_TAG
from gateway.api.openapi_knowledge import OPERATIONS as KNOWLEDGE_OPERATIONS
from gateway.api.openapi_memories import OPERATIONS as MEMORY_OPERATIONS
from gateway.api.openapi_people import OPERATIONS as PEOPLE_OPERATIONS
from gateway.api.openapi_prompts import OPERATIONS as PROMPT_OPERATIONS
from gateway.api.openapi_responses import OPERATIONS as RESPONSE_OPERATIONS
from gateway.api.openapi_responses import TAG as RESPONSES_TAG
from gateway.api.openapi_schemas import ANSWERS, REQUESTS, open_object, stream_schema
from gateway.api.openapi_tools import OPERATIONS as TOOL_OPERATIONS
from gateway.api.openapi_triggers import OPERATIONS as TRIGGER_OPERATIONS
from gateway.api.plain import Document, PlainEndpoint, json_document
from gateway.core.content import Operation as Kind
from gateway.pipeline.route import Route

JSON_PATH = "/openapi.json"
PAGE_PATH = "/docs"

_MESSAGES = [{"role": "user", "content": "Say hello."}]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint as the document tells it. `body` is an example of a request, whose keys are the required ones.

    `kind` is what a model must be able to do for it.
    """

    path: str
    method: str
    summary: str
    body: dict[str, Any] | None = None
    kind: Kind = "generate"
    streams: bool = False
    public: bool = False
    answer: str = "application/json"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        path="/v1/chat/completions", method="post", summary="OpenAI Chat Completions", streams=True,
        body={"model": "small", "messages": _MESSAGES},
    ),
    Operation(
        path="/v1/responses", method="post", summary="OpenAI Responses, stored or stateless", streams=True,
        body={"model": "small", "input": "Say hello."},
    ),
    Operation(
        path="/v1/responses/input_tokens", method="post", summary="OpenAI's count of a response's input",
        kind="count_tokens", body={"model": "small", "input": "Say hello."},
    ),
    Operation(
        path="/v1/responses/compact", method="post", summary="Notes in the place of a long conversation",
        body={"model": "small", "input": "Say hello."},
    ),
    Operation(
        path="/v1/messages", method="post", summary="Anthropic Messages", streams=True,
        body={"model": "small", "max_tokens": 64, "messages": _MESSAGES},
    ),
    Operation(
        path="/v1/messages/count_tokens", method="post", summary="Anthropic token counting", kind="count_tokens",
        body={"model": "small", "messages": _MESSAGES},
    ),
    Operation(
        path="/v1/completions", method="post", summary="OpenAI Completions (legacy)", streams=True,
        body={"model": "small", "prompt": "Once upon a time"},
    ),
    Operation(
        path="/v1/embeddings", method="post", summary="OpenAI Embeddings", kind="embed",
        body={"model": "embed", "input": "Hello"},
    ),
    Operation(
        path="/v1/rerank", method="post", summary="Reranking, as Cohere, Jina and vLLM have it", kind="rerank",
        body={"model": "rerank", "query": "What is a relay?", "documents": ["A switch.", "A fruit."]},
    ),
    Operation(
        path="/v1/moderations", method="post", summary="OpenAI Moderations, passed to an upstream that has them", kind="moderate",
        body={"model": "moderation", "input": "some text"},
    ),
    Operation(
        path="/v1/route/explain", method="post", summary="Where a call would go, and why, without going there",
        body={"model": "small", "messages": _MESSAGES},
    ),
    Operation(path="/v1/models", method="get", summary="The configured models"),
    Operation(path="/v1/models/{model}", method="get", summary="One model"),
    Operation(path="/healthz", method="get", summary="Liveness", public=True),
    Operation(path="/readyz", method="get", summary="Readiness, with the state of every model", public=True),
    Operation(path="/metrics", method="get", summary="Prometheus metrics", answer="text/plain"),
    Operation(path="/admin/reload", method="post", summary="Put the configuration on disk into force"),
    Operation(
        path="/oauth/callback/{server}", method="get", summary="Where browsers come back from a server of tools' authorization server",
        public=True, answer="text/html",
    ),
    Operation(
        path="/oauth/callback", method="get", summary="The same, for who was sent away before each server had its own",
        public=True, answer="text/html",
    ),
    Operation(
        path="/oauth/callback", method="post", summary="Who came back says that it was he who began",
        public=True, answer="text/html",
    ),
    Operation(path="/mcp", method="post", summary="MCP over streamable HTTP, in both revisions: tools, agents, resources, prompts"),
    Operation(
        path="/.well-known/oauth-protected-resource", method="get", summary="Where tokens for /mcp come from (RFC 9728)",
        public=True,
    ),
    Operation(
        path="/.well-known/oauth-protected-resource/mcp", method="get", summary="The same, where clients look first",
        public=True,
    ),
    Operation(
        path="/oauth/clients/{server}", method="get", summary="Who this gateway is to a server of tools' authorization server",
        public=True,
    ),
    Operation(path="/oauth/client.json", method="get", summary="Who it was to all of them once", public=True),
    Operation(path="/openapi.json", method="get", summary="This document", public=True),
    Operation(path="/docs", method="get", summary="This document for people", public=True, answer="text/html"),
)  # fmt: skip


def document() -> dict[str, Any]:
    """Give the OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    paths |= admin_paths(RESPONSE_OPERATIONS)
    paths |= admin_paths(FILE_OPERATIONS)
    paths |= admin_paths()
    paths |= admin_paths(TOOL_OPERATIONS)
    paths |= admin_paths((*PROMPT_OPERATIONS, *KNOWLEDGE_OPERATIONS))
    paths |= admin_paths(PEOPLE_OPERATIONS)
    paths |= admin_paths(TRIGGER_OPERATIONS)
    paths |= admin_paths(MEMORY_OPERATIONS)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Switchgear", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "schemas": {"Error": _ERROR},
        },
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": [
            {"name": RESPONSES_TAG, "description": "Stored responses, and conversations."},
            {"name": FILES_TAG, "description": "Files, and batches of many calls."},
            {"name": TAG, "description": "Administration: each role's key does what the role may do."},
        ],
    }


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "type": {"const": "error", "description": "Anthropic's paths only."},
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "Path of the field at fault."},
                "code": {"type": ["string", "null"]},
            },
        },
    },
}


def _described(operation: Operation) -> dict[str, Any]:
    contents: dict[str, Any] = {operation.answer: {"schema": ANSWERS[operation.path]}}
    if operation.streams:
        contents["text/event-stream"] = {"schema": stream_schema(operation.path)}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "responses": {
            "200": {"description": "The answer.", "content": contents},
            "default": {
                "description": "An error, in the dialect of the path.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.body is not None:
        schema = open_object(REQUESTS[operation.path], list(operation.body))
        content = {"application/json": {"schema": schema, "example": operation.body}}
        described["requestBody"] = {"required": True, "content": content}
    if "{" in operation.path:
        name = operation.path.split("{")[1].rstrip("}")
        described["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]
    if operation.public:
        described["security"] = []
    if operation.path.startswith("/admin/"):
        described["tags"] = [TAG]
    return described


def _operation_id(operation: Operation) -> str:
    words = operation.path.replace("{", "").replace("}", "").replace(".", "/").strip("/").split("/")
    return "_".join([operation.method, *(word for word in words if word)])


def json_endpoint(edge: Edge) -> PlainEndpoint:
    """Give the endpoint of the document."""
    ready = json_document(document())

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        return ready

    return PlainEndpoint(edge, compute, public=True)


def page_endpoint(edge: Edge) -> PlainEndpoint:
    """Give the endpoint of the page."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        del scope, receive
        return Document(
            body=_page(with_models(OPERATIONS, edge.current().routes)).encode(),
            content_type="text/html; charset=utf-8",
            headers=((b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),),
        )

    return PlainEndpoint(edge, compute, public=True)


def with_models(operations: Iterable[Operation], routes: Mapping[str, Route]) -> list[Operation]:
    """Give the operations with the name of a configured model in each example, where one can do it."""
    return [_with_model(operation, routes) for operation in operations]


def _with_model(operation: Operation, routes: Mapping[str, Route]) -> Operation:
    if operation.body is None:
        return operation
    able = [route for route in routes.values() if route.serves(operation.kind)]
    if not able:
        return operation
    # A provider serves what its models do together; which of them does what, only names tell.
    fitting = next((route for route in able if _looks_fit(route, operation.kind)), able[0])
    return msgspec.structs.replace(operation, body={**operation.body, "model": fitting.model})


_NAMES = {
    "embed": re.compile(r"embed|minilm|(?:^|[/-])(?:bge|e5|gte)-", re.IGNORECASE),
    "rerank": re.compile(r"rerank", re.IGNORECASE),
    "moderate": re.compile(r"moderation", re.IGNORECASE),
}
"""What models that do not chat are customarily called; only for choosing examples."""


def _looks_fit(route: Route, kind: Kind) -> bool:
    names = [target.name for target in route.targets]
    special = [of for of, pattern in _NAMES.items() if any(map(pattern.search, names))]
    return kind in special if kind in _NAMES else not special


def _page(operations: Sequence[Operation]) -> str:
    shown: list[Operation | AdminOperation] = [*operations, *RESPONSE_OPERATIONS, *FILE_OPERATIONS, *ADMIN_OPERATIONS]
    rows = "".join(map(_row, shown))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Switchgear {__version__}</title><style>
:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
code, pre {{ font: 13px/1.5 ui-monospace, monospace }} pre {{ overflow-x: auto; margin: .3rem 0 }}
td {{ border-top: 1px solid #8884; padding: .5rem .8rem .5rem 0; vertical-align: top }} table {{ border-collapse: collapse; width: 100% }}
b {{ font-weight: 600 }}</style><h1>Switchgear {__version__}</h1>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Models: <a href="/v1/models">/v1/models</a>.
State: <a href="/readyz">/readyz</a>.</p><table>{rows}</table></html>"""


def _row(operation: Operation | AdminOperation) -> str:
    body = operation.body if isinstance(operation, Operation) else operation.example
    example = "" if body is None else f"<pre>{html.escape(msgspec.json.encode(body).decode())}</pre>"
    streams = isinstance(operation, Operation) and operation.streams
    notes = ' Streams with <code>"stream": true</code>.' if streams else ""
    path = f"<code>{operation.method.upper()} {html.escape(operation.path)}</code>"
    return f"<tr><td>{path}</td><td><b>{html.escape(operation.summary)}</b>{notes}{example}</td></tr>"
