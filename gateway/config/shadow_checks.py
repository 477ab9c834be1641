"""Rules between the settings of shadows that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.finding import Finding
from gateway.config.settings import Settings


def shadow_findings(settings: Settings) -> Iterator[Finding]:
    """Yield models that shadow themselves, and shadows without a database to keep them."""
    for name, model in settings.models.items():
        if model.shadow is None:
            continue
        if model.shadow.model == name:
            message = "a model cannot be its own shadow: name another model"
            yield Finding(path=("models", name, "shadow", "model"), message=message)
        if settings.database is None:
            message = "comparisons are kept in the database: set database, for example {kind: sqlite}"
            yield Finding(path=("models", name, "shadow"), needs=("database",), message=message)
