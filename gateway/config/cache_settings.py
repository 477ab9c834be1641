"""Settings of the cache: where answers are kept, and for which models and calls."""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import HttpUrl
from gateway.config.secret import Secret
from gateway.config.shapes import Reference, Shorthand


class QdrantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A Qdrant server that keeps the vectors of questions. Needs the extra: pip install 'switchgear[qdrant]'."""

    url: Annotated[HttpUrl, Meta(description="Its REST address, as http://qdrant:6333.")]
    api_key: Annotated[Secret | None, Meta(description="Its key, env:NAME or file:path.")] = None
    collection: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Beginning of its collections' names.")
    ] = "switchgear_cache"
    timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds that a search may take; then it is a miss.")] = (
        0.25
    )


class AuditShareSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Semantic hits are asked again beside the call, to estimate how many are wrong."""

    share: Annotated[float, Meta(ge=0, le=1, description="Share of the semantic hits that is asked again.")] = 0.05
    most_wrong: Annotated[
        float, Meta(gt=0, le=1, description="Share of wrong hits above which the layer is switched off.")
    ] = 0.02
    confidence: Annotated[
        float, Meta(ge=0.5, lt=1, description="How sure it must be that the share is above most_wrong.")
    ] = 0.95
    calls_per_minute: Annotated[int, Meta(ge=1, le=100_000, description="Most audits a minute in this process.")] = 60
    samples: Annotated[
        int, Meta(ge=1, le=10_000, description="Least number of audited hits before the layer is switched off.")
    ] = 30
    model: Annotated[
        str | None,
        Meta(description="The model that judges whether both answers say the same; null compares their meaning."),
        Reference(to="models", noun="model"),
    ] = None


Overruled: TypeAlias = Literal[
    "words",
    "question_type",
    "person",
    "tense",
    "modality",
    "language",
    "comparison",
    "direction",
    "names",
    "units",
    "dates",
]


class VerifierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is asked, before a semantic hit is served, whether the same answer serves both questions."""

    model: Annotated[
        str, Meta(description="The model of this file that is asked."), Reference(to="models", noun="model")
    ]
    timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds it may take; then it is a miss.")] = 2.0
    calls_per_minute: Annotated[int, Meta(ge=1, le=100_000, description="Most questions a minute in this process.")] = (
        600
    )
    usd_per_day: Annotated[
        float | None, Meta(gt=0, description="Most US dollars a day (UTC) in this process; null: any.")
    ] = None
    output_tokens: Annotated[
        int, Meta(ge=1, le=4096, description="Most tokens of its answer; a model that thinks aloud needs more.")
    ] = 16
    overrules: Annotated[
        tuple[Overruled, ...],
        Meta(description="Guards whose refusal it may overrule; where another refuses it is not asked."),
    ] = ("words", "question_type", "person", "tense", "modality", "language")


class SemanticSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Answers to questions that ask the same in other words."""

    threshold: Annotated[float, Meta(ge=0, le=1, description="Least similarity (cosine) of a hit.")] = 0.75
    timeout: Annotated[
        float, Meta(gt=0, le=60, description="Seconds to embed the question and find the nearest; then it is a miss.")
    ] = 1.0
    guards: Annotated[
        bool, Meta(description="Refuse hits whose questions differ in numbers, names, negation and the like.")
    ] = True
    conversations: Annotated[
        bool, Meta(description="Also where something was said before; it must then be the same, word for word.")
    ] = False
    verifier: Annotated[VerifierSettings | None, Meta(description="A model that has the last word; null: none.")] = None
    error_bound: Annotated[
        float | None,
        Meta(
            gt=0,
            lt=1,
            description="Learn each entry's threshold so that at most this share of its hits is wrong; null does not learn.",
        ),
    ] = None
    audit: Annotated[AuditShareSettings | None, Meta(description="Ask a share of hits again; null audits none.")] = (
        AuditShareSettings()
    )


class ModelCacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a model's answers are kept, for whom, and for how long."""

    mode: Annotated[Literal["exact", "semantic", "off"], Meta(description="What counts as the same question.")] = (
        "exact"
    )
    ttl: Annotated[float, Meta(gt=0, le=31_536_000, description="Seconds that an answer is served.")] = 3600.0
    jitter: Annotated[float, Meta(ge=0, lt=1, description="Share of ttl that is taken off by chance.")] = 0.1
    scope: Annotated[
        Literal["tenant", "key", "user"],
        Meta(description="Who shares answers: a tenant, a key, or a user of a tenant."),
    ] = "tenant"
    most_temperature: Annotated[
        float,
        Meta(ge=0, le=2, description="Calls with a higher temperature are not cached; one that names none has 1."),
    ] = 1.0
    tools: Annotated[bool, Meta(description="Cache answers to calls that offer tools, where none is called.")] = False
    stale_while_revalidate: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="Seconds after ttl in which an old answer is served while a new one is made.",
        ),
    ] = 0.0
    stale_if_error: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="Seconds after ttl in which an old answer is served where no target answers.",
        ),
    ] = 0.0
    pace: Annotated[
        float,
        Meta(
            ge=0, le=1_000_000, description="Characters a second of a streamed answer from the cache; 0: all at once."
        ),
    ] = 4000.0
    semantic: Annotated[SemanticSettings, Meta(description="What holds for semantic hits, where mode is semantic.")] = (
        SemanticSettings()
    )


def expand_mode(text: str) -> dict[str, Any]:
    """Return the long form of a mode alone."""
    return {"mode": text}


SHORTHAND = Shorthand(expand=expand_mode, pattern="^(exact|semantic|off)$", description="The mode alone.")


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where answers are kept. Which calls they are kept of, each model says."""

    bytes: Annotated[
        int, Meta(ge=1024**2, le=1024**4, description="Most bytes of answers in this process (default 256 MiB).")
    ] = 256 * 1024**2
    entry_bytes: Annotated[
        int, Meta(ge=1024, le=64 * 1024**2, description="Largest answer that is kept, in bytes (default 1 MiB).")
    ] = 1024**2
    shared: Annotated[
        bool, Meta(description="Keep answers in Redis, where it is configured; else each process keeps its own.")
    ] = True
    embedding: Annotated[
        str | None,
        Meta(description="The model of this file that embeds questions, for semantic caching."),
        Reference(to="models", noun="model"),
    ] = None
    entries: Annotated[
        int, Meta(ge=100, le=10_000_000, description="Most questions whose vectors this process keeps.")
    ] = 100_000
    qdrant: Annotated[QdrantSettings | None, Meta(description="Keeps the vectors instead of this process.")] = None
    models: Annotated[
        ModelCacheSettings | None,
        SHORTHAND,
        Meta(description="What holds for models that do not say otherwise; null keeps nothing of them."),
    ] = None
