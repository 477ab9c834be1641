"""Settings of data protection: what is looked for in prompts and answers, and what is done about it."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.names_files import NamesFault, find_names_files
from gateway.config.names_settings import NAME_KINDS, NamesSettings
from gateway.config.provider_settings import HttpUrl, Seconds
from gateway.config.secret import Secret
from gateway.config.shapes import Reference

Kinds: TypeAlias = Literal[
    "all", "pii", "contact", "financial", "national_id", "network", "secrets",
    "email", "phone", "card", "iban", "ip", "mac", "api_key", "jwt", "password", "private_key", "url_credentials",
    "us_ssn", "uk_nino", "de_tax_id", "fr_nir", "es_dni", "it_codice_fiscale", "nl_bsn", "pl_pesel", "be_national_number",
    "se_personnummer", "fi_hetu", "br_cpf", "br_cnpj", "in_aadhaar", "ch_ahv",
    "names", "person", "place", "organisation",
]  # fmt: skip
"""The kinds and groups that `gateway.protection.finding` knows; a test holds the two lists together."""


class MatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls a rule is for. A list that is left out holds for everything; a `*` at the end of a word for any rest."""

    tenants: Annotated[tuple[str, ...], Meta(description="Ids of tenants.")] = ()
    teams: Annotated[tuple[str, ...], Meta(description="Ids of teams.")] = ()
    models: Annotated[tuple[str, ...], Meta(description="Models of this file, as clients ask for them.")] = ()
    providers: Annotated[
        tuple[str, ...],
        Meta(description="Where the call goes: hosted (leaves the house), local (does not), or names of providers."),
    ] = ()


class FindSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about some kinds."""

    kinds: Annotated[tuple[Kinds, ...], Meta(min_length=1, description="Kinds, or groups of them.")]
    action: Annotated[
        Literal["report", "placeholder", "redact", "block"],
        Meta(
            description="Count only (report), put a placeholder that the answer gets back (placeholder), take out for good "
            "(redact), or refuse the request (block). Of several that apply the strictest counts."
        ),
    ]


class RedactionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken out of requests before they go to a provider."""

    match: Annotated[MatchSettings, Meta(description="Which calls, going where.")] = MatchSettings()
    find: Annotated[tuple[FindSettings, ...], Meta(min_length=1, description="What is looked for, and what is done.")]
    attachments: Annotated[
        Literal["allow", "block"],
        Meta(description="Images, sound and files, which cannot be looked into: let them pass, or refuse the request."),
    ] = "allow"


class GuardrailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all guardrails have in common."""

    when: Annotated[Literal["input", "output"], Meta(description="Judge what is asked, or what is answered.")] = "input"
    mode: Annotated[
        Literal["buffer", "window", "async"],
        Meta(
            description="Wait for all of it (buffer), hold back the last stretch of a stream (window, for output only), or "
            "judge beside (async): an answer is then cut where it is, a request keeps its answer waiting."
        ),
    ] = "buffer"
    fails: Annotated[
        Literal["open", "closed"], Meta(description="When the guardrail fails or is late: let pass, or refuse (503).")
    ] = "closed"
    action: Annotated[
        Literal["block", "report"], Meta(description="Stop what does not pass, or only put it into the record.")
    ] = "block"
    timeout: Annotated[Seconds, Meta(description="Seconds for one verdict.")] = 5.0
    window: Annotated[
        int, Meta(ge=16, le=100_000, description="Characters that are held back: the longest span stopped whole.")
    ] = 256
    match: Annotated[MatchSettings, Meta(description="Which calls.")] = MatchSettings()


class WordsSettings(GuardrailSettings, frozen=True, kw_only=True):
    """Banned words and phrases."""

    kind: Annotated[Literal["words"], Meta(description="The kind of guardrail.")] = "words"
    words: Annotated[tuple[str, ...], Meta(min_length=1, description="Words and phrases; case does not matter.")]


class InjectionSettings(GuardrailSettings, frozen=True, kw_only=True):
    """Signs of prompt injection and jailbreaks. A signal, not proof."""

    kind: Annotated[Literal["injection"], Meta(description="The kind of guardrail.")] = "injection"
    threshold: Annotated[float, Meta(gt=0, le=1, description="The score from which a text does not pass.")] = 0.8


class PiiSettings(GuardrailSettings, frozen=True, kw_only=True):
    """Personal data and secrets, in answers above all."""

    kind: Annotated[Literal["pii"], Meta(description="The kind of guardrail.")] = "pii"
    kinds: Annotated[tuple[Kinds, ...], Meta(min_length=1, description="Kinds, or groups of them.")] = ("all",)
    found: Annotated[Literal["block", "redact"], Meta(description="Stop, or take out and let the rest pass.")] = "block"


class ModerationSettings(GuardrailSettings, frozen=True, kw_only=True):
    """A moderation model of this gateway."""

    kind: Annotated[Literal["moderation"], Meta(description="The kind of guardrail.")] = "moderation"
    model: Annotated[
        str, Meta(description="A model of this file that does moderations."), Reference(to="models", noun="model")
    ]
    threshold: Annotated[
        float | None,
        Meta(gt=0, le=1, description="The score from which a category counts; null takes the model's word."),
    ] = None


class HttpGuardSettings(GuardrailSettings, frozen=True, kw_only=True):
    """A service of your own that is asked over HTTP."""

    kind: Annotated[Literal["http"], Meta(description="The kind of guardrail.")] = "http"
    url: Annotated[HttpUrl, Meta(description="Where to POST the texts.")]
    secret: Annotated[
        Secret | None, Meta(description="What signs each request (HMAC-SHA-256): env:NAME or file:path.")
    ] = None
    connections: Annotated[int, Meta(ge=1, le=65_535, description="Most connections open to the service at once.")] = 64


class LengthSettings(GuardrailSettings, frozen=True, kw_only=True):
    """Texts that are too long."""

    kind: Annotated[Literal["length"], Meta(description="The kind of guardrail.")] = "length"
    characters: Annotated[int, Meta(ge=1, description="The most characters, all texts together.")]


class SchemaGuardSettings(GuardrailSettings, frozen=True, kw_only=True):
    """Answers that have to be JSON of a schema."""

    kind: Annotated[Literal["schema"], Meta(description="The kind of guardrail.")] = "schema"
    document: Annotated[Path, Meta(description="The JSON schema, relative to this file.")]


GuardSettings: TypeAlias = (
    WordsSettings
    | InjectionSettings
    | PiiSettings
    | ModerationSettings
    | HttpGuardSettings
    | LengthSettings
    | SchemaGuardSettings
)


class ProtectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for, and where."""

    redact: Annotated[
        dict[str, RedactionSettings],
        Meta(
            description="What is taken out of requests, by the names that the log uses. All that match apply together."
        ),
    ] = msgspec.field(default_factory=dict)
    guardrails: Annotated[
        dict[str, GuardSettings],
        Meta(description="What judges requests and answers, by the names that errors and records use, in their order."),
    ] = msgspec.field(default_factory=dict)
    names: Annotated[
        NamesSettings | None,
        Meta(description="The model that finds names for the kinds person, place and organisation; null has none."),
    ] = None
    local: Annotated[
        tuple[Annotated[str, Reference(to="providers", noun="provider")], ...],
        Meta(
            description="Providers that count as local although their address does not say so. Embedded and scripted ones "
            "do, and those at an address of this machine or of a private network."
        ),
    ] = ()


