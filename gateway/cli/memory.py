"""`switchgear memory`: what agents remember, where it came from, and how to be rid of it."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_page

_LISTED = ("id", "tenant", "name", "scope", "owner", "entries", "bytes", "updated_at")
_ENTRY = ("key", "text", "version", "integrity", "confidentiality", "sources", "author", "agent", "run", "updated_at")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List and show what agents remember, and delete it."""


@command.command("list")
@click.option("--name", help="Of this name alone.")
@click.option("--owner", help="Of this owner alone: user:ID, key:ID or an agent.")
@click.option("--tenant", help="Of this tenant alone.")
@in_pages
@asks_gateway
@json_option
def list_(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List memories: whose they are, and how much is in them."""
    print_page(client.ask("GET", "/admin/memories", query=given_only(query)), _LISTED, as_json=as_json)


@command.command()
@click.argument("memory")
@in_pages
@asks_gateway
@json_option
def show(client: AdminClient, *, memory: str, as_json: bool, **query: Any) -> None:
    """Show the entries of MEMORY (an id), with where each came from."""
    answer = client.ask("GET", object_path("memories", memory, "entries"), query=given_only(query))
    print_page(answer, _ENTRY, as_json=as_json)


@command.command()
@click.argument("memory")
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="All entries.")
@asks_gateway
@json_option
def delete(client: AdminClient, *, memory: str, key: str | None, everything: bool, as_json: bool) -> None:
    """Delete the entry KEY of MEMORY, or with --all every entry of it."""
    if (key is None) != everything:
        msg = "Name the entry's KEY, or give --all."
        raise click.UsageError(msg)
    if key is None:
        answer = client.ask("DELETE", object_path("memories", memory))
        said = f"{answer.get('entries')} entries deleted."
    else:
        answer = client.ask("DELETE", object_path("memories", memory, "entries"), query={"key": key})
        said = f"{key} deleted."
    print_json(answer) if as_json else click.echo(said)
