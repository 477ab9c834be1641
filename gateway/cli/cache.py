"""`switchgear cache`: what the cache keeps, how it does, and taking entries out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_object, print_page, print_table

_LISTED = ("id", "created_at", "expires_at", "tenant", "model", "namespace", "tags", "target", "size", "tokens")
_SELECTED = ("tenant", "model", "namespace", "tag", "prefix", "entry")


def _selecting(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which entries."""
    for option in (
        click.option("--tenant", help="Of this tenant."),
        click.option("--model", help="Of this model."),
        click.option("--namespace", help="Kept in this namespace; '' is that of calls without one."),
        click.option("--tag", help="With this tag, as project=apollo."),
        click.option("--prefix", help="Whose question begins so; or the entry's id."),
        click.option("--entry", help="The one with this id."),
    ):
        function = option(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show what the cache keeps, how it does, and take entries out of it."""


@command.command("list")
@_selecting
@in_pages
@asks_gateway
@json_option
def show_list(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List entries that fit all that is named, the newest first: what they are, not what they say."""
    answer = client.ask("GET", "/admin/cache", query=given_only(query))
    print_page(answer, _LISTED, as_json=as_json)


@command.command()
@click.argument("entry")
@asks_gateway
@json_option
def show(client: AdminClient, *, entry: str, as_json: bool) -> None:
    """Show one entry, with what was asked and answered. The audit log says that you did."""
    answer = client.ask("GET", object_path("cache", entry))
    if as_json:
        print_json(answer)
    else:
        print_object(answer)


@command.command()
@asks_gateway
@json_option
def stats(client: AdminClient, *, as_json: bool) -> None:
    """Show how much the cache keeps, how often it had an answer, and how the semantic layer does."""
    answer = client.ask("GET", "/admin/cache/stats")
    if as_json:
        print_json(answer)
        return
    print_object(answer["held"])
    if answer["calls"]:
        print_table(answer["calls"], ("model", "cache", "calls"))
    if answer["semantic"]:
        print_table(answer["semantic"], tuple(answer["semantic"][0]))


@command.command()
@_selecting
@click.option("--all", "everything", is_flag=True, help="Whatever there is.")
@click.option("--yes", is_flag=True, help="Do it. Without it only the number is told.")
@asks_gateway
@json_option
def clear(client: AdminClient, *, everything: bool, yes: bool, as_json: bool, **query: Any) -> None:
    """Remove the entries that fit all that is named, on all replicas; first without --yes, to see how many that would be."""
    named = given_only(query)
    if not named and not everything:
        options = ", ".join(f"--{name}" for name in _SELECTED)
        msg = f"Name what is to go: {options}, or --all."
        raise click.UsageError(msg)
    more = {"all": True} if everything else {}
    answer = client.ask("DELETE", "/admin/cache", query={**named, **more, "dry_run": not yes})
    if as_json:
        print_json(answer)
    elif yes:
        click.echo(f"{answer['entries']} entries removed.")
    else:
        click.echo(f"{answer['entries']} entries fit; none was removed. Add --yes to remove them.")
