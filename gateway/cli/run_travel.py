"""`switchgear run fork`: runs that are made from other runs."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, json_option
from gateway.cli.admin_output import print_json


@click.command()
@click.argument("run")
@click.option(
    "--at",
    type=click.IntRange(0),
    metavar="STEP",
    help="After this step, with all that came of it; 0 is after the input.",
)
@click.option("--after", type=click.IntRange(0), metavar="EVENT", help="After the event with this number.")
@click.option("--model", help="Ask this model from there on.")
@click.option("--input", "text", metavar="TEXT", help="What you say there.")
@asks_gateway
@json_option
def fork(client: AdminClient, *, run: str, as_json: bool, text: str | None, **given: Any) -> None:
    """Make a new run that goes on live from a place in RUN, in your name; it has what RUN had until then."""
    if (given["at"] is None) == (given["after"] is None):
        msg = "Say where: either --at STEP or --after EVENT."
        raise click.UsageError(msg)
    made = client.ask("POST", object_path("runs", run, "fork"), body=given_only({**given, "input": text}))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['id']}: forked from {made['forked_from']}, {made['status']}")
