"""The secrets for one load of a configuration, before anything else is open. It opens the database and closes it again.

Loading it loads SQLAlchemy: import it where a configuration refers to a secret:NAME.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import msgspec

from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.paths import resolve_path
from gateway.config.secret import FindSecret
from gateway.config.secrets_settings import SecretsSettings
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import StoreUnavailable
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import DatabaseRefused, open_database
from gateway.stores.secrets import SecretSnapshot
from gateway.stores.secrets_cipher import SecretCipher, open_cipher
from gateway.stores.secrets_sql import SqlSecrets


class SecretFinder:
    """Finds the secrets that a configuration refers to, each time that it is loaded. Relative paths count from `base`."""

    def __init__(self, *, base: Path, environ: Mapping[str, str]) -> None:
        self._base = base
        self._environ = environ
        self._shelf = _Shelf()
        self._snapshot = SecretSnapshot(self._shelf)

    async def refresh(
        self, database: SqliteSettings | PostgresSettings | None, secrets: SecretsSettings
    ) -> FindSecret | None:
        """Read what the database keeps now, and give what finds it; None where nothing is configured that could keep any.

        With the database away, what was read before is found. Raises StoreUnavailable when there is nothing of before, and
        MasterKeyMissing for a master key that is none.
        """
        if database is None or secrets.master_key is None:
            return None
        if isinstance(database, SqliteSettings):
            path = resolve_path(database.path, base=self._base, environ=self._environ)
            database = msgspec.structs.replace(database, path=str(path))
        self._shelf.database = database
        self._shelf.cipher = open_cipher(secrets.master_key, secrets.old_master_keys)
        await self._snapshot.refresh()
        return self._snapshot.find


class _Shelf:
    """The secrets of a database that is not open: it is for as long as they are read."""

    def __init__(self) -> None:
        self.database: SqliteSettings | PostgresSettings | None = None
        self.cipher: SecretCipher | None = None

    async def load(self, *, tenant: str = DEFAULT_TENANT) -> Mapping[str, Callable[[], str]]:
        settings, cipher = self.database, self.cipher
        if settings is None or cipher is None:
            return {}
        if not _is_made(settings):
            return {}
        try:
            database = await open_database(settings)
        except DatabaseRefused as error:
            raise StoreUnavailable(str(error)) from error
        try:
            return await SqlSecrets(database, cipher, SqlAudit(database)).load(tenant=tenant)
        finally:
            with anyio.CancelScope(shield=True):
                await database.aclose()


def _is_made(settings: SqliteSettings | PostgresSettings) -> bool:
    """Whether there is a database. The server makes the file at its start, with what belongs beside it, and nobody before."""
    return not isinstance(settings, SqliteSettings) or Path(settings.path).exists()
