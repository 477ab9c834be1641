"""`switchgear init`: a configuration to start from."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.config import starter_text
from gateway.config.schema import schema_text


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write switchgear.yaml, commented, and its schema for editors into DIRECTORY. Nothing is overwritten."""
    document = directory / "switchgear.yaml"
    if document.exists():
        click.echo(f"{document} exists already; nothing was written.", err=True)
        sys.exit(1)
    directory.mkdir(parents=True, exist_ok=True)
    document.write_text(starter_text(), encoding="utf-8")
    (directory / "switchgear.schema.json").write_text(schema_text(), encoding="utf-8")
    click.echo(f"Wrote {document}. Next: switchgear serve --config {document}")
