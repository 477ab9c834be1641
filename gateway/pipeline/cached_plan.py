"""What of a model's settings makes its answers what they are: the part of every key that changes when the model does. Pure, but for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from gateway.config.cache_settings import CacheSettings, ModelCacheSettings
from gateway.config.choosing_settings import RuleSettings
from gateway.config.provider_settings import ProviderSettings
from gateway.config.settings import ModelSettings, Settings, TargetSettings
from gateway.providers.documents import document_digest
from gateway.routing.plan import RoutingPlan

_OF_A_TARGET: Final = ("abilities", "handles", "model", "name", "provider")
_NOT_OF_A_PROVIDER: Final = frozenset(
    {
        "api_key", "api_keys", "connections", "health_check", "http", "load", "load_interval", "parallel", "proxy", "start_timeout",
        "stream_usage", "threads", "timeouts",
    }
)  # fmt: skip
"""How an upstream is reached, and how fast it is. What is not named here is taken to shape its answers."""
_encode = msgspec.json.Encoder(order="sorted").encode


class CachePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's answers are cached. `revision` differs whenever what serves it does. `rules` are those that choose who answers.

    `embedding` differs whenever what embeds questions does, empty where nothing does: vectors of two models mean nothing to each other.
    """

    settings: ModelCacheSettings
    revision: str
    embedding: str = ""
    rules: tuple[RuleSettings, ...] = ()
    time_zone: str = "UTC"


def settings_of(model: ModelSettings, cache: CacheSettings) -> ModelCacheSettings | None:
    """Give what holds for a model: what it says itself, else what is said for all; None where nothing is kept of it."""
    wanted = model.cache or cache.models
    return None if wanted is None or wanted.mode == "off" else wanted


def is_wanted(settings: Settings) -> bool:
    """Whether the answers of any model are kept."""
    return any(settings_of(model, settings.cache) is not None for model in settings.models.values())


def cache_plan(
    model: ModelSettings, targets: Sequence[TargetSettings], plan: RoutingPlan, settings: Settings
) -> CachePlan | None:
    """Give the plan of a model, or of one of its versions; None where it has no cache."""
    wanted = settings_of(model, settings.cache)
    if wanted is None:
        return None
    judging = _judging(plan, settings)
    told = {
        "targets": [_target(target) for target in targets],
        "judging": [_target(target) for target in judging],
        "providers": {
            target.provider: _provider(settings.providers[target.provider]) for target in (*targets, *judging)
        },
        "on_unsupported": model.on_unsupported,
        "structured": plain(model.structured),
        "routing": [
            plan.strategy,
            plan.time_zone,
            *map(plain, (plan.rules, plan.cascade, plan.vote, plan.continuation)),
        ],
    }
    rules = plan.rules if plan.strategy == "rules" else ()
    return CachePlan(
        settings=wanted,
        revision=digest(told),
        embedding=_embedding(settings) if wanted.mode == "semantic" else "",
        rules=rules,
        time_zone=plan.time_zone,
    )


def policy_version(settings: Settings, documents: Mapping[str, bytes]) -> str:
    """Give what differs whenever something does that judges calls or changes them."""
    written = {path: found.hex() for path, found in documents.items()}
    return digest([written, plain(settings.policies), plain(settings.protection)])


def digest(value: object) -> str:
    """Give a digest of a plain value."""
    return blake2b(_encode(value), digest_size=16).hexdigest()


def plain(value: object) -> Any:
    """Give settings as JSON has them, without the values of secrets."""
    return msgspec.to_builtins(value, enc_hook=_shown)


def _target(target: TargetSettings) -> dict[str, Any]:
    # How many calls a target gets is not what it answers; that it gets none unless the others fail is.
    return {"asked": bool(target.weight), **{name: plain(getattr(target, name)) for name in _OF_A_TARGET}}


def _judging(plan: RoutingPlan, settings: Settings) -> tuple[TargetSettings, ...]:
    """Give the targets of the model that says which answer goes out, where there is one."""
    ensembles = {"cascade": plan.cascade, "vote": plan.vote}
    judge = getattr(ensembles.get(plan.strategy), "judge", None)
    return () if judge is None else tuple(settings.models[judge.model].every_target)


def _embedding(settings: Settings) -> str:
    model = settings.models.get(settings.cache.embedding or "")
    if model is None:
        return ""
    targets = model.every_target
    providers = {target.provider: _provider(settings.providers[target.provider]) for target in targets}
    return digest([settings.cache.embedding, [_target(target) for target in targets], providers])


def _provider(provider: ProviderSettings) -> dict[str, Any]:
    written = {
        name: plain(getattr(provider, name)) for name in provider.__struct_fields__ if name not in _NOT_OF_A_PROVIDER
    }
    document = document_digest(provider)
    return written if document is None else {**written, "document_digest": document.hex()}


def _shown(value: object) -> str:
    return str(value)  # a path; and a secret tells only where it comes from
