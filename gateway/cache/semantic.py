"""The port of the semantic layer: finds an entry whose question asks the same as another. It never decides whether a call may be cached."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.core.call import Call
from gateway.stores.answers import Entry


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Only questions of one `partition` (a digest of everything else that the answer depends on) can share an answer.

    `text` is what the caller says last, `said` what was said before where there was anything. `threshold` is the caller's own.
    """

    partition: str
    text: str
    said: tuple[str, ...] = ()
    tenant: str
    model: str
    threshold: float | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a search: an entry that may be served, or `why` not. `similarity` is that of the nearest, if there was any."""

    entry: Entry | None = None
    similarity: float | None = None
    why: str = ""


class SemanticLayer(Protocol):
    """One for each model (or version of a model) whose settings ask for it."""

    async def find(self, question: Question, call: Call) -> Found:
        """Give an entry that may be served instead of an answer. Never raises: what fails is a miss that says why."""
        ...

    def keep(self, question: Question, entry: Entry) -> None:
        """Make an entry findable. Does not wait."""
        ...

    def served(self, question: Question, entry: Entry, similarity: float, call: Call) -> None:
        """An entry was served for this question: perhaps it is audited. Does not wait."""
        ...

    def judged(self, entry: str, *, right: bool) -> None:
        """Somebody said of an entry's answer, where it was served for another's question, whether it was right. Does not wait."""
        ...
