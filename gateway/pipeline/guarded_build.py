"""Makes data protection from its settings: what stands around a route, and what around each of its targets.

Redaction, and guardrails whose match names providers, stand around the target; other guardrails around the route, so that
they judge once, whichever target answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote, urlsplit

import msgspec

from gateway.config.faults import ConfigError, Fault
from gateway.config.protection_settings import (
    GuardSettings,
    HttpGuardSettings,
    InjectionSettings,
    LengthSettings,
    MatchSettings,
    ModerationSettings,
    PiiSettings,
    ProtectionSettings,
    SchemaGuardSettings,
    WordsSettings,
)
from gateway.config.provider_settings import (
    AnthropicSettings,
    EmbeddedSettings,
    LitellmSettings,
    ProviderSettings,
    ScriptedSettings,
)
from gateway.core.call import Call
from gateway.core.responder import Responder, Send
from gateway.core.target import Target
from gateway.pipeline.guarded import guarded
from gateway.pipeline.guarded_checks import InjectionJudge, LengthJudge, PiiJudge, WordsJudge
from gateway.pipeline.guarded_http import HttpJudge
from gateway.pipeline.guarded_kept import Cleaner
from gateway.pipeline.guarded_moderation import ModerationJudge
from gateway.pipeline.guarded_rail import Guardrail, Judge
from gateway.pipeline.named import Names
from gateway.pipeline.redacted import Redacted, RedactionRule
from gateway.protection.finding import members
from gateway.protection.judgements import Judgements
from gateway.protection.matching import Destination, Match
from gateway.protection.redaction import STRICTNESS, Action
from gateway.protection.words import Words
from gateway.providers.http.connect import make_upstream
from gateway.providers.http.protocol import Upstream

Ask = Callable[[str], Responder]
"""Gives what answers for a model of the same generation. Asked when a call is there, not before."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What data protection needs from outside. `wall` gives seconds since 1970."""

    providers: Mapping[str, ProviderSettings]
    judgements: Judgements
    ask: Ask
    wall: Callable[[], float]


