"""What an Identity needs of tokens, without the libraries that judging them takes."""

from __future__ import annotations

from typing import Protocol

from gateway.core.caller import Caller


class FetchesKeys(Protocol):
    """Where the keys of an issuer come from."""

    @property
    def name(self) -> str:
        """The issuer's name in the configuration."""
        ...

    async def fetch(self) -> None:
        """Fetch the keys, or wait for the fetch that is under way. It does not fail: the old keys stay."""
        ...


class JudgesTokens(Protocol):
    """Tells whom a token stands for."""

    def caller(self, token: bytes, digest: bytes) -> Caller:
        """Give the caller of a token, whose digest is handed in. Raises InvalidToken, Unavailable and KeysWanted."""
        ...


class KeysWanted(Exception):
    """A token cannot be judged before its issuer's keys are fetched: await `Identity.admit`, off the hot path."""

    def __init__(self, source: FetchesKeys) -> None:
        super().__init__("keys of a token's issuer are wanted")
        self.source = source
