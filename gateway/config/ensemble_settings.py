"""Settings of strategies that ask several targets for one answer: a cascade that begins small, and a vote."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.shapes import Reference

Check: TypeAlias = Literal[
    "refusal", "empty", "length", "tool_call_invalid", "schema_invalid", "low_confidence", "judge"
]
Normalize: TypeAlias = Literal["auto", "text", "json"]
Patience: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]
HELD_BYTES = 4 * 1024 * 1024

HeldBytes: TypeAlias = Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024)]


class JudgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A model that judges the answers of others."""

    model: Annotated[str, Meta(description="A model of this file that judges."), Reference(to="models", noun="model")]
    prompt: Annotated[str, Meta(description="What matters, in your words; it comes after the fixed instructions.")] = ""
    timeout: Annotated[Patience, Meta(description="Seconds for its verdict.")] = 30.0
    output_tokens: Annotated[int, Meta(ge=16, le=100_000, description="Most tokens of its verdict.")] = 1024


class CascadeJudgeSettings(JudgeSettings, frozen=True, kw_only=True):
    """A model that says how good an answer is."""

    threshold: Annotated[
        float, Meta(ge=0, le=1, description="The score, from 0 to 1, from which an answer passes.")
    ] = 0.7
    fails: Annotated[
        Literal["escalate", "accept"],
        Meta(
            description="What becomes of an answer when its judge gives no verdict: ask the next target, or let it go out."
        ),
    ] = "escalate"


class CascadeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When the answer of a smaller target does not go out, and the next larger one is asked."""

    escalate_on: Annotated[tuple[Check, ...], Meta(min_length=1, description="What an answer does not pass with.")] = (
        "refusal",
        "empty",
        "length",
        "tool_call_invalid",
        "schema_invalid",
    )
    confidence: Annotated[
        float,
        Meta(
            gt=0, le=1, description="For low_confidence: the least mean probability of the answer's tokens (geometric)."
        ),
    ] = 0.8
    judge: Annotated[
        CascadeJudgeSettings | None, Meta(description="For judge: who judges, and from which score on.")
    ] = None
    last_resort: Annotated[
        tuple[Check, ...],
        Meta(
            description="Of these checks: an answer that fails one may still go out when no larger target answers at all."
        ),
    ] = ()
    timeout: Annotated[
        Patience | None,
        Meta(
            description="Seconds that a held answer may take, before the next target is asked; null is as long as all tries."
        ),
    ] = None
    held_bytes: Annotated[
        HeldBytes, Meta(description="Most bytes of an answer that is held back; a longer one does not pass.")
    ] = HELD_BYTES


class VoteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who votes, and how it is decided whose answer goes out."""

    targets: Annotated[
        int | None, Meta(ge=2, le=7, description="How many targets are asked at once; null is all, seven at most.")
    ] = None
    decide: Annotated[
        Literal["majority", "judge"],
        Meta(description="By the answer that most give, or by a model that sees them all."),
    ] = "majority"
    judge: Annotated[JudgeSettings | None, Meta(description="Who judges, where a judge decides.")] = None
    normalize: Annotated[
        Normalize,
        Meta(
            description="How answers are compared: as JSON (what is none does not count), as text, or as whichever they are."
        ),
    ] = "auto"
    quorum: Annotated[
        int | None,
        Meta(ge=1, le=7, description="How many answers there must be; null is more than half of those asked."),
    ] = None
    timeout: Annotated[
        Patience | None,
        Meta(description="Seconds after which nobody is waited for any more; null is as long as all tries."),
    ] = None
    held_bytes: Annotated[HeldBytes, Meta(description="Most bytes of one answer; a longer one does not count.")] = (
        HELD_BYTES
    )
