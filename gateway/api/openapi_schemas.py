"""What /openapi.json says of bodies: the main fields of each request and answer, as JSON schemas.

They describe and check nothing: every field of the official clients is taken, so all objects are left open.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def open_object(properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    """Give an object that may have more fields than these."""
    return {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": properties,
        "additionalProperties": True,
    }


def _of(kind: str | list[str], description: str = "", **more: Any) -> Schema:
    return {"type": kind, **({"description": description} if description else {}), **more}


def _list(items: Schema, description: str = "") -> Schema:
    return _of("array", description, items=items)


_ANY = open_object({})
_TEXT = _of("string")
_MODEL = _of("string", "The name of a configured model: GET /v1/models lists them.")
_STREAM = _of("boolean", "Answer with server-sent events.", default=False)
_TEMPERATURE = _of("number", "0 takes the likeliest token.", minimum=0)
_TOP_P = _of("number", "Take from the likeliest tokens with this share of the probability.", minimum=0, maximum=1)
_SEED = _of("integer", "Equal seeds make equal draws, as far as the target can.")
_STOP = _of(["string", "array"], "End before one of these texts.", items=_TEXT)
_TEXT_OR_PARTS = _of(["string", "array"], "Text, or a list of parts.", items=_ANY)
_TOOLS = _list(_ANY, "The tools that the model may call, with JSON schemas of their arguments.")
_CHOICE = _of(["string", "object"], "Whether a tool must be called, or which.")
_MESSAGES = _list(
    open_object({"role": _TEXT, "content": _TEXT_OR_PARTS | {"type": ["string", "array", "null"]}}, ["role"]),
    "The conversation so far.",
)
_TEXTS = _of(["string", "array"], "A text, or several; tokens, where the target takes them.")

REQUESTS: dict[str, dict[str, Schema]] = {
    "/v1/route/explain": {"model": _MODEL, "messages": _MESSAGES},
    "/v1/chat/completions": {
        "model": _MODEL,
        "messages": _MESSAGES,
        "stream": _STREAM,
        "stream_options": open_object({"include_usage": _of("boolean", "End the stream with a chunk of usage.")}),
        "max_completion_tokens": _of("integer", "The most tokens to answer with.", minimum=1),
        "max_tokens": _of("integer", "The older name of max_completion_tokens.", minimum=1),
        "temperature": _TEMPERATURE,
        "top_p": _TOP_P,
        "n": _of("integer", "How many answers.", minimum=1),
        "seed": _SEED,
        "stop": _STOP,
        "tools": _TOOLS,
        "tool_choice": _CHOICE,
        "parallel_tool_calls": _of("boolean", "Whether one turn may call several tools."),
        "response_format": open_object({"type": _TEXT, "json_schema": _ANY}),
        "logprobs": _of("boolean", "Give the log probability of each token."),
        "top_logprobs": _of("integer", "And of so many others.", minimum=0, maximum=20),
        "reasoning_effort": _of("string", "How much to think first."),
        "user": _of("string", "Who asks, for the upstream's statistics."),
    },
    "/v1/responses": {
        "model": _MODEL,
        "input": _of(["string", "array"], "Text, or the conversation as items.", items=_ANY),
        "instructions": _of("string", "What the model is told beforehand."),
        "stream": _STREAM,
        "max_output_tokens": _of("integer", "The most tokens to answer with.", minimum=1),
        "temperature": _TEMPERATURE,
        "top_p": _TOP_P,
        "tools": _TOOLS,
        "tool_choice": _CHOICE,
        "parallel_tool_calls": _of("boolean", "Whether one turn may call several tools."),
        "text": open_object({"format": _ANY, "verbosity": _TEXT}),
        "reasoning": open_object({"effort": _TEXT, "summary": _TEXT}),
        "store": _of("boolean", "Whether the response is kept, where the server keeps any.", default=True),
        "background": _of("boolean", "Answer at once, and work on without anybody waiting.", default=False),
        "previous_response_id": _of(["string", "null"], "The response to go on from."),
        "conversation": _of(["string", "object", "null"], "The conversation to go on from, and to add to."),
        "prompt": open_object({"id": _TEXT, "version": _TEXT, "variables": _ANY}),
        "context_management": _list(_ANY, "When to compact what the response goes on from."),
        "metadata": _of(["object", "null"], "Names and values, for people and programs."),
    },
    "/v1/responses/input_tokens": {
        "model": _MODEL,
        "input": _of(["string", "array"], "Text, or the conversation as items.", items=_ANY),
        "instructions": _of("string", "What the model is told beforehand."),
        "tools": _TOOLS,
        "previous_response_id": _of(["string", "null"], "The response to go on from."),
        "conversation": _of(["string", "object", "null"], "The conversation to go on from."),
    },
    "/v1/responses/compact": {
        "model": _MODEL,
        "input": _of(["string", "array", "null"], "Text, or the conversation as items.", items=_ANY),
        "instructions": _of(["string", "null"], "What the model of the conversation is told beforehand."),
        "previous_response_id": _of(["string", "null"], "The response to go on from."),
    },
    "/v1/messages": {
        "model": _MODEL,
        "max_tokens": _of("integer", "The most tokens to answer with.", minimum=0),
        "messages": _MESSAGES,
        "system": _TEXT_OR_PARTS,
        "stream": _STREAM,
        "stop_sequences": _list(_TEXT, "End before one of these texts."),
        "temperature": _TEMPERATURE | {"maximum": 1},
        "top_p": _TOP_P,
        "top_k": _of("integer", "Take from so many of the likeliest tokens.", minimum=0),
        "tools": _TOOLS,
        "tool_choice": open_object({"type": _TEXT, "name": _TEXT}),
        "thinking": open_object({"type": _TEXT, "budget_tokens": _of("integer")}),
        "metadata": open_object({"user_id": _TEXT}),
    },
    "/v1/messages/count_tokens": {
        "model": _MODEL,
        "messages": _MESSAGES,
        "system": _TEXT_OR_PARTS,
        "tools": _TOOLS,
    },
    "/v1/completions": {
        "model": _MODEL,
        "prompt": _TEXTS,
        "stream": _STREAM,
        "max_tokens": _of("integer", "The most tokens to go on for.", minimum=0),
        "temperature": _TEMPERATURE,
        "top_p": _TOP_P,
        "n": _of("integer", "How many answers.", minimum=1),
        "seed": _SEED,
        "stop": _STOP,
        "echo": _of("boolean", "Repeat the prompt in the answer."),
        "logprobs": _of("integer", "Give the log probabilities of so many tokens at each place.", minimum=0),
    },
    "/v1/embeddings": {
        "model": _MODEL,
        "input": _TEXTS,
        "dimensions": _of("integer", "Shorten the vectors, where the model can.", minimum=1),
        "encoding_format": _of("string", "How vectors are written.", enum=["float", "base64"], default="float"),
    },
    "/v1/rerank": {
        "model": _MODEL,
        "query": _of("string", "What is looked for."),
        "documents": _of("array", "What to put in order: texts, or objects.", items=_of(["string", "object"])),
        "top_n": _of("integer", "How many to answer with; without it, all.", minimum=0),
        "return_documents": _of("boolean", "Repeat each document in the answer."),
    },
    "/v1/moderations": {"model": _MODEL, "input": _of(["string", "array"], "A text, or several, or parts.")},
}

_INTEGER = _of("integer")
_OPENAI_USAGE = open_object({"prompt_tokens": _INTEGER, "completion_tokens": _INTEGER, "total_tokens": _INTEGER})
_ITEMS_USAGE = open_object({"input_tokens": _INTEGER, "output_tokens": _INTEGER})
_CREATED = {"id": _TEXT, "object": _TEXT, "created": _of("integer", "Unix time in seconds."), "model": _TEXT}
_ENTRY = open_object({"id": _TEXT, "object": _TEXT, "created": _INTEGER, "owned_by": _TEXT, "targets": _list(_TEXT)})

ANSWERS: dict[str, Schema] = {
    "/v1/chat/completions": open_object(
        {
            **_CREATED,
            "choices": _list(
                open_object(
                    {
                        "index": _INTEGER,
                        "message": open_object(
                            {"role": _TEXT, "content": _of(["string", "null"]), "tool_calls": _list(_ANY)}
                        ),
                        "finish_reason": _TEXT,
                    }
                )
            ),
            "usage": _OPENAI_USAGE,
        }
    ),
    "/v1/responses": open_object(
        {"id": _TEXT, "object": _TEXT, "model": _TEXT, "status": _TEXT, "output": _list(_ANY), "usage": _ITEMS_USAGE}
    ),
    "/v1/responses/input_tokens": open_object(
        {"object": _of("string"), "input_tokens": _INTEGER}, ["object", "input_tokens"]
    ),
    "/v1/responses/compact": open_object(
        {"id": _TEXT, "object": _TEXT, "created_at": _INTEGER, "output": _list(_ANY), "usage": _ITEMS_USAGE}
    ),
    "/v1/messages": open_object(
        {
            "id": _TEXT,
            "type": _TEXT,
            "role": _TEXT,
            "model": _TEXT,
            "content": _list(open_object({"type": _TEXT, "text": _TEXT}, ["type"])),
            "stop_reason": _of(["string", "null"]),
            "stop_sequence": _of(["string", "null"]),
            "usage": _ITEMS_USAGE,
        }
    ),
    "/v1/messages/count_tokens": open_object({"input_tokens": _INTEGER}, ["input_tokens"]),
    "/v1/completions": open_object(
        {
            **_CREATED,
            "choices": _list(open_object({"index": _INTEGER, "text": _TEXT, "finish_reason": _TEXT})),
            "usage": _OPENAI_USAGE,
        }
    ),
    "/v1/embeddings": open_object(
        {
            "object": _TEXT,
            "model": _TEXT,
            "data": _list(
                open_object(
                    {"index": _INTEGER, "embedding": _of(["array", "string"], "Numbers, or base64 of 32-bit floats.")}
                )
            ),
            "usage": open_object({"prompt_tokens": _INTEGER, "total_tokens": _INTEGER}),
        }
    ),
    "/v1/rerank": open_object(
        {"id": _TEXT, "results": _list(open_object({"index": _INTEGER, "relevance_score": _of("number")}))}
    ),
    "/v1/moderations": open_object(
        {
            "id": _TEXT,
            "model": _TEXT,
            "results": _list(open_object({"flagged": _of("boolean"), "categories": _ANY, "category_scores": _ANY})),
        }
    ),
    "/v1/route/explain": open_object(
        {
            "model": _TEXT,
            "strategy": _TEXT,
            "chosen": _of(["string", "null"], "The target that would be asked first; null while all are spared."),
            "considered": _list(
                open_object(
                    {
                        "target": _TEXT,
                        "verdict": _of("string", enum=["chosen", "next", "spared", "unfit"]),
                        "score": _of(["number", "null"], "The strategy's figure; less is better."),
                        "why": _TEXT,
                        "breaker": _of("string", enum=["closed", "half_open", "open"]),
                        "in_flight": _INTEGER,
                        "first_token_s": _of(["number", "null"]),
                        "cost_usd": _of(["number", "null"]),
                    },
                    ["target", "verdict"],
                ),
                "In the order in which they are asked; those left out come last.",
            ),
            "hedge_after_s": _of(
                ["number", "null"], "Seconds after which another target is asked as well; null where none is."
            ),
            "estimate": open_object({"input_tokens": _INTEGER, "output_tokens": _INTEGER}),
            "fallbacks": _of("object", "Models that help out, by cause.", additionalProperties=_list(_TEXT)),
        },
        ["model", "strategy", "chosen", "considered"],
    ),
    "/v1/models": open_object({"object": _TEXT, "data": _list(_ENTRY)}, ["data"]),
    "/v1/models/{model}": _ENTRY,
    "/healthz": open_object({"status": _TEXT}, ["status"]),
    "/readyz": open_object(
        {
            "status": _of("string", enum=["ready", "starting", "failed", "draining"]),
            "models": _of("object", "The state of each target, by model.", additionalProperties=_list(_ANY)),
            "configuration": _ANY,
            "stores": _of(
                "object",
                "The state of each store that is configured: database, keys, redis.",
                additionalProperties=open_object(
                    {"state": _of("string", enum=["ready", "away"]), "detail": _TEXT}, ["state"]
                ),
            ),
        },
        ["status", "models"],
    ),
    "/metrics": _of("string", "Prometheus text format."),
    "/admin/reload": open_object({"status": _of("string", enum=["applied", "unchanged"])}, ["status"]),
    "/mcp": open_object(
        {"jsonrpc": _of("string", enum=["2.0"]), "id": {}, "result": open_object({}), "error": open_object({})},
        ["jsonrpc"],
    ),
    **dict.fromkeys(
        ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"),
        open_object({"resource": _TEXT, "authorization_servers": _list(_TEXT)}, ["resource", "authorization_servers"]),
    ),
    **dict.fromkeys(
        ("/oauth/callback", "/oauth/callback/{server}"),
        _of("string", "A page that asks whether it is you, or says that the authorization was taken."),
    ),
    **dict.fromkeys(
        ("/oauth/client.json", "/oauth/clients/{server}"),
        open_object(
            {"client_id": _TEXT, "client_name": _TEXT, "redirect_uris": _list(_TEXT)}, ["client_id", "redirect_uris"]
        ),
    ),
    "/openapi.json": open_object({"openapi": _TEXT, "paths": _ANY}),
    "/docs": _of("string", "A page."),
}

EVENTS: dict[str, str] = {
    "/v1/chat/completions": "chat.completion.chunk objects, then [DONE].",
    "/v1/responses": "Named events from response.created to response.completed.",
    "/v1/messages": "Named events from message_start to message_stop.",
    "/v1/completions": "text_completion objects, then [DONE].",
}
"""What a stream of each path consists of."""


def stream_schema(path: str) -> Schema:
    """Give the schema of a stream: a text, as OpenAPI 3.1 has no better word for it."""
    return _of("string", f"Server-sent events. {EVENTS[path]}")
