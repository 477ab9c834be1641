"""Rules between the settings of semantic caches that no single type can say: what has to be installed, and who can judge."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Final

from gateway.config.cache_settings import ModelCacheSettings
from gateway.config.finding import Finding
from gateway.config.model_parts import Path
from gateway.config.settings import Settings

_EXTRAS: Final = (("vectors", "numpy"), ("qdrant", "qdrant_client"))


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def semantic_findings(settings: Settings, is_installed: Callable[[str], bool] = _is_installed) -> Iterator[Finding]:
    """Yield packages that are missing, and models that would judge their own answers."""
    if settings.cache.embedding is not None:
        extra, package = _EXTRAS[settings.cache.qdrant is not None]
        if not is_installed(package):
            setting = "embedding" if settings.cache.qdrant is None else "qdrant"
            message = f"needs the extra: pip install 'switchgear[{extra}]' ({package} is not installed)"
            yield Finding(path=("cache", setting), message=message)
    for name, model in settings.models.items():
        if model.cache is not None:
            yield from _judging(("models", name, "cache"), model.cache, settings)
    if settings.cache.models is not None:
        yield from _judging(("cache", "models"), settings.cache.models, settings)


def _judging(path: Path, cache: ModelCacheSettings, settings: Settings) -> Iterator[Finding]:
    """Yield models that only embed, and are to say yes or no."""
    asked = {
        "verifier": None if cache.semantic.verifier is None else cache.semantic.verifier.model,
        "audit": None if cache.semantic.audit is None else cache.semantic.audit.model,
    }
    for section, model in asked.items():
        if cache.mode == "semantic" and model is not None and model == settings.cache.embedding:
            message = f"the model '{model}' embeds questions: name one that answers"
            yield Finding(path=(*path, "semantic", section, "model"), message=message)
