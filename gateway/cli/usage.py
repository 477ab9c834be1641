"""`switchgear usage`: what was used, by whom, and what it cost."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_options import asks_gateway, json_option, listed
from gateway.cli.admin_output import print_json, print_table

_FILTERS = ("tenant", "team", "user", "key", "model", "provider", "served", "agent", "operation", "error")
_FIGURES = ("calls", "errors", "input", "output", "reasoning", "cost", "unpriced")


def _filters(function: Any) -> Any:
    for name in reversed(_FILTERS):
        # --key is the key that asks.
        option = "--of-key" if name == "key" else f"--{name}"
        function = click.option(option, name, help=f"Only this {name}; several with commas between.")(function)
    return function


@click.command()
@click.option(
    "--by",
    multiple=True,
    callback=listed,
    help="What to divide by: tenant, team, user, key, agent, model, provider, tag:NAME, and one of hour, day, month.",
)
@_filters
@click.option("--tag", help="Only calls with this tag: NAME:VALUE.")
@click.option("--since", help="From then on: 2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970.")
@click.option("--until", help="Until before then.")
@click.option("--zone", help="Where a day begins, such as Europe/Berlin; UTC without it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@asks_gateway
@json_option
def command(client: AdminClient, *, by: list[str] | None, as_csv: bool, as_json: bool, **filters: Any) -> None:
    """Sum the ledger: calls, tokens and cost, divided as you say."""
    query = {"by": ",".join(by or []), **filters}
    if as_csv:
        click.echo(client.fetch("GET", "/admin/usage", query={**query, "format": "csv"}).body, nl=False)
        return
    answer = client.ask("GET", "/admin/usage", query={**query, "format": "json"})
    if as_json:
        print_json(answer)
        return
    rows = answer["data"]
    if len(rows) > 1:
        rows = [*rows, {answer["by"][0]: "(total)", **answer["total"]}]
    print_table(rows, (*answer["by"], *_FIGURES))
