"""`switchgear knowledge`: the knowledge bases of a configuration, and what a search in one finds. No server is asked, and none is needed."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import anyio
import click
import msgspec

from gateway.cli.admin_output import print_json, print_table
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.cli.screen import one_line
from gateway.config import ConfigError, peek, read_environment
from gateway.config.knowledge_settings import MOST_PASSAGES
from gateway.core.clock import SYSTEM_CLOCK
from gateway.knowledge_source import KnowledgeSource
from gateway.retrieval.library import Library

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List the knowledge bases of a configuration, and search in one."""


@command.command("list")
@config_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """List the knowledge bases: how much each holds, and what it counts as."""
    library = _read(config)
    rows = [
        {
            "base": name,
            "documents": base.held.documents,
            "passages": base.held.passages,
            "bytes": base.held.size,
            "integrity": library.settings[name].gives.integrity,
            "confidentiality": library.settings[name].gives.confidentiality,
            "description": library.settings[name].description,
        }
        for name, base in sorted(library.bases.items())
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, tuple(rows[0]) if rows else ("base",))


@command.command()
@click.argument("base")
@click.argument("query")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_PASSAGES),
    default=5,
    show_default=True,
    help="Print at most so many passages.",
)
@config_option
@json_option
def search(base: str, query: str, limit: int, config: Path, *, as_json: bool) -> None:
    """Search BASE for the words of QUERY, and print the passages that fit best."""
    library = _read(config)
    if base not in library.bases:
        close = difflib.get_close_matches(base[:100], library.bases, n=1)
        click.echo(
            f"no knowledge base is named {base!r}" + (f"; did you mean {close[0]!r}?" if close else ""), err=True
        )
        sys.exit(1)
    found = anyio.run(library.bases[base].search, query, limit)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    for passage in found:
        under = f"  {' > '.join(passage.headings)}" if passage.headings else ""
        place = f"{passage.file}:{passage.first_line}-{passage.last_line}"
        click.echo(one_line(f"{passage.score:8.4f}  {place}{under}"))
    if not found:
        click.echo("no passage has any of these words", err=True)


def _read(config: Path) -> Library:
    """Read the bases as the server would; ends with the faults that there are."""
    environ = read_environment()
    try:
        return KnowledgeSource(config, environ, SYSTEM_CLOCK).open(peek(config, environ))
    except ConfigError as error:
        fail(error)
