"""What every API of the chat API's shape has alike: its errors, and usage at the end of its answers."""

from __future__ import annotations

from gateway.core.errors import SwitchgearError
from gateway.dialects import openai_errors
from gateway.dialects.dialect import Outcome
from gateway.dialects.openai_chat import outcome


class ChatShaped:
    """The part of a Dialect that needs no thought where errors and usage are OpenAI's."""

    def encode_error(self, error: SwitchgearError) -> bytes:
        """The error document."""
        return openai_errors.encode_error(error)

    def read_answer(self, body: bytes) -> Outcome:
        """Usage and finish reason of a whole answer."""
        return outcome.read_answer(body)

    def read_stream(self, head: bytes, tail: bytes) -> Outcome:
        """Usage and finish reason of a stream."""
        return outcome.read_stream(head, tail)

    def says_nothing(self, data: bytes) -> bool:
        """Whether there was no choice yet."""
        return outcome.says_nothing(data)

    def read_error(self, status: int, body: bytes) -> SwitchgearError:
        """An upstream's refusal."""
        return openai_errors.read_error(status, body)
