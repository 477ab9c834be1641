"""The secret store of a configuration, opened for one command. It reads what the store needs, and no other section.

So a secret can be set for a configuration that does not load yet, because the secret is missing.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import click
import msgspec
from msgspec import Meta

from gateway.config import ConfigError, read_environment
from gateway.config.audit_settings import AuditSettings
from gateway.config.convert import Conversion
from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.faults import FaultLog
from gateway.config.paths import resolve_path
from gateway.config.secrets_settings import SecretsSettings
from gateway.config.shapes import shape_of
from gateway.config.yaml_source import MOST_BYTES, MapNode, parse_yaml
from gateway.core.errors import StoreUnavailable
from gateway.stores.audit import AuditActor
from gateway.stores.audit_anchor import AnchorFile
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import DatabaseRefused, open_database
from gateway.stores.pepper import PepperFault, open_pepper_file
from gateway.stores.secrets import MasterKeyMissing
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.secrets_sql import SqlSecrets


class KeepingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The sections of a configuration that keep secrets."""

    database: Annotated[SqliteSettings | PostgresSettings | None, Meta(description="Where secrets live.")] = None
    secrets: Annotated[SecretsSettings, Meta(description="The master keys.")] = SecretsSettings()
    audit: Annotated[AuditSettings, Meta(description="Where it is written down.")] = AuditSettings()


def operator() -> AuditActor:
    """Give the actor that runs this command: the user of the operating system."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return AuditActor(id=f"os:{name}", role="operator")


@asynccontextmanager
async def secrets_of(config: Path) -> AsyncIterator[SqlSecrets]:
    """Open the store, and bring the anchor up to date at the end. Raises click's exceptions, for people."""
    settings = load_keeping(config)
    if settings.database is None:
        raise click.ClickException(f"{config}: secrets need a database: set database, for example to {{kind: sqlite}}")
    key = settings.audit.key
    try:
        cipher = open_cipher(settings.secrets.master_key, settings.secrets.old_master_keys)
        if isinstance(settings.database, SqliteSettings):
            _make_pepper(Path(settings.database.path))
        database = await open_database(settings.database)
    except (MasterKeyMissing, DatabaseRefused, PepperFault, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None
    try:
        audit = SqlAudit(database, key=None if key is None else key.reveal())
        yield SqlSecrets(database, cipher, audit)
        if settings.audit.anchor is not None:
            head = await audit.head()
            await anyio.to_thread.run_sync(AnchorFile(Path(settings.audit.anchor)).write, head)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"the audit log's anchor cannot be written: {error.strerror}") from None
    finally:
        with anyio.CancelScope(shield=True):
            await database.aclose()


def _make_pepper(database: Path) -> None:
    """Make what belongs beside a database that is about to be made: beside one that exists, a server would not make it."""
    if not database.exists():
        open_pepper_file(database)


def load_keeping(config: Path) -> KeepingSettings:
    """Read the sections from a configuration file. Raises click's exception with the faults of these sections."""
    try:
        with config.open("rb") as file:
            return _convert(file.read(MOST_BYTES).decode("utf-8-sig"), config)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise click.ClickException(f"{config}: the file cannot be read: {reason}") from None
    except ValueError as error:
        raise click.ClickException(f"{config}: {error}") from None
    except ConfigError as error:
        raise click.ClickException("\n".join(map(str, error.faults))) from None


def _convert(text: str, config: Path) -> KeepingSettings:
    log = FaultLog(str(config))
    root = parse_yaml(text, log)
    if isinstance(root, MapNode):
        known = KeepingSettings.__struct_fields__
        root = MapNode(mark=root.mark, entries={name: root.entries[name] for name in known if name in root.entries})
    conversion = Conversion(log, base=config.absolute().parent, environ=read_environment())
    settings: KeepingSettings = conversion.settings(shape_of(KeepingSettings), root)
    log.raise_if_any()
    return _located(settings, config.absolute().parent)


def _located(settings: KeepingSettings, base: Path) -> KeepingSettings:
    """Give the settings with absolute paths: relative ones count from the configuration's folder, as the server's do."""
    environ = read_environment()
    database, audit = settings.database, settings.audit
    if isinstance(database, SqliteSettings):
        path = resolve_path(database.path, base=base, environ=environ)
        database = msgspec.structs.replace(database, path=str(path))
    if audit.anchor is not None:
        anchor = resolve_path(audit.anchor, base=base, environ=environ)
        audit = msgspec.structs.replace(audit, anchor=str(anchor))
    return msgspec.structs.replace(settings, database=database, audit=audit)
