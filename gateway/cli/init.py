"""`switchgear init`: a configuration to start from."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from gateway.config import starter_text
from gateway.config.schema import schema_text


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write switchgear.yaml, commented, and its schema for editors into DIRECTORY. Nothing is overwritten."""
    document, schema = directory / "switchgear.yaml", directory / "switchgear.schema.json"
    for path in (document, schema):
        if path.exists():
            click.echo(f"{path} exists already; nothing was written.", err=True)
            sys.exit(1)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        document.write_text(starter_text(), encoding="utf-8")
        schema.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        click.echo(f"cannot write {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
    shown = shlex.quote(str(document))
    click.echo(f"Wrote {document}. Next: switchgear serve --config {shown}")
    click.echo(f"After a change: switchgear check --config {shown}; a running server takes it over by itself.")