Finding: TypeAlias = tuple[tuple[str, ...], str]
"""(path below `protection`, message)."""


def protection_faults(
    settings: ProtectionSettings, models: Collection[str], providers: Collection[str]
) -> Iterator[Finding]:
    """Yield what no single type can say. `models` and `providers` are the names of those there are."""
    yield from _names_faults(settings)
    for name, guard in settings.guardrails.items():
        for message in _mode_faults(guard):
            yield ("guardrails", name, "mode"), message
    matches = [(("redact", name, "match"), rule.match) for name, rule in settings.redact.items()]
    matches += [(("guardrails", name, "match"), guard.match) for name, guard in settings.guardrails.items()]
    for where, match in matches:
        for word in _unknown(match.models, models):
            yield (*where, "models"), f"there is no model '{word}' in this file"
        for word in _unknown(match.providers, {*providers, "hosted", "local"}):
            yield (*where, "providers"), f"there is no provider '{word}' in this file; or write hosted or local"


def _names_faults(settings: ProtectionSettings) -> Iterator[Finding]:
    known: frozenset[str] = frozenset()
    if settings.names is not None:
        try:
            known = find_names_files(settings.names).known
        except NamesFault as fault:
            yield ("names", fault.field) if fault.field else ("names",), str(fault)
            return
    for name, rule in settings.redact.items():
        wanted = {kind for find in rule.find for kind in find.kinds if kind in (*NAME_KINDS, "names")}
        if wanted and settings.names is None:
            yield (
                ("redact", name, "find"),
                "names are found by a model: write `names: {}` under protection, or a model there",
            )
        elif lacking := sorted(wanted - known - {"names"}):
            yield (
                ("redact", name, "find"),
                f"the model of names finds no {' and no '.join(lacking)}; it knows: {', '.join(sorted(known))}",
            )
    for name, guard in settings.guardrails.items():
        if isinstance(guard, PiiSettings) and set(guard.kinds) & {*NAME_KINDS, "names"}:
            yield ("guardrails", name, "kinds"), "names are looked for in requests only: write a rule under redact"


def _unknown(words: tuple[str, ...], known: Collection[str]) -> Iterator[str]:
    return (word for word in words if not word.endswith("*") and word not in known)


def _mode_faults(guard: GuardSettings) -> Iterator[str]:
    if guard.when == "input" and guard.mode == "window":
        yield "a window is for answers; write buffer or async for what is asked"
    if isinstance(guard, (LengthSettings, SchemaGuardSettings)) and guard.mode == "window":
        yield f"a guardrail of kind {guard.kind} has to see all of an answer; write buffer"
    if isinstance(guard, PiiSettings) and guard.found == "redact" and guard.mode == "async":
        yield "what was sent cannot be taken out; write window or buffer"
