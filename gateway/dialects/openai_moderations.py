"""OpenAI's moderations API."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Content, ModerationInput, Operation
from gateway.core.errors import InvalidRequest
from gateway.core.events import Finished, Moderations
from gateway.core.items import Json
from gateway.dialects.dialect import Dialect, EncodedCall
from gateway.dialects.one_document import OneDocument, results_of, started
from gateway.dialects.openai_chat.usage import decode_usage
from gateway.dialects.rest import Leftovers, own
from gateway.dialects.shapes import check

NAME = "openai_moderations"


class _Body(msgspec.Struct):
    input: str | list[str | dict[str, Any]]
    model: str | None = None


class OpenAIModerations(OneDocument):
    """`POST /v1/moderations`. Implements Dialect."""

    name: str = NAME
    operation: Operation = "moderate"
    title: str = "Moderations API"

    def decode_call(self, fields: dict[str, Json]) -> Content:
        """Request body -> ModerationInput. Raises InvalidRequest."""
        body = check(fields, _Body)
        if body.input == []:
            msg = "`input` must not be empty."
            raise InvalidRequest(msg, param="input")
        rest = {name: value for name, value in fields.items() if name not in ("model", "input")}
        return ModerationInput(input=fields["input"], rest={NAME: rest})

    def encode_call(self, content: Content, *, model: str, stream: bool, drop: bool) -> EncodedCall:
        """ModerationInput -> request body."""
        if not isinstance(content, ModerationInput):
            raise self.wrong_content(content)
        left = Leftovers(NAME, self.title, drop=drop)
        left.foreign(content.rest)
        body = {"model": model, "input": content.input, **own(content.rest, NAME)}
        return EncodedCall(body=body, dropped=left.dropped)

    def decode_answer(self, fields: dict[str, Json]) -> Answer:
        """Judgements -> Answer. Raises UpstreamBroken."""
        results = Moderations(results=tuple(results_of(fields, "results")))
        usage = decode_usage(fields.get("usage"))
        return Answer(started=started(fields), result=results, finished=Finished(usage=usage))

    def encode_answer(self, answer: Answer, call: Call) -> bytes:
        """Answer -> judgements."""
        results = answer.result.results if isinstance(answer.result, Moderations) else ()
        identity = answer.started.id or f"modr-{call.id}"
        return msgspec.json.encode({"id": identity, "model": answer.started.model or call.model, "results": results})


OPENAI_MODERATIONS: Dialect = OpenAIModerations()
