"""Whether JSON keeps to a schema that a caller sent. Nothing is fetched; patterns are matched in linear time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NoReturn

import jsonschema_rs
import msgspec

from gateway.core.items import Json

MOST_KEPT: Final = 64
LARGEST: Final = 256 * 1024
"""Bytes of a schema; a larger one is not used."""


class Schemas:
    """Validators of the schemas that were seen last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, jsonschema_rs.Validator | None] = OrderedDict()

    def allows(self, schema: Mapping[str, Json], document: Json) -> bool | None:
        """Whether a schema allows a document; None for a schema that cannot be used."""
        validator = self._validator(msgspec.json.encode(schema))
        if validator is None:
            return None
        try:
            return bool(validator.is_valid(document))
        except (ValueError, RecursionError):
            return None

    def _validator(self, key: bytes) -> jsonschema_rs.Validator | None:
        if len(key) > LARGEST:
            return None
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        try:
            made = jsonschema_rs.validator_for(
                msgspec.json.decode(key), retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
            )
        except (ValueError, TypeError, RecursionError):
            made = None
        self._kept[key] = made
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return made


def _refuse(uri: str) -> NoReturn:
    msg = f"schemas are not fetched: {uri}"
    raise ValueError(msg)
