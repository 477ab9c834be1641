"""The guardrail that asks for JSON of a schema. It repairs nothing; a promise of the caller's own is kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.core.call import Call
from gateway.core.errors import UnsupportedSchema
from gateway.protection.verdict import ALLOW, Verdict
from gateway.schemas.judge import compiled

_MOST_BYTES = 1024 * 1024
_EVERYTHING: dict[str, object] = {}
"""What `true` means, as a schema."""


class SchemaJudge:
    """Stops an answer whose last text is not a JSON document that the schema allows. Nothing remote is fetched."""

    def __init__(self, document: Path) -> None:
        """Read the schema. Raises ValueError, which says what is wrong with it, and OSError."""
        if document.stat().st_size > _MOST_BYTES:
            msg = f"it is larger than {_MOST_BYTES:,} bytes"
            raise ValueError(msg)
        schema = msgspec.json.decode(document.read_bytes())
        try:
            self._judge = compiled(_EVERYTHING if schema is True else schema)
        except UnsupportedSchema as error:
            raise ValueError(error.message) from error

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts."""
        del call
        said = [text for text in texts if text.strip()]
        valid = bool(said) and not self._judge.violations(said[-1], limit=1)
        return ALLOW if valid else Verdict(decision="block", reason="not what the schema allows")
