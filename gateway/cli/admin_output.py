"""What administrative commands print: tables for people, the server's JSON for programs. Text from elsewhere drives no terminal."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from gateway.cli.admin_client import fail
from gateway.cli.screen import one_line

TIMES = frozenset(
    {
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "at",
        "started_at",
        "updated_at",
        "overlap_until",
        "since",
        "fresh_until",
    }
)


def print_json(value: Any) -> None:
    """Print JSON for programs, in lines that people can read."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print a table of these columns; a line says so when there is nothing."""
    # Folded, not cut off: ids are there to be copied.
    headers = (Column(column.replace("_", " "), overflow="fold") for column in columns)
    table = Table(*headers, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(shown(column, row.get(column)) for column in columns))
    if not table.row_count:
        click.echo("There are none.")
        return
    # Names may look like markup; a pipe has no width to fit into.
    width = None if sys.stdout.isatty() else 4096
    Console(highlight=False, markup=False, emoji=False, width=width).print(table, crop=False)


def print_page(
    answer: Mapping[str, Any],
    columns: Sequence[str],
    *,
    as_json: bool,
    row: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
) -> None:
    """Print a page of a list, `row` making a row of each entry, and how the next one is asked for; or all of it as JSON."""
    if as_json:
        print_json(answer)
        return
    print_table([row(one) for one in answer["data"]], columns)
    if answer["next"]:
        click.echo(f"More: --after {answer['next']}", err=True)


def require_new(file: Path | None) -> None:
    """Exit with 1 where there is such a file already, before anything is fetched for it."""
    if file is not None and file.exists():
        fail(f"{file} exists already; nothing was written.")


def write_new(file: Path | None, content: bytes) -> None:
    """Write bytes to a file that must be new, and say so; or to standard output. Exits with 1 where that fails."""
    if file is None:
        click.echo(content, nl=False)
        return
    try:
        with file.open("xb") as out:
            out.write(content)
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}")
    click.echo(f"Wrote {file}.")


def print_object(value: Mapping[str, Any]) -> None:
    """Print one object, a field a line."""
    shown_fields = {name: shown(name, field) for name, field in value.items() if name != "object"}
    width = max((len(name) for name in shown_fields), default=0)
    for name, text in shown_fields.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {text}".rstrip())


def shown(name: str, value: Any) -> str:
    """Give a value as people read it: times in UTC, lists with commas, nothing for what is not there."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in TIMES and isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return one_line(", ".join(shown("", entry) for entry in value))
    if isinstance(value, dict):
        return one_line(", ".join(f"{key}={shown('', entry)}" for key, entry in value.items()))
    return one_line(str(value))
