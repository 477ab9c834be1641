"""`switchgear audit verify`: is an exported audit log whole? It needs the file alone, neither server nor database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from gateway.config import read_environment
from gateway.config.secret import read_secret
from gateway.stores.audit_anchor import read_anchors
from gateway.stores.audit_chain import AuditVerdict
from gateway.stores.audit_export import read_lines, shown, verify_lines


@click.command("verify")
@click.argument("export", type=click.File("rb"), metavar="FILE")
@click.option(
    "--audit-key",
    "key",
    metavar="env:NAME|file:PATH",
    help="Where the audit key is, to check the signature of the head.",
)
@click.option(
    "--anchor",
    "anchor",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The anchor file, to find a chain that was rewritten or cut off.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(export: BinaryIO, key: str | None, anchor: Path | None, as_json: bool) -> None:
    """Check an exported audit log: FILE, or - for standard input. Exits 1 when anything is wrong, and says what and where."""
    verdict = verify_file(export, key=key, anchor=anchor)
    if as_json:
        click.echo(msgspec.json.encode(verdict))
    else:
        click.echo("\n".join(shown(verdict)))
    if not verdict.sound:
        sys.exit(1)


def verify_file(export: BinaryIO, *, key: str | None, anchor: Path | None) -> AuditVerdict:
    """Check an open export. `key` refers to the audit key (env:NAME, file:path). Raises click's errors for options."""
    secret = None
    try:
        if key is not None:
            secret = read_secret(key, base=Path.cwd(), environ=read_environment()).reveal()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--audit-key") from None
    try:
        anchors = () if anchor is None else read_anchors(anchor)
    except OSError as error:
        raise click.BadParameter(f"cannot read {anchor}: {error.strerror}", param_hint="--anchor") from None
    return verify_lines(read_lines(export), key=secret, anchors=anchors)
