"""`switchgear incidents`: what triggers were sent, what became of it, and a run for one that was left over."""

from __future__ import annotations

from typing import Any, get_args

import click
import msgspec

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_page, print_table
from gateway.cli.screen import one_line
from gateway.stores.incidents import IncidentState

_LISTED = ("id", "trigger", "title", "state", "held", "firing", "alerts", "runs", "run_phase", "updated_at")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List and show incidents, and start a run for one."""


@command.command("list")
@click.option("--trigger", help="Of this trigger alone.")
@click.option("--state", type=click.Choice(get_args(IncidentState)), help="In this state alone.")
@click.option("--storm", help="Left over in this storm alone.")
@click.option("--tenant", help="Of this tenant alone.")
@in_pages
@asks_gateway
@json_option
def list_(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List incidents, the newest first."""
    print_page(client.ask("GET", "/admin/incidents", query=given_only(query)), _LISTED, as_json=as_json)


@command.command()
@click.argument("incident")
@asks_gateway
@json_option
def show(client: AdminClient, *, incident: str, as_json: bool) -> None:
    """Show one incident with its timeline."""
    answer = client.ask("GET", object_path("incidents", incident))
    if as_json:
        print_json(answer)
        return
    click.echo(one_line(f"{answer['id']} {answer['title']}: {answer['state']}, {answer['runs']} runs"))
    print_table([_moment(one) for one in answer["timeline"]], ("at", "what", "run", "more"))


@command.command()
@click.argument("incident")
@asks_gateway
@json_option
def start(client: AdminClient, *, incident: str, as_json: bool) -> None:
    """Have a run begin for an incident that was left over in a storm, or is held."""
    answer = client.ask("POST", object_path("incidents", incident, "start"))
    print_json(answer) if as_json else click.echo(f"{answer['id']} {answer['state']}")


def _moment(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "what": one["name"], "more": msgspec.json.encode(one["body"]).decode()}
