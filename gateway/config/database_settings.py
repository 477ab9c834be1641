"""Settings of what keeps state: the database, Redis, and the key for what is encrypted at rest."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A database in one file: for one replica."""

    kind: Annotated[Literal["sqlite"], Meta(description="One file, for one replica.")] = "sqlite"
    path: Annotated[str, Meta(min_length=1, description="The database's file; its folder is made.")] = (
        "data/switchgear.db"
    )
    timeout: Annotated[
        float, Meta(gt=0, le=60, description="Seconds to wait for the file while somebody else writes to it.")
    ] = 5.0


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A PostgreSQL server: for several replicas. Needs the extra: pip install 'switchgear[postgres]'."""

    kind: Annotated[Literal["postgres"], Meta(description="A server, for several replicas.")] = "postgres"
    url: Annotated[Secret, Meta(description="postgresql://user:password@host:port/name, as env:NAME or file:path.")]
    connections: Annotated[
        int, Meta(ge=2, le=100, description="Most connections at once: half to write, half to read.")
    ] = 10
    timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds to connect, and for one statement.")] = 5.0
    migration_timeout: Annotated[
        float,
        Meta(
            gt=0, le=86_400, description="Seconds to bring the tables up to date, waiting for other replicas included."
        ),
    ] = 300.0


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A Redis server that replicas share for limits and cached answers. Needs the extra: pip install 'switchgear[redis]'."""

    url: Annotated[Secret, Meta(description="redis://user:password@host:port/0, as env:NAME or file:path.")]
    timeout: Annotated[float, Meta(gt=0, le=10, description="Seconds to connect, and for one command.")] = 0.25
    connections: Annotated[int, Meta(ge=1, le=1000, description="Most connections at once.")] = 50
    replicas: Annotated[
        int, Meta(ge=1, le=1000, description="How many replicas share the limits: their shares while Redis is lost.")
    ] = 2
