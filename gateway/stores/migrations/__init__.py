"""Migrations: bring the tables of a database to a revision, forward or back. It opens and commits nothing itself.

A migration is a module `versions/v<number>_<noun>.py` with alembic's names: `revision` ("0002_ledger"), `down_revision`
(the one before, None for the first), `upgrade(op)` and `downgrade(op)`. `op` is alembic's `Operations`, handed in: alembic's
own `from alembic import op` is one object for the whole process, which two databases opened at once would share.
The revision of a database is kept in the table `alembic_version`, where alembic's own tools look for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final, Protocol, cast

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations

from gateway.stores.migrations import versions

NOTHING: Final = "base"
NEWEST: Final = "head"

_VERSION = sqlalchemy.Table(
    "alembic_version",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("version_num", sqlalchemy.String(32), primary_key=True),
)


class Migration(Protocol):
    """One step: a module of `versions`."""

    revision: str
    down_revision: str | None

    def upgrade(self, op: Operations) -> None:
        """Go from the revision before to this one."""

    def downgrade(self, op: Operations) -> None:
        """Go back to the revision before. What only this revision could hold is lost."""


class UnknownRevision(Exception):
    """The database, or the wish, names a revision that this program does not have: a newer one made it."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision


def load_migrations() -> tuple[Migration, ...]:
    """Load every migration, oldest first."""
    names = [module.name for module in pkgutil.iter_modules(versions.__path__, f"{versions.__name__}.")]
    modules = [cast("Migration", importlib.import_module(name)) for name in names]
    return tuple(sorted(modules, key=lambda module: module.revision))


def find_revision(connection: sqlalchemy.Connection) -> str:
    """Return the revision of a database; `base` for an empty one."""
    if not sqlalchemy.inspect(connection).has_table(_VERSION.name):
        return NOTHING
    return connection.scalar(sqlalchemy.select(_VERSION.c.version_num)) or NOTHING


def is_newest(connection: sqlalchemy.Connection) -> bool:
    """Whether nothing is to be done. Raises UnknownRevision for a database that a newer program made."""
    migrations = load_migrations()
    return _position(migrations, find_revision(connection)) == len(migrations)


def migrate(connection: sqlalchemy.Connection, target: str = NEWEST) -> str:
    """Bring the tables to revision `target`, forward or back, and return it. The transaction is the caller's.

    Raises UnknownRevision when the database, or `target`, is newer than this program; then nothing was changed.
    """
    migrations = load_migrations()
    here = _position(migrations, find_revision(connection))
    there = _position(migrations, target)
    op = Operations(MigrationContext.configure(connection))
    _VERSION.create(connection, checkfirst=True)
    for migration in migrations[here:there]:
        migration.upgrade(op)
    for migration in reversed(migrations[there:here]):
        migration.downgrade(op)
    connection.execute(_VERSION.delete())
    if there == 0:
        return NOTHING
    reached = migrations[there - 1].revision
    connection.execute(_VERSION.insert().values(version_num=reached))
    return reached


def _position(migrations: tuple[Migration, ...], revision: str) -> int:
    """How many migrations have been done at this revision."""
    if revision == NOTHING:
        return 0
    if revision == NEWEST:
        return len(migrations)
    revisions = [migration.revision for migration in migrations]
    if revision not in revisions:
        raise UnknownRevision(revision)
    return revisions.index(revision) + 1
