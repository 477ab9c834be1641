"""Settings of overload: how calls wait for a busy target, who goes first, and what is given instead when a model cannot answer."""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.shapes import Expected, Shorthand

Priority: TypeAlias = Literal["high", "normal", "low"]
Whose: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(tenant|team|user|key|tag:[A-Za-z0-9._-]{1,64})=.+$"),
    Expected(words="tenant=ID, team=ID, user=ID, key=ID or tag:NAME=VALUE"),
]


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How calls wait when every target that could answer them is full. It needs targets with `concurrency`."""

    most: Annotated[int, Meta(ge=1, le=10_000, description="Most calls of a model that wait at once.")] = 100
    longest: Annotated[float, Meta(gt=0, le=3600, description="Seconds that a call waits at most.")] = 30.0
    priorities: Annotated[
        dict[Whose, Priority],
        Meta(
            description="Whose calls go first (high) or last (low), by tenant, team, user, key or a key's tag; the first that fits."
        ),
    ] = msgspec.field(default_factory=dict)


class StepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One step of `degrade`: `queue`, `stale`, or one of these."""

    model: Annotated[str | None, Meta(min_length=1, description="A model to ask instead, smaller as a rule.")] = None
    queue: Annotated[
        Literal["wait"] | None, Meta(description="Wait for a free place; `queue` alone says the same.")
    ] = None
    stale: Annotated[
        Literal["answer"] | None,
        Meta(description="An old answer of the cache to the same call, if there is one; `stale` alone says the same."),
    ] = None
    static: Annotated[str | None, Meta(min_length=1, description="A text to answer with.")] = None


def expand_step(text: str) -> dict[str, Any]:
    """Return the long form of a step that is one word. Raises ValueError for another."""
    if text not in _WORDS:
        raise ValueError('expected queue, stale, {model: NAME} or {static: "a text"}')
    return {text: _WORDS[text]}


_WORDS: Final = {"queue": "wait", "stale": "answer"}


Steps: TypeAlias = tuple[
    Annotated[
        StepSettings,
        Shorthand(
            expand=expand_step,
            pattern="^(queue|stale)$",
            description="Wait in the queue for a free place, or give an old answer of the cache.",
        ),
    ],
    ...,
]
