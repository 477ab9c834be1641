"""Loads the configuration for a server: from its file, the environment, and the secrets that its database keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config import ConfigError, Fault, Settings, load
from gateway.config.load import NO_OVERRIDES, Overrides
from gateway.config.secret import FindSecret, stand_in
from gateway.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from gateway.stores.secrets_opening import SecretFinder


class Loader:
    """Loads one configuration again and again. Values of `secret:NAME` are looked up each time.

    `overrides` replaces values as in `load`.
    """

    def __init__(
        self, config: Path, environ: Callable[[], Mapping[str, str]], *, overrides: Overrides = NO_OVERRIDES
    ) -> None:
        self._config = config
        self._environ = environ
        self._overrides = overrides
        self._finder: SecretFinder | None = None

    async def __call__(self) -> Settings:
        """Give what the file says now. Raises ConfigError."""
        wanted: list[str] = []

        def note(name: str) -> str:
            wanted.append(name)
            return stand_in(name)

        settings = self._load(note)
        return self._load(await self._find_in(settings)) if wanted else settings

    def _load(self, find_secret: FindSecret | None) -> Settings:
        return load(self._config, self._environ(), overrides=self._overrides, find_secret=find_secret)

    async def _find_in(self, settings: Settings) -> FindSecret | None:
        # Loads SQLAlchemy, which only those pay who keep secrets in the database.
        from gateway.stores.secrets import MasterKeyMissing  # noqa: PLC0415
        from gateway.stores.secrets_opening import SecretFinder  # noqa: PLC0415

        if self._finder is None:
            self._finder = SecretFinder(base=self._config.absolute().parent, environ=self._environ())
        try:
            return await self._finder.refresh(settings.database, settings.secrets)
        except (StoreUnavailable, MasterKeyMissing) as error:
            fault = Fault(file=str(self._config), path="secrets", message=str(error))
            raise ConfigError([fault]) from error
