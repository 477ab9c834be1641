"""Rules between the settings of caches that no single type can say: what similar questions need, and old answers that there can be."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.cache_settings import ModelCacheSettings
from gateway.config.finding import Finding
from gateway.config.model_parts import Path, parts_of
from gateway.config.provider_settings import EMBEDDING_MODEL, EmbeddedSettings, OpenAISettings, VllmSettings
from gateway.config.settings import ModelSettings, Settings, TargetSettings

_GENERATING = ("chat", "completions", "responses", "messages")


def cache_findings(settings: Settings) -> Iterator[Finding]:
    """Yield caches of similar questions that nobody can look for, or that ask themselves, and steps to old answers that nobody keeps."""
    for path, cache in _written(settings):
        yield from _semantic(path, cache, settings)
    yield from _only_embedding(settings)
    yield from _old_answers(settings)


def _written(settings: Settings) -> Iterator[tuple[Path, ModelCacheSettings]]:
    if settings.cache.models is not None:
        yield ("cache", "models"), settings.cache.models
    for name, model in settings.models.items():
        if model.cache is not None:
            yield ("models", name, "cache"), model.cache


def _semantic(path: Path, cache: ModelCacheSettings, settings: Settings) -> Iterator[Finding]:
    if cache.mode != "semantic":
        return
    if settings.cache.embedding is None:
        message = "similar questions are found by an embedding model: name one of this file's as cache.embedding"
        yield Finding(path=(*path, "mode"), needs=("cache", "models"), message=message)
    asking = {
        "verifier": None if cache.semantic.verifier is None else cache.semantic.verifier.model,
        "audit": None if cache.semantic.audit is None else cache.semantic.audit.model,
    }
    for section, model in asking.items():
        asked = None if model is None else settings.models.get(model)
        if asked is not None and _is_semantic(asked, settings):
            message = (
                f"the model '{model}' has a cache of similar questions itself: give it cache: exact, or cache: off"
            )
            yield Finding(path=(*path, "semantic", section, "model"), message=message)


def _is_semantic(model: ModelSettings, settings: Settings) -> bool:
    cache = model.cache or settings.cache.models
    return cache is not None and cache.mode == "semantic"


def _only_embedding(settings: Settings) -> Iterator[Finding]:
    for name, model in settings.models.items():
        if model.cache is None or model.cache.mode != "semantic" or not model.every_target:
            continue
        if all(_embeds_only(target, settings) for target in model.every_target):
            message = "this model only embeds, and embeddings of similar texts are not the same: write cache: exact"
            yield Finding(path=("models", name, "cache", "mode"), needs=("providers",), message=message)


def _embeds_only(target: TargetSettings, settings: Settings) -> bool:
    provider = settings.providers.get(target.provider)
    if isinstance(provider, EmbeddedSettings):
        return target.model == EMBEDDING_MODEL
    if not isinstance(provider, OpenAISettings | VllmSettings):
        return False
    return "embeddings" in provider.spoken_apis and not any(api in _GENERATING for api in provider.spoken_apis)


def _old_answers(settings: Settings) -> Iterator[Finding]:
    for number, step in enumerate(settings.routing.degrade or ()):
        everywhere = [_keeps_old(model, settings) for model in settings.models.values()]
        if step.stale is not None and not any(everywhere):
            message = "no model has a cache with stale_if_error: no old answers are kept"
            yield Finding(path=("routing", "degrade", number), needs=("models", "cache"), message=message)
    seen: set[Path] = set()
    for part in parts_of(settings):
        written = part.written("degrade")
        if written is None or written[0] in seen or _keeps_old(settings.models[part.model], settings):
            continue
        seen.add(written[0])
        for number, step in enumerate(written[1]):
            if step.stale is not None:
                message = "this model keeps no old answers: give it a cache with stale_if_error, or leave this step out"
                yield Finding(path=(*written[0], number), needs=("cache",), message=message)


def _keeps_old(model: ModelSettings, settings: Settings) -> bool:
    cache = model.cache or settings.cache.models
    return cache is not None and cache.mode != "off" and cache.stale_if_error > 0
