"""`switchgear key`: virtual keys. A key is printed when it is made, and never again."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_nouns import TENANT, Noun, list_option, noun_group, pairs_option, print_made, text_option
from gateway.cli.admin_options import Duration, Expiry, asks_gateway, given_only, json_option
from gateway.stores.directory import ROLES

_EXPIRES = click.Option(["--expires"], type=Expiry(), help="When it ends: 30d, 2027-01-31, or never.")
_FIELDS = (
    text_option("--team", "The team's id."),
    click.Option(["--role"], type=click.Choice(("", *ROLES)), help="What it may administer; without one, nothing."),
    _EXPIRES,
    list_option("--model", "models", "A model that it may ask for, or a pattern: local-*. Repeat it for more."),
    list_option("--tool", "tools", "A tool that it may use, or a pattern."),
    list_option("--ip", "ips", "An address or network that it may come from."),
    list_option("--origin", "origins", "A web origin that it may come from."),
    pairs_option("--tag", "tags", "A tag of its calls, for usage and limits."),
    pairs_option("--metadata", "metadata", "Whatever you note about it."),
)
_HOLDERS = (
    text_option("--user", "The id of the user that it belongs to."),
    text_option("--service-account", "The id of the service account that it belongs to."),
)

_KEY = Noun(
    family="keys",
    word="key",
    columns=(
        "id",
        "tenant",
        "team",
        "user",
        "service_account",
        "name",
        "prefix",
        "role",
        "state",
        "expires_at",
        "last_used_at",
    ),
    create=(TENANT, *_HOLDERS, *_FIELDS),
    update=(text_option("--name", "The new name."), *_FIELDS),
    filters=(
        TENANT,
        *_HOLDERS,
        text_option("--team", "The team's id."),
        text_option("--name", "Only those of this name."),
    ),
)

command = noun_group(_KEY, "Administer virtual keys.")


@command.command("rotate")
@click.argument("identifier", metavar="ID")
@click.option("--overlap", type=Duration(), default="1h", show_default=True, help="How long the old key still works.")
@click.option("--expires", type=Expiry(), help="When the new key ends; without it, when the old one would have.")
@asks_gateway
@json_option
def rotate(
    client: AdminClient, *, identifier: str, overlap: float, expires: dict[str, Any] | None, as_json: bool
) -> None:
    """Replace a key by a new one, which is printed. Both work for the overlap."""
    body = {"overlap": overlap, **given_only(expires or {})}
    print_made(client.ask("POST", object_path("keys", identifier, "rotate"), body=body), as_json=as_json)


@command.command("revoke")
@click.argument("identifier", metavar="ID")
@asks_gateway
@json_option
def revoke(client: AdminClient, *, identifier: str, as_json: bool) -> None:
    """End a key, everywhere, at once."""
    print_made(client.ask("POST", object_path("keys", identifier, "revoke")), as_json=as_json)
