"""Encrypted secrets: their nouns, their port, and a snapshot for whoever loads a configuration. It encrypts nothing itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
import structlog

from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import StoreUnavailable
from gateway.stores.audit import AuditActor

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
MOST_BYTES: Final = 64 * 1024
"""The longest value, in bytes of UTF-8."""

_NAME: Final = re.compile(rf"{NAME_PATTERN}\Z")


class SecretUnreadable(ValueError):
    """A stored secret cannot be decrypted: the master key is another, or the row was changed. The text holds no value."""


class MasterKeyMissing(ValueError):
    """No master key that can be used is configured. The text says why."""


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a secret. `version` counts its values; `master_key` names the key that wraps it. Times in ms."""

    tenant: str
    name: str
    version: int
    master_key: str
    created_at: int
    updated_at: int


class Rewrapped(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did: secrets wrapped anew, and those that no known master key opens."""

    done: int
    unreadable: tuple[SecretInfo, ...] = ()


class LoadsSecrets(Protocol):
    """The part of a store that a snapshot is made from."""

    async def load(self, *, tenant: str = DEFAULT_TENANT) -> Mapping[str, Callable[[], str]]:
        """Give, for every name, what decrypts its value; that raises SecretUnreadable. Raises StoreUnavailable."""
        ...


class SecretStore(LoadsSecrets, Protocol):
    """Keeps values encrypted. Every method raises StoreUnavailable when the database is away.

    What changes something is in the audit log in the same transaction; `actor` is who did it.
    """

    async def put(self, name: str, value: str, *, actor: AuditActor, tenant: str = DEFAULT_TENANT) -> SecretInfo:
        """Keep a value under a name, in the place of an older one. Raises ValueError for what is no name or no value."""
        ...

    async def remove(self, name: str, *, actor: AuditActor, tenant: str = DEFAULT_TENANT) -> bool:
        """Forget a secret; False when there is none of that name."""
        ...

    async def find_all(self, *, tenant: str | None = DEFAULT_TENANT) -> tuple[SecretInfo, ...]:
        """Give what there is, by tenant and name; None is every tenant's."""
        ...

    async def rewrap(self, *, actor: AuditActor) -> Rewrapped:
        """Wrap every data key with the present master key. It can be cut off anywhere and begun again."""
        ...


class SecretSnapshot:
    """The secrets as they were at the last refresh, still encrypted, for the `secret:NAME` of a configuration.

    A configuration is loaded in one go and cannot wait for a database, so: `await refresh()`, then load with `find`.
    """

    def __init__(self, store: LoadsSecrets, *, tenant: str = DEFAULT_TENANT) -> None:
        self._store = store
        self._tenant = tenant
        self._values: Mapping[str, Callable[[], str]] = {}
        self._read = False

    async def refresh(self) -> None:
        """Read what is there now. With the database away, the last snapshot stays; raises StoreUnavailable when there is none."""
        try:
            self._values = await self._store.load(tenant=self._tenant)
            self._read = True
        except StoreUnavailable:
            if not self._read:
                raise
            log.warning("secrets.refresh.failed", kept=len(self._values))

    def find(self, name: str) -> str | None:
        """Decrypt one secret, None when there is none of that name. Raises SecretUnreadable."""
        decrypt = self._values.get(name)
        return None if decrypt is None else decrypt()


def check_name(name: str) -> str:
    """Return the name. Raises ValueError for what cannot be one."""
    if not _NAME.match(name):
        raise ValueError("a secret's name has letters, digits, dots, dashes and underscores, at most 128")
    return name


def check_value(value: str) -> str:
    """Return the value without white space around it. Raises ValueError, which does not show it, for what cannot be one."""
    value = value.strip()
    if not value:
        raise ValueError("the value is empty")
    if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise ValueError(f"a value has at most {MOST_BYTES} bytes, and no NUL")
    return value
