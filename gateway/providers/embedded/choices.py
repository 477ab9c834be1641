"""Choices: turns llama.cpp's events for one choice into OpenAI's, as stream chunks, and folds chunks into a whole answer. Pure.

One path for both modes: what is not streamed is the fold of what would have been.
"""

from __future__ import annotations

from typing import Any

from gateway.core.errors import ContextLengthExceeded, InternalError, InvalidRequest
from gateway.providers.embedded.generation import Generation, Kind
from gateway.providers.embedded.tool_calls import CallPiece, CallReader

Chunk = dict[str, Any]
Event = dict[str, Any]


class Choice:
    """Reads the events of choice number `index`. `counts` is llama.cpp's usage, there once the choice is finished."""

    def __init__(self, index: int, wanted: Generation) -> None:
        self._index = index
        self._kind: Kind = wanted.kind
        self._top = wanted.top_logprobs
        self._calls = CallReader()
        self._may_call = wanted.tools is not None
        self._calling = False
        self._text_length = 0
        self._promised = wanted.promise is not None
        self._said: list[str] = []
        self.counts: dict[str, Any] | None = None
        self.finished: str | None = None
        """The whole text once it is finished, where something was promised of it."""
        self.calls: dict[int, tuple[str, str]] = {}
        """Name and arguments of the calls, whole once `finished_calls`."""
        self.finished_calls = False

    def read(self, event: Event) -> list[Chunk]:
        """Give the members of `choices` that `event` brings. Raises what llama.cpp says is wrong with the request."""
        if "error" in event:
            raise _error(event["error"], "messages" if self._kind == "chat" else "prompt")
        self.counts = event.get("usage") or self.counts
        if "prompt_progress" in event:
            return []
        chunks = [chunk for native in event.get("choices", ()) for chunk in self._read(native)]
        word = event.get("__verbose", {}).get("stopping_word")
        if word and chunks and chunks[-1]["finish_reason"] == "stop":
            # As vLLM tells it; OpenAI's API has no place for it, Anthropic's has.
            chunks[-1]["stop_reason"] = word
        return chunks

    def _read(self, native: dict[str, Any]) -> list[Chunk]:
        finish = native.get("finish_reason")
        given = (native.get("logprobs") or {}).get("content") or []
        if self._kind == "text":
            return self._read_text(native["text"], given, finish)
        delta = native["delta"]
        if "role" in delta:
            return [self._chunk({"role": "assistant", "content": ""})]
        deltas = self._deltas(delta)
        if finish == "stop" and self._calls.finished:
            finish = "tool_calls"
            self.finished_calls = True
        elif finish == "stop" and self._promised:
            self.finished = "".join(self._said)
        if not deltas and (given or finish):
            deltas = [{}]
        chunks = [self._chunk(delta) for delta in deltas]
        if chunks:
            chunks[0]["logprobs"] = {"content": [self._chat_token(token) for token in given]} if given else None
            chunks[-1]["finish_reason"] = finish
        return chunks

    def _deltas(self, delta: dict[str, Any]) -> list[dict[str, Any]]:
        # Models that think aloud have their thoughts taken out of the text by llama.cpp.
        deltas = [{"reasoning_content": delta["reasoning_content"]}] if delta.get("reasoning_content") else []
        text = delta.get("content")
        if not text:
            return deltas
        if self._may_call and self._text_length == 0:
            self._calling = text.startswith("<")
        self._text_length += len(text)
        if not self._calling:
            if self._promised:
                self._said.append(text)
            return [*deltas, {"content": text}]
        pieces = self._calls.feed(text)
        for piece in pieces:
            name, arguments = self.calls.get(piece.index, (piece.name or "", ""))
            self.calls[piece.index] = (name, arguments + piece.arguments)
        return [*deltas, *({"tool_calls": [_call(piece)]} for piece in pieces)]

    def _read_text(self, text: str, given: list[dict[str, Any]], finish: str | None) -> list[Chunk]:
        if not text and not finish and not given:
            return []
        if self._promised:
            self._said.append(text)
            if finish == "stop":
                self.finished = "".join(self._said)
        logprobs = self._text_tokens(given) if self._top is not None and given else None
        self._text_length += len(text)
        return [{"index": self._index, "text": text, "logprobs": logprobs, "finish_reason": finish}]

    def _chunk(self, delta: dict[str, Any]) -> Chunk:
        return {"index": self._index, "delta": delta, "logprobs": None, "finish_reason": None}

    def _chat_token(self, token: dict[str, Any]) -> dict[str, Any]:
        top = [_without_id(other) for other in token.get("top_logprobs", ())[: self._top]]
        return {**_without_id(token), "top_logprobs": top}

    def _text_tokens(self, given: list[dict[str, Any]]) -> dict[str, Any]:
        offsets = []
        at = self._text_length
        for token in given:
            offsets.append(at)
            at += len(token["token"])
        top = [{o["token"]: o["logprob"] for o in token.get("top_logprobs", ())[: self._top]} for token in given]
        return {
            "tokens": [token["token"] for token in given],
            "token_logprobs": [token["logprob"] for token in given],
            "top_logprobs": top,
            "text_offset": offsets,
        }


