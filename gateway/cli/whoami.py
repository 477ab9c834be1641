"""`switchgear whoami`: who the gateway takes you for."""

from __future__ import annotations

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_options import asks_gateway, json_option
from gateway.cli.admin_output import print_json, print_object


@click.command()
@asks_gateway
@json_option
def command(client: AdminClient, *, as_json: bool) -> None:
    """Show who the gateway takes you for, and what you may administer."""
    answer = client.ask("GET", "/admin/whoami")
    if as_json:
        print_json(answer)
    else:
        print_object(answer)
