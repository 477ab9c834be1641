"""Where a call can be served."""

from __future__ import annotations

import msgspec


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: to connect; to the upstream's first byte; between two pieces of a stream; for everything."""

    connect: float = 10.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider. `drop` permits to leave out parameters that it does not know (named in the answer)."""

    provider: str
    model: str
    timeouts: Timeouts = Timeouts()
    drop: bool = False

    @property
    def name(self) -> str:
        """The target as shown to people: provider/model."""
        return f"{self.provider}/{self.model}"
