"""Chunks of an upstream -> events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.errors import UpstreamBroken
from gateway.core.events import Event, Finished, FinishReason, Started
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.dialects.openai_chat.names import NAME, UNSURE
from gateway.dialects.openai_chat.turn import Turn
from gateway.dialects.openai_chat.usage import decode_usage
from gateway.dialects.openai_errors import in_stream
from gateway.dialects.upstream_json import decode_upstream

REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "refusal",
}
"""finish_reason, lower-cased -> the hub's. What is not here is a stop."""

_ABOUT = ("system_fingerprint", "service_tier", "moderation")


class _Numbers:
    """What items and nameless calls are called. Turns refer to it, not to the decoder: there is no cycle of references."""

    def __init__(self) -> None:
        self.answer_id = ""
        self._items = 0
        self._calls = 0

    def next_item(self) -> int:
        self._items += 1
        return self._items - 1

    def next_call(self) -> str:
        self._calls += 1
        return f"call_{self.answer_id.rpartition('-')[2]}_{self._calls}"


class ChatEventDecoder:
    """Decodes one stream. The end is `[DONE]`, or a finish reason for every choice where an upstream leaves it out."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._turns: dict[int, Turn] = {}
        self._numbers = _Numbers()
        self._reasons: dict[int, FinishReason] = {}
        self._unknown: dict[int, str] = {}
        self._stop_sequence: str | None = None
        self._refused = False
        self._usage: Usage | None = None
        self._about: dict[str, Json] = {}
        self._done = False
        self._finished = False

    def feed(self, name: str, data: bytes) -> Sequence[Event]:
        """Take one server-sent event."""
        if self._done:
            return ()
        if data.strip() == b"[DONE]":
            self._done = True
            return self.finish()  # not every upstream closes its stream soon
        chunk = decode_upstream(data)
        if chunk.get("error") or name == "error" or chunk.get("object") == "error":
            raise in_stream(chunk)
        return list(self.take(chunk))

    def take(self, chunk: dict[str, Json]) -> Iterator[Event]:
        """Take one decoded chunk, or a whole answer."""
        if (usage := chunk.get("usage")) and (counted := decode_usage(usage)):
            self._usage = counted
            self._about["usage"] = usage
        for about in _ABOUT:
            if chunk.get(about) is not None:
                self._about[about] = chunk[about]
        choices = chunk.get("choices")
        # Azure begins with a chunk about its filters that has neither choices nor an id.
        if self._started is None and (choices or chunk.get("id")):
            self._started = _started(chunk)
            self._numbers.answer_id = self._started.id
            yield self._started
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from self._choice(choice)

    def _choice(self, choice: dict[str, Json]) -> Iterator[Event]:
        if choice.get("error"):
            raise in_stream(choice)
        number = choice.get("index")
        number = number if isinstance(number, int) else 0
        turn = self._turns.get(number)
        if turn is None:
            turn = self._turns[number] = Turn(number, self._numbers.next_item, self._numbers.next_call)
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            yield from turn.feed(delta, choice.get("logprobs"))
            self._refused = self._refused or bool(delta.get("refusal"))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._end(number, choice, reason)

    def _end(self, number: int, choice: dict[str, Json], reason: str) -> None:
        known = REASONS.get(reason.lower())
        if known is None:
            self._unknown[number] = reason
        self._reasons[number] = known or "stop"
        # vLLM names the sequence that stopped it.
        stopped = choice.get("stop_reason")
        if isinstance(stopped, str) and number == 0 and self._reasons[number] == "stop":
            self._stop_sequence = stopped

    def finish(self) -> Sequence[Event]:
        """The stream has ended. Raises UpstreamBroken when it had not come to its end."""
        if self._finished:
            return ()
        if self._started is None or not (self._done or (self._turns and self._turns.keys() <= self._reasons.keys())):
            msg = "The upstream's stream was cut off before its end."
            raise UpstreamBroken(msg)
        if not self._turns:
            msg = "The upstream's answer has no choices."
            raise UpstreamBroken(msg)
        self._finished = True
        return list(self._close())

    def _close(self) -> Iterator[Event]:
        for turn in self._turns.values():
            yield from turn.finish()
        detail: dict[str, Json] = self._about
        if len(self._turns) > 1:
            detail["reasons"] = {str(number): self._reason(number) for number in self._turns}
        unsure = [self._unknown.get(number) for number in self._turns if self._is_unsure(number)]
        if unsure:
            # Clients are told that it stopped; that it did is a guess.
            detail[UNSURE] = unsure[0]
        yield Finished(
            reason=self._reason(0),
            usage=self._usage,
            stop_sequence=self._stop_sequence,
            detail={NAME: detail} if detail else {},
        )

    def _is_unsure(self, number: int) -> bool:
        return number in self._unknown or number not in self._reasons

    def _reason(self, number: int) -> FinishReason:
        reason = self._reasons.get(number, "stop")
        if reason != "stop":
            return reason
        if number in self._turns and self._turns[number].called:
            return "tool_calls"
        if number == 0 and self._stop_sequence is not None:
            return "stop_sequence"
        return "refusal" if self._refused else "stop"


def _started(chunk: dict[str, Json]) -> Started:
    identity, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
    return Started(
        id=identity if isinstance(identity, str) else "",
        model=model if isinstance(model, str) else "",
        created=int(created) if isinstance(created, (int, float)) else 0,
        target="",
    )
