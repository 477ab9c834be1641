"""`switchgear batch`: the batches of all callers, and cancelling them."""

from __future__ import annotations

from typing import Any, get_args

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import TIMES, print_json, print_page, print_table, shown
from gateway.stores.batches import Status

_LISTED = ("id", "created_at", "status", "tenant", "key", "model", "total", "completed", "failed")
_SHOWN = ("status", "tenant", "key", "endpoint", "model", "created_at", "expires_at", "input_file_id", "output_file_id", "error_file_id", "request_counts", "usage")  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show and cancel batches of all callers."""


@command.command("list")
@click.option("--status", type=click.Choice(get_args(Status)), help="In this state alone.")
@click.option("--tenant", help="Of this tenant alone.")
@in_pages
@asks_gateway
@json_option
def show_list(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List batches, the newest first."""
    answer = client.ask("GET", "/admin/batches", query=given_only(query))
    print_page(answer, _LISTED, as_json=as_json, row=lambda one: {**one, **one["request_counts"]})


@command.command()
@click.argument("batch")
@asks_gateway
@json_option
def show(client: AdminClient, *, batch: str, as_json: bool) -> None:
    """Show one batch."""
    _print(client.ask("GET", f"/admin/batches/{batch}"), as_json=as_json)


@command.command()
@click.argument("batch")
@asks_gateway
@json_option
def cancel(client: AdminClient, *, batch: str, as_json: bool) -> None:
    """Cancel a batch: lines in flight get their answers, the others are not asked."""
    _print(client.ask("POST", f"/admin/batches/{batch}/cancel"), as_json=as_json)


def _print(batch: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(batch)
        return
    click.echo(batch["id"])
    faults = (batch["errors"] or {}).get("data", ())
    rows = [
        {"field": name, "value": _text(shown(name, batch[name]) if name in TIMES else batch[name])}
        for name in _SHOWN
        if batch[name] is not None
    ]
    print_table([*rows, *({"field": "error", "value": fault["message"]} for fault in faults)], ("field", "value"))


def _text(value: Any) -> str:
    return ", ".join(f"{name} {_text(each)}" for name, each in value.items()) if isinstance(value, dict) else str(value)
