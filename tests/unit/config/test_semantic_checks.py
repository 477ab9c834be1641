"""What semantic caches need is looked for when the configuration is loaded, and named where it is missing."""

import pytest

from gateway.config.cache_settings import (
    AuditShareSettings,
    CacheSettings,
    ModelCacheSettings,
    QdrantSettings,
    SemanticSettings,
    VerifierSettings,
)
from gateway.config.semantic_checks import semantic_findings
from gateway.config.settings import ModelSettings, Settings


def findings(cache: CacheSettings, model: ModelCacheSettings | None = None, *, missing: str = "") -> list[str]:
    settings = Settings(providers={}, cache=cache, models={"chat": ModelSettings(targets=(), cache=model)})
    found = semantic_findings(settings, lambda package: package != missing)
    return [".".join(map(str, one.path)) + ": " + one.message for one in found]


@pytest.mark.parametrize(
    ("qdrant", "missing", "path", "extra"),
    [
        (None, "numpy", "cache.embedding", "vectors"),
        (QdrantSettings(url="http://qdrant:6333"), "qdrant_client", "cache.qdrant", "qdrant"),
    ],
)
def test_a_package_that_is_missing_is_named_with_how_to_get_it(qdrant, missing, path, extra):
    cache = CacheSettings(embedding="embedder", qdrant=qdrant)

    (found,) = findings(cache, missing=missing)

    assert found.startswith(f"{path}: needs the extra: pip install 'switchgear[{extra}]'")
    assert findings(cache) == []
    assert findings(CacheSettings(), missing=missing) == []


def test_a_model_that_embeds_cannot_say_yes_or_no():
    semantic = SemanticSettings(verifier=VerifierSettings(model="embedder"), audit=AuditShareSettings(model="embedder"))

    found = findings(CacheSettings(embedding="embedder"), ModelCacheSettings(mode="semantic", semantic=semantic))

    assert [one.partition(":")[0] for one in found] == [
        "models.chat.cache.semantic.verifier.model",
        "models.chat.cache.semantic.audit.model",
    ]
