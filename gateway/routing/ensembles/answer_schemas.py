"""Whether JSON keeps to a schema that a caller sent, where answers are only compared: no promise is kept here."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import UnsupportedSchema
from gateway.core.items import Json
from gateway.schemas.judge import compiled


def allows(schema: Mapping[str, Json], document: Json) -> bool | None:
    """Whether a schema allows a document; None for a schema that cannot be used."""
    try:
        return not compiled(schema).judge(document, limit=1)
    except UnsupportedSchema:
        return None