class Protection:
    """The rules and guardrails of one generation of the configuration."""

    def __init__(self, settings: ProtectionSettings, surroundings: Surroundings) -> None:
        self._judgements = surroundings.judgements
        self._upstreams: list[Upstream] = []
        self._names = None if settings.names is None else Names(settings.names)
        self._local = {
            name: name in settings.local or is_local(provider) for name, provider in surroundings.providers.items()
        }
        self._rules = tuple(
            RedactionRule(
                name=name,
                match=_match(rule.match),
                actions=_by_kind((kinds, find.action) for find in rule.find for kinds in find.kinds),
                attachments=rule.attachments == "allow",
            )
            for name, rule in settings.redact.items()
        )
        self._rails = tuple(self._rail(name, guard, surroundings) for name, guard in settings.guardrails.items())

    def opens(self, model: str, targets: Sequence[Target]) -> bool:
        """Whether calls for this model have to be decoded, because somebody may look inside."""
        places = [None, *(self._destination(target) for target in targets)]
        matches = [rule.match for rule in self._rules] + [rail.match for rail in self._rails]
        return any(match.may_apply(model, place) for match in matches for place in places)

    def around_route(self, inner: Responder, model: str) -> Responder:
        """Put around a route what does not depend on where a call goes."""
        rails = [rail for rail in self._rails if not rail.match.providers and rail.match.may_apply(model, None)]
        return guarded(inner, rails, self._judgements)

    def around_target(self, inner: Responder, model: str, target: Target) -> Responder:
        """Put around a target what depends on where a call goes: redaction innermost."""
        place = self._destination(target)
        rules = [rule for rule in self._rules if rule.match.may_apply(model, place)]
        rails = [rail for rail in self._rails if rail.match.providers and rail.match.may_apply(model, place)]
        return guarded(
            Redacted(inner, rules, self._judgements, self._names) if rules else inner, rails, self._judgements
        )

    def cleaner(self, models: Mapping[str, Sequence[Target]]) -> Cleaner | None:
        """Give what cleans answers of these models that are to be kept; None where nothing applies."""
        places = [(name, self._destination(target)) for name, targets in models.items() for target in targets]
        rules = [rule for rule in self._rules if any(rule.match.may_apply(name, place) for name, place in places)]
        return Cleaner(rules, self._names) if rules else None

    async def verify(self) -> None:
        """Load what is loaded when it is first needed: the model of names. Raises ConfigError where it cannot be used."""
        if self._names is not None:
            await self._names.verify()

    async def aclose(self) -> None:
        """Close the connections to guardrails' services. Nothing uses this generation any more."""
        for upstream in self._upstreams:
            await upstream.aclose()

    def _destination(self, target: Target) -> Destination:
        return Destination(provider=target.provider, local=self._local.get(target.provider, False))

    def _rail(self, name: str, guard: GuardSettings, surroundings: Surroundings) -> Guardrail:
        judge = self._judge(name, guard, surroundings)
        longest = Words(guard.words).longest if isinstance(guard, WordsSettings) else 0
        return Guardrail(
            name=name,
            judge=judge,
            when=guard.when,
            mode=guard.mode,
            fails=guard.fails,
            action=guard.action,
            timeout=guard.timeout,
            window=max(guard.window, 2 * longest),  # room for spaces and signs between the letters
            costly=isinstance(guard, (HttpGuardSettings, ModerationSettings)),
            match=_match(guard.match),
        )

    def _judge(self, name: str, guard: GuardSettings, surroundings: Surroundings) -> Judge:
        if isinstance(guard, WordsSettings):
            return WordsJudge(Words(guard.words))
        if isinstance(guard, InjectionSettings):
            return InjectionJudge(guard.threshold)
        if isinstance(guard, PiiSettings):
            return PiiJudge(_by_kind((kinds, guard.found) for kinds in guard.kinds))
        if isinstance(guard, LengthSettings):
            return LengthJudge(guard.characters)
        if isinstance(guard, SchemaGuardSettings):
            # jsonschema_rs takes a sixth of a second to import, and few have such a guardrail.
            from gateway.pipeline.guarded_schema import SchemaJudge  # noqa: PLC0415

            try:
                return SchemaJudge(guard.document)
            except (ValueError, OSError, RecursionError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
                where = f"protection.guardrails.{name}.document"
                message = f"this is no JSON schema that can be used: {reason}"
                raise ConfigError([Fault(file=str(guard.document), path=where, message=message)]) from error
        if isinstance(guard, ModerationSettings):
            return ModerationJudge(_later(surroundings.ask, guard.model), guard.model, guard.threshold)
        return self._http(guard, surroundings)

    def _http(self, guard: HttpGuardSettings, surroundings: Surroundings) -> Judge:
        address = urlsplit(guard.url)
        base = f"{address.scheme}://{address.netloc}"
        upstream = make_upstream(base, http="native", connections=guard.connections)
        self._upstreams.append(upstream)
        return HttpJudge(
            upstream,
            quote(address.path or "/", safe="/%:@!$&'()*+,;=~").encode(),
            when=guard.when,
            timeout=guard.timeout,
            wall=surroundings.wall,
            secret=None if guard.secret is None else guard.secret.reveal().encode(),
        )


def is_local(settings: ProviderSettings) -> bool:
    """Whether calls to a provider stay here: in this process, on this machine, or at an address of a private network.

    A name other than localhost says nothing about where it leads: it counts as hosted.
    """
    if isinstance(settings, (EmbeddedSettings, ScriptedSettings)):
        return True
    if isinstance(settings, LitellmSettings):
        url = settings.api_base
    elif isinstance(settings, AnthropicSettings):
        url = settings.base_url
    else:
        url = settings.endpoint
    if getattr(settings, "proxy", None) is not None:
        return False
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _later(ask: Ask, model: str) -> Responder:
    async def respond(call: Call, send: Send) -> None:
        await ask(model)(call, send)

    return respond


def _match(settings: MatchSettings) -> Match:
    return Match(tenants=settings.tenants, teams=settings.teams, models=settings.models, providers=settings.providers)


def _by_kind(actions: Iterable[tuple[str, Action]]) -> dict[str, Action]:
    """Give the action for each kind, groups taken apart. The narrower word counts; of equals, the stricter action."""
    by_kind: dict[str, Action] = {}
    for name, action in sorted(actions, key=lambda entry: (-len(members(entry[0])), STRICTNESS[entry[1]])):
        by_kind |= dict.fromkeys(members(name), action)
    return by_kind