class Folded:
    """Folds the chunks of one choice into the choice of a whole answer."""

    def __init__(self, index: int, wanted: Generation) -> None:
        self._index = index
        self._kind: Kind = wanted.kind
        # A call may be cut before its name is out: no text was said then either.
        self._silence = None if wanted.tools is not None else ""
        self._texts: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._logprobs: dict[str, list[Any]] = {}
        self._finish: str | None = None
        self._stopped_by: dict[str, str] = {}

    def add(self, chunk: Chunk) -> None:
        """Take one chunk."""
        delta = chunk if self._kind == "text" else chunk["delta"]
        for name in ("text", "content", "reasoning_content"):
            if delta.get(name):
                self._texts.setdefault(name, []).append(delta[name])
        for piece in delta.get("tool_calls", ()):
            if "id" in piece:
                self._calls.append({"id": piece["id"], "type": "function", "function": dict(piece["function"])})
            else:
                self._calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
        for name, values in (chunk["logprobs"] or {}).items():
            self._logprobs.setdefault(name, []).extend(values)
        self._finish = chunk["finish_reason"] or self._finish
        if "stop_reason" in chunk:
            self._stopped_by = {"stop_reason": chunk["stop_reason"]}

    def whole(self) -> dict[str, Any]:
        """Give the member of `choices`."""
        rest = {
            "index": self._index,
            "logprobs": self._logprobs or None,
            "finish_reason": self._finish,
            **self._stopped_by,
        }
        if self._kind == "text":
            return {"text": "".join(self._texts.get("text", ())), **rest}
        content = "".join(self._texts.get("content", ()))
        message: dict[str, Any] = {"role": "assistant", "content": content or self._silence}
        if "reasoning_content" in self._texts:
            message["reasoning_content"] = "".join(self._texts["reasoning_content"])
        if self._calls:
            message["tool_calls"] = self._calls
        return {"message": message, **rest}


def usage(choices: list[Choice], n: int) -> dict[str, Any]:
    """Sum what the choices counted; a prompt is counted once, however many of its `n` choices were asked for.

    Raises InternalError when a choice ended without counting.
    """
    counts = [choice.counts for choice in choices if choice.counts is not None]
    if len(counts) != len(choices):
        raise InternalError("The embedded model's generation ended too early.")
    prompt = sum(count["prompt_tokens"] for count in counts[::n])
    cached = sum(count.get("prompt_tokens_details", {}).get("cached_tokens", 0) for count in counts[::n])
    completion = sum(count["completion_tokens"] for count in counts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _call(piece: CallPiece) -> dict[str, Any]:
    if piece.id is None:
        return {"index": piece.index, "function": {"arguments": piece.arguments}}
    return {
        "index": piece.index,
        "id": piece.id,
        "type": "function",
        "function": {"name": piece.name, "arguments": ""},
    }


def _without_id(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token["token"], "logprob": token["logprob"], "bytes": token.get("bytes")}


def _error(native: dict[str, Any], param: str) -> Exception:
    if native.get("type") == "exceed_context_size_error":
        message = f"The prompt has {native['n_prompt_tokens']} tokens; the model's context holds {native['n_ctx']}."
        return ContextLengthExceeded(message, param=param)
    message = str(native.get("message", "llama.cpp gave no reason"))
    if native.get("code") == 400:
        return InvalidRequest(message, param=param)
    return InternalError(f"The embedded model failed: {message}")
