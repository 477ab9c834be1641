"""The Response document that a client sees: an echo of its request, and how far the answer is.

Strict clients want many fields non-null whatever the request said; here are the API's defaults for them. `store` is true only of
a response that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway.core.call import Call
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import ContextLengthExceeded, InvalidOutput, InvalidRequest, SwitchgearError
from gateway.core.events import Finished, Started
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.dialects.answer_ids import answer_id
from gateway.dialects.openai_errors import about_output
from gateway.dialects.openai_responses.usage import encode_usage

_encode = msgspec.json.Encoder().encode

_DEFAULTS: dict[str, Json] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What the document of a response that is kept, or goes on from one, says from its beginning to its end, whoever answers.

    `created` is in whole seconds since 1970; `previous` and `conversation` are what it goes on from, empty where it does not.
    """

    id: str
    created: int
    model: str
    background: bool = False
    previous: str = ""
    conversation: str = ""
    kept: bool = True


class ResponseDocument:
    """Writes the Response at each point of one answer. The echo is encoded once, for it may hold long instructions.

    `request` is the body of the request, `call` the id of the call that answers it; `stored` is for a response that is kept. `wall` gives the time
    of its completion, in seconds since 1970.
    """

    def __init__(
        self,
        request: dict[str, Json],
        call: str,
        stored: Stored | None = None,
        wall: Callable[[], float] = SYSTEM_CLOCK.wall,
    ) -> None:
        self._call = call
        self._wall = wall
        self.background = stored is not None and stored.background
        self._stored = stored is not None and stored.kept
        echo = {name: default if request.get(name) is None else request[name] for name, default in _DEFAULTS.items()}
        echo["text"] = {"format": {"type": "text"}, **(request.get("text") or {})}
        echo["reasoning"] = {"effort": None, "summary": None, **(request.get("reasoning") or {})}
        echo["tools"] = [_tool(tool) for tool in echo["tools"]]
        if request.get("prompt") is not None:
            echo["prompt"] = request["prompt"]
        if echo["service_tier"] == "auto":
            echo["service_tier"] = "default"
        self._echo: dict[str, Json] = {name: msgspec.Raw(_encode(value)) for name, value in echo.items()}
        self._begin: dict[str, Json] = {}
        self.id = ""
        if stored is not None:
            self._echo |= {
                "background": stored.background,
                "previous_response_id": stored.previous or None,
                "conversation": {"id": stored.conversation} if stored.conversation else None,
            }
            self._say(stored.id, stored.created, stored.model)

    def start(self, started: Started) -> None:
        """Take who answers."""
        self._say(answer_id(started.id, self._call, "resp_"), started.created, started.model)

    def _say(self, name: str, created: int, model: str) -> None:
        self.id = name
        self._begin = {"id": name, "object": "response", "created_at": created, "model": model}

    def running(self, output: Sequence[Json] = (), status: str = "in_progress") -> dict[str, Json]:
        """Give the document while the answer is on its way, or waits to be begun."""
        return self._document(status, output, None)

    def finished(self, finished: Finished, output: Sequence[Json]) -> dict[str, Json]:
        """Give the complete document; its status is completed or incomplete."""
        refuses = any(part.get("type") == "refusal" for item in output for part in item.get("content") or ())
        reason = incomplete_reason(finished, refuses=refuses)
        document = self._document("incomplete" if reason else "completed", output, finished.usage)
        if reason:
            document["incomplete_details"] = {"reason": reason}
        else:
            # Clocks differ, and it was the upstream's that said when it was created.
            document["completed_at"] = max(int(self._wall()), self._begin.get("created_at", 0))
        return document

    def failed(self, error: SwitchgearError, output: Sequence[Json], usage: Usage | None = None) -> dict[str, Json]:
        """Give the document of an answer that broke off."""
        document = self._document("failed", output, usage)
        document["error"] = {"code": failure_code(error), "message": error.message, **about_output(error)}
        return document

    def cancelled(self, output: Sequence[Json], usage: Usage | None) -> dict[str, Json]:
        """Give the document of an answer that somebody ended."""
        return self._document("cancelled", output, usage)

    def _document(self, status: str, output: Sequence[Json], usage: Usage | None) -> dict[str, Json]:
        return {
            **self._begin,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            **self._echo,
            "output": output,
            "store": self._stored,
            "usage": encode_usage(usage),
        }


def request_of(call: Call) -> dict[str, Json]:
    """Give what the Response to a call that is not kept echoes: its fields, and the prompt that they were filled in by."""
    return call.fields if call.prompt is None else {**call.fields, "prompt": call.prompt.echo}


_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter", "refusal": "content_filter"}


def incomplete_reason(finished: Finished, *, refuses: bool) -> str | None:
    """Say why the answer was cut off, None where it ended.

    A refusal is an end where the model `refuses` in its own words; without them it is a filter's.
    """
    return None if finished.reason == "refusal" and refuses else _INCOMPLETE.get(finished.reason)


def failure_code(error: SwitchgearError) -> str:
    """Give the code for `response.error`, from the API's short list (and two beyond it: one that clients look for, one that they have to understand)."""
    if isinstance(error, ContextLengthExceeded) or error.code == "context_length_exceeded":
        return "context_length_exceeded"
    if isinstance(error, InvalidOutput):
        return error.code
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"


def _tool(tool: Json) -> Json:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}
