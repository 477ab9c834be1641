"""Guesses from a model's name whether it answers with vectors and not with words; only for choosing examples and defaults."""

from __future__ import annotations

import re

_EMBEDDING = re.compile(r"embed|minilm|(?:^|[/-])(?:bge|e5|gte)-|rerank|moderation", re.IGNORECASE)


def makes_embeddings(model: str) -> bool:
    """Whether a model of this name is no chat model."""
    return _EMBEDDING.search(model) is not None
