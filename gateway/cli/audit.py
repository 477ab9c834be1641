"""`switchgear audit`: what was administered, and whether the log of it is whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_nouns import fetch_list
from gateway.cli.admin_options import asks_gateway, given_only, json_option
from gateway.cli.admin_output import print_json, print_table, require_new, write_new
from gateway.cli.audit_verify import verify_file
from gateway.cli.screen import one_line
from gateway.stores.audit_chain import AuditVerdict
from gateway.stores.audit_export import shown


@click.group(no_args_is_help=True)
def command() -> None:
    """Read, export and verify the audit log."""


@command.command("list")
@click.option("--action", help="Only this action; one that ends in a dot stands for all that begin so: key.")
@click.option("--actor", help="Only what this key or user did.")
@click.option("--kind", help="Only what was done to such an object: key, team, budget.")
@click.option("--object", help="Only what was done to the object of this id.")
@click.option("--tenant", help="Only what was done in this tenant.")
@click.option("--since", help="From then on: 2026-11-01, or 2026-11-01T08:00:00Z.")
@click.option("--until", help="Until before then.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The most to list.")
@asks_gateway
@json_option
def list_entries(client: AdminClient, *, as_json: bool, limit: int, **filters: Any) -> None:
    """List entries, the newest first."""
    found = fetch_list(client, "/admin/audit", given_only(filters), limit)
    if as_json:
        print_json(found)
        return
    rows = [
        {**entry, "actor": entry["actor"]["id"], "object": entry["about"]["id"], "tenant": entry["about"]["tenant"]}
        for entry in found
    ]
    print_table(rows, ("seq", "at", "action", "actor", "tenant", "object", "details"))


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--tenant", help="Show only what was done in this tenant; the rest is there by its hashes.")
@asks_gateway
def export(client: AdminClient, *, file: Path | None, tenant: str | None) -> None:
    """Write the whole log as JSON lines to FILE, which must be new, or to standard output."""
    require_new(file)
    write_new(file, client.fetch("GET", "/admin/audit/export", query={"tenant": tenant}).body)
    if file is not None:
        click.echo(f"Check it anywhere: switchgear audit verify {file}")


@command.command("verify")
@click.argument("export", type=click.File("rb"), metavar="[FILE]", required=False)
@click.option("--audit-key", metavar="env:NAME|file:PATH", help="The key that signs the log's end; with FILE.")
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The anchor file, to find a log that was rewritten or cut off; with FILE.",
)
@asks_gateway
@json_option
def verify(
    client: AdminClient, *, export: BinaryIO | None, audit_key: str | None, anchor: Path | None, as_json: bool
) -> None:
    """Go through the log and say what is wrong with it; exits 1 when something is.

    With FILE (or - for standard input) an export is checked here, and no gateway is asked.
    """
    if export is None:
        if audit_key is not None or anchor is not None:
            msg = "--audit-key and --anchor belong to a FILE: the server has its own."
            raise click.UsageError(msg)
        verdict = msgspec.convert(client.ask("POST", "/admin/audit/verify"), AuditVerdict)
    else:
        verdict = verify_file(export, key=audit_key, anchor=anchor)
    if as_json:
        print_json(verdict)
    else:
        for line in shown(verdict):
            click.echo(one_line(line))
    sys.exit(0 if verdict.sound else 1)
