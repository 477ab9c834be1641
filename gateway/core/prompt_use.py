"""Which template a call was made from, and with what: for the response that names it, and the record."""

from __future__ import annotations

from typing import Any

import msgspec


class PromptUse(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt's id, the version that was served, and the variables as the request gave them; None where it gave none."""

    id: str
    version: str
    variables: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Give what the ledger has: the id and the version, and nothing that was said."""
        return f"{self.id}@{self.version}"

    @property
    def echo(self) -> dict[str, Any]:
        """Give what the response says of it."""
        return {"id": self.id, "version": self.version, "variables": self.variables}


def use_of(echo: object) -> PromptUse | None:
    """Give the use that an `echo` tells of; None where it tells of none."""
    return msgspec.convert(echo, PromptUse) if isinstance(echo, dict) else None
