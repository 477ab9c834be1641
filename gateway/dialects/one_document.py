"""What is alike in the OpenAI-shaped operations that are answered by one JSON document and never stream."""

from __future__ import annotations

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, UpstreamBroken
from gateway.core.events import Started
from gateway.core.items import Json
from gateway.dialects import openai_errors
from gateway.dialects.dialect import EventDecoder, EventEncoder, Outcome
from gateway.dialects.openai_chat import outcome
from gateway.dialects.openai_chat.shaped import ChatShaped


class OneDocument(ChatShaped):
    """The part of a Dialect that needs no thought where nothing streams and errors are OpenAI's."""

    title: str

    def event_encoder(self, call: Call) -> EventEncoder:
        """Raises InvalidRequest: there is no stream."""
        msg = f"The {self.title} does not stream."
        raise InvalidRequest(msg, param="stream")

    def event_decoder(self) -> EventDecoder:
        """Raises UpstreamBroken: there is no stream."""
        msg = f"The upstream sent a stream where the {self.title} has none."
        raise UpstreamBroken(msg)

    def read_answer(self, body: bytes) -> Outcome:
        """Usage of a whole answer: it has no choices."""
        return outcome.read_document(body)

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """Nothing: there is no stream."""
        return Outcome(complete=False)

    def wrong_content(self, content: object) -> InvalidRequest:
        """The error for content of another operation."""
        return InvalidRequest(f"The {self.title} cannot serve {type(content).__name__}.")


def started(fields: dict[str, Json]) -> Started:
    """Give the beginning of an answer from its document's own `id`, `model` and `created`."""
    identity, model, created = fields.get("id"), fields.get("model"), fields.get("created")
    return Started(
        id=identity if isinstance(identity, str) else "",
        model=model if isinstance(model, str) else "",
        created=created if isinstance(created, int) else 0,
        target="",
    )


def results_of(fields: dict[str, Json], name: str) -> list[dict[str, Json]]:
    """Give the list of objects under `name`. Raises the upstream's error, or UpstreamBroken."""
    if fields.get("error"):
        raise openai_errors.in_stream(fields)
    found = fields.get(name)
    if not isinstance(found, list) or not all(isinstance(element, dict) for element in found):
        msg = f"The upstream's answer has no list `{name}`."
        raise UpstreamBroken(msg)
    return found
