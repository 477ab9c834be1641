"""What comes back for a call, in order.

Perhaps a `Cached`, perhaps a `Decided`, perhaps some `Tried`, then exactly one `Started`, then either `Verbatim` pieces (the upstream's own bytes, cut at event
boundaries) or item events, then exactly one `Finished`; or an error is raised, perhaps after one `CutShort`. Items are numbered from 0 in the order in which they start; deltas name the
number. `ItemFinished` carries the whole item, so who does not stream needs nothing else.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.core.cached import CacheStatus
from gateway.core.decision import Decision
from gateway.core.items import Item, Json
from gateway.core.usage import BesideReason, Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "stop_sequence"]


Step = Literal["smaller", "queue", "stale", "static"]
"""How a call was answered that could not be answered as asked: by another model, after a wait, with an old answer, with a text that was ready."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The answer begins.

    `target` is "provider/model" as served; `waited` the seconds spent waiting for the upstream so far. `content_type` is set
    when `Verbatim` pieces follow; `status` and `headers` (request ids and the like) are the upstream's. `limits` are x-ratelimit-*
    headers: the upstream's, until a limit of our own stands in front of it. `dropped` names the parameters that the target does
    not know and that were left out by permission, `emulated` those whose work was done here. `version` is the model's version that answers, empty where it has none.
    `structured` says how the answer is kept to the form that was asked for, empty where none was.
    """

    id: str
    model: str
    created: int
    target: str
    waited: float = 0.0
    status: int = 200
    content_type: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    limits: tuple[tuple[bytes, bytes], ...] = ()
    dropped: tuple[str, ...] = ()
    version: str = ""
    emulated: tuple[str, ...] = ()
    structured: str = ""


class Decided(msgspec.Struct, frozen=True):
    """It was decided which targets to ask. Comes before all else, and again where another model's targets help out."""

    decision: Decision


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A target was tried and failed before anything of its answer was passed on; `following` is asked next."""

    target: str
    error: str
    following: str


class Degraded(msgspec.Struct, frozen=True):
    """What follows is not what was asked for, but this step of the model's `degrade`; `error` is the code of what kept the model from it."""

    step: Step
    error: str


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """How the answer that follows stands to the cache; the last one before `Started` holds. `why` is for a miss and a bypass.

    `entry` is the id of the entry that it comes from, or is kept under, `age` how old it is in seconds, `similarity` how near its question
    is to the one that was asked (a semantic hit), and `saved` what a target would have used.
    """

    status: CacheStatus
    why: str = ""
    entry: str = ""
    age: float | None = None
    similarity: float | None = None
    saved: Usage | None = None


class Verbatim(msgspec.Struct, frozen=True):
    """A piece of the upstream's answer, untouched."""

    data: bytes


class ItemStarted(msgspec.Struct, frozen=True, kw_only=True):
    """An item begins; `item` is its skeleton (ids, name, role; no content yet)."""

    index: int
    item: Item


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More text of a message. `part` counts the message's parts."""

    index: int
    text: str
    part: int = 0
    logprobs: tuple[Json, ...] | None = None


class RefusalDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More text of a refusal."""

    index: int
    text: str
    part: int = 0


class ReasoningDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More thinking: in the clear, or of a summary part."""

    index: int
    text: str
    kind: Literal["text", "summary"] = "text"
    part: int = 0


class ArgumentsDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More of a tool call's arguments."""

    index: int
    text: str


class ItemFinished(msgspec.Struct, frozen=True, kw_only=True):
    """An item is complete; `item` is all of it."""

    index: int
    item: Item


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """One vector for each input, in order."""

    vectors: tuple[tuple[float, ...], ...]


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """(index of the document, relevance) pairs, best first."""

    results: tuple[tuple[int, float], ...]


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens a prompt has."""

    input_tokens: int


class Moderations(msgspec.Struct, frozen=True, kw_only=True):
    """Judgements in OpenAI's wire form, one for each input."""

    results: tuple[Json, ...]


class CutShort(msgspec.Struct, frozen=True, kw_only=True):
    """The answer will not be completed, and this is what it has used so far. For the record only: nothing is written."""

    usage: Usage


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A target has used this for the call beside the answer that goes out. For the record only; it may come at any time before the end."""

    target: str
    usage: Usage
    why: BesideReason


class Continued(msgspec.Struct, frozen=True, kw_only=True):
    """The answer broke off, and `target` goes on with it from here. `decision` says so, where there is one."""

    target: str
    decision: Decision | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is complete. `usage` is None when the upstream did not count.

    `estimate` is then what it may have been, for the record alone: no client is told figures that nobody counted.
    `error` is the code of an error that the upstream reported inside its answer, and that went out verbatim.
    """

    reason: FinishReason = "stop"
    usage: Usage | None = None
    error: str | None = None
    stop_sequence: str | None = None
    detail: dict[str, Json] = {}
    estimate: Usage | None = None


Event = (
    Cached
    | Decided
    | Tried
    | Degraded
    | Started
    | Verbatim
    | ItemStarted
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ArgumentsDelta
    | ItemFinished
    | Embeddings
    | Ranking
    | TokenCount
    | Moderations
    | CutShort
    | Spent
    | Continued
    | Finished
)

ASIDE = (Cached, Decided, Tried, Degraded, CutShort, Spent, Continued)
"""What is said about an answer, and is no part of it."""
