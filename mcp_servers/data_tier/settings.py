"""Settings of the data tier: which databases there are, what of them may be read, and how much at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mcp_servers.environment import variable

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Mask: TypeAlias = Literal["hide", "last4", "null"]
"""hide: `***`; last4: `***` and the last four characters; null: nothing."""
ParameterType: TypeAlias = Literal["boolean", "date", "integer", "number", "string", "timestamp"]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table or a view that may be read, and which columns of it. A column that is not listed is not there, not even for a condition."""

    columns: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=500)]
    mask: dict[Name, Mask] = {}
    description: str = ""

    def __post_init__(self) -> None:
        for name in self.mask:
            if name not in self.columns:
                msg = f"mask: {name} is not one of the columns"
                raise ValueError(msg)


class Sqlite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sqlite"):
    """A SQLite file; a relative path counts from the configuration's folder."""

    path: str
    tables: Annotated[dict[Name, Table], Meta(min_length=1)]
    description: str = ""


class Postgres(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="postgres"):
    """A PostgreSQL database. `url` is `env:NAME`, so that no password stands in the file. `role`, where it is set, is taken for every query."""

    url: Annotated[str, Meta(pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$")]
    tables: Annotated[dict[Name, Table], Meta(min_length=1)]
    schema: Name = "public"
    role: Name | None = None
    description: str = ""

    def address(self) -> str:
        """Give the address. Raises ConfigurationError when the variable is not set."""
        return variable(self.url)


Database: TypeAlias = Sqlite | Postgres


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one query may take and give. `cost` is PostgreSQL's estimate of the whole plan."""

    rows: Annotated[int, Meta(ge=1, le=100_000)] = 200
    bytes: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = 256 * 1024
    cell: Annotated[int, Meta(ge=16, le=1024 * 1024)] = 4096
    seconds: Annotated[float, Meta(gt=0, le=300)] = 5.0
    cost: Annotated[float, Meta(gt=0)] = 1_000_000.0
    sql: Annotated[int, Meta(ge=64, le=1024 * 1024)] = 16 * 1024


class SavedQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query with a name; `:name` in it is a parameter. It is held to the same rules, when the program starts."""

    database: Name
    sql: str
    description: str
    parameters: dict[Name, ParameterType] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole."""

    databases: Annotated[dict[Name, Database], Meta(min_length=1)]
    queries: dict[Name, SavedQuery] = {}
    limits: Limits = Limits()


def path_of(database: Sqlite, base: Path) -> Path:
    """Give the file of a database as an absolute path."""
    return (base / database.path).resolve()
