"""Cuts large values in PostgreSQL itself: what would be cut here anyway does not travel, and fills no memory of this program.

Around a query comes another one, which gives each column whose values may be of any size as three: the value where it is small, else its beginning,
and how long it is. The query within ends with a LIMIT, so that PostgreSQL computes its columns once and not three times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from asyncpg.types import Attribute

from mcp_servers.data_tier.reading import Beginning

_BYTES_A_SIGN: Final = 4
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
_SMALL: Final = frozenset({
    "bool", "char", "cid", "date", "float4", "float8", "int2", "int4", "int8", "interval", "money", "oid", "time", "timestamp", "timestamptz",
    "timetz", "uuid", "xid", "xid8",
})  # fmt: skip
"""Types whose values have one size each. Whatever else there is, some extension's included, counts as large."""


class Sized:
    """One query whose values have at most `most` characters or bytes, and then some: `sql` is what is asked, `rows` how many of it fit into memory at once."""

    def __init__(self, sql: str, attributes: Sequence[Attribute], *, most: int, page: int) -> None:
        self._bytes = [_is(each, "bytea") for each in attributes]
        self._large = [not any(_is(each, name) for name in _SMALL) for each in attributes]
        names = [f"c{number}" for number in range(len(attributes))]
        shown = ", ".join(part for number, name in enumerate(names) for part in self._parts(number, name, most))
        # Columns are told by their place: their own names may be there twice.
        self.sql = f"SELECT {shown} FROM ({sql}) AS sized ({', '.join(names)})"  # noqa: S608 the query was written by the guard
        self.rows = max(1, min(page, _MOST_AT_ONCE // (_BYTES_A_SIGN * most * max(1, sum(self._large)))))

    def _parts(self, number: int, name: str, most: int) -> Iterator[str]:
        if not self._large[number]:
            yield name
            return
        if self._bytes[number]:
            size, length, start, limit = (
                f"octet_length({name})",
                f"octet_length({name})",
                f"substr({name}, 1, {most})",
                most,
            )
        else:
            text = f"CAST({name} AS text)"
            size, length, start = f"octet_length({text})", f"char_length({text})", f"left({text}, {most})"
            limit = most * _BYTES_A_SIGN
        yield f"CASE WHEN {size} <= {limit} THEN {name} END"
        yield f"CASE WHEN {size} > {limit} THEN {start} END"
        yield f"CASE WHEN {size} > {limit} THEN {length} END"

    def values(self, row: Sequence[object]) -> Iterator[object]:
        """Yield a row's values as the query has them, large ones as their Beginning."""
        parts = iter(row)
        for large in self._large:
            value = next(parts)
            if large:
                start, length = next(parts), next(parts)
                if isinstance(start, str | bytes) and isinstance(length, int):
                    value = Beginning(start=start, length=length)
            yield value


def _is(attribute: Attribute, name: str) -> bool:
    # A type of somebody's own may have any name, but not this schema.
    return bool(attribute.type.name == name and attribute.type.schema == "pg_catalog")
