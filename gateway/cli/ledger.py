"""`switchgear ledger`: bills written from it, invoices compared with it, and rows deleted from it."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.accounting.invoice import InvoiceColumns, InvoiceLine, InvoiceUnreadable, read_invoice
from gateway.accounting.reconcile import Difference, Reconciliation, differing, reconcile
from gateway.cli.admin_client import AdminClient, fail
from gateway.cli.admin_options import asks_gateway, given_only, json_option, listed, pairs
from gateway.cli.admin_output import print_json, print_table, require_new, write_new
from gateway.stores.ledger import MOST_GROUPS, UsageRow

NANO = 1_000_000_000


@click.group(no_args_is_help=True)
def command() -> None:
    """Write bills from the ledger, compare invoices with it, and delete rows from it."""


@command.command("chargeback")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--month", help="2026-11; without it the last one that is over.")
@click.option(
    "--by",
    multiple=True,
    callback=listed,
    help="What to divide each tenant by: team (without it), user, key, agent, model, provider, tag:NAME.",
)
@click.option("--zone", help="Where a month begins, such as Europe/Berlin; UTC without it.")
@click.option("--tenant", help="Only this tenant.")
@asks_gateway
@json_option
def bill(client: AdminClient, *, file: Path | None, by: list[str] | None, as_json: bool, **which: Any) -> None:
    """Write what a month cost, by tenant and team, as CSV to FILE, which must be new, or to standard output."""
    require_new(file)
    query = {**which, "by": None if by is None else ",".join(by), "format": "json" if as_json else "csv"}
    write_new(file, client.fetch("GET", "/admin/chargeback", query=query).body)


@command.command("reconcile")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--provider", required=True, help="The provider that sent the invoice, as the configuration names it.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=pairs,
    metavar="WHAT=NAME",
    help="What the invoice calls a column: date=, model=, input=, output=, cost=; nothing after = is a column that it lacks.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=pairs,
    metavar="INVOICE=LEDGER",
    help="What the ledger calls a model of the invoice.",
)
@click.option("--zone", default="UTC", show_default=True, help="Where the invoice's days begin.")
@click.option("--tenant", help="Only this tenant's calls.")
@asks_gateway
@json_option
def compare(
    client: AdminClient,
    *,
    file: Path,
    provider: str,
    columns: dict[str, str] | None,
    models: dict[str, str] | None,
    zone: str,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Compare the invoice FILE, CSV or JSON, with the ledger, by day and model; exits 1 where they differ.

    The days are those of the invoice. The differences are listed, the largest first, with the calls that could explain them.
    """
    invoice = _read(file, columns or {})
    first, last = min(line.day for line in invoice), max(line.day for line in invoice)
    query = {
        "by": "day,served",
        "provider": provider,
        "tenant": tenant,
        "zone": zone,
        "since": first,
        "until": (dt.date.fromisoformat(last) + dt.timedelta(days=1)).isoformat(),
        "limit": MOST_GROUPS,
    }
    used = [_usage_row(row) for row in client.ask("GET", "/admin/usage", query=query)["data"]]
    found = reconcile(invoice, used, names=models or {})
    if as_json:
        print_json({**msgspec.to_builtins(found), "agrees": found.agrees})
    else:
        _print(found)
    sys.exit(0 if found.agrees else 1)


@command.command("delete")
@click.option("--tenant", help="Rows of this tenant.")
@click.option("--user", help="Rows of this user.")
@click.option("--before", help="Rows from before then: 2026-01-01.")
@click.option("--older-than-days", type=click.FloatRange(0), help="Rows that are older.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@asks_gateway
@json_option
def delete(client: AdminClient, *, dry_run: bool, as_json: bool, **which: Any) -> None:
    """Delete the rows that fit all that is named. It cannot be undone."""
    named = given_only(which)
    if not named:
        msg = "Name what is to be deleted: --tenant, --user, --before or --older-than-days."
        raise click.UsageError(msg)
    answer = client.ask("POST", "/admin/retention", body={**named, "dry_run": dry_run})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['rows']} rows {'fit; none was deleted' if dry_run else 'deleted'}.")


def _read(file: Path, columns: dict[str, str]) -> tuple[InvoiceLine, ...]:
    known = InvoiceColumns.__struct_fields__
    if strange := [name for name in columns if name not in known]:
        raise click.BadParameter(f"{strange[0]!r} is none of {', '.join(known)}.", param_hint="--column")
    try:
        # As it is: a line break may be a part of a cell. Spreadsheets begin UTF-8 with a mark.
        text = file.read_bytes().decode("utf-8-sig")
        invoice = read_invoice(text, InvoiceColumns(**columns))
    except (InvoiceUnreadable, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")
    if not invoice:
        fail(f"{file}: the invoice has no lines.")
    return invoice


def _usage_row(row: dict[str, Any]) -> UsageRow:
    """Give a row of the answer as the ledger has it; costs are exact."""
    sums = {name: row[name] for name in UsageRow.__struct_fields__ if name not in ("group", "cost_nano")}
    return UsageRow(group=(row["day"], row["served"]), cost_nano=int(Decimal(row["cost"]) * NANO), **sums)


def _print(found: Reconciliation) -> None:
    rows = [_shown(line) for line in differing(found)]
    if rows:
        print_table(rows, tuple(rows[0]))
    agreeing = len(found.lines) - len(rows)
    click.echo(
        f"{agreeing} of {len(found.lines)} lines agree; invoiced {_money(found.invoiced_nano)}, ledger {_money(found.ledger_nano)}"
    )


def _shown(line: Difference) -> dict[str, Any]:
    return {
        "day": line.day,
        "model": line.model,
        "verdict": line.verdict.replace("_", " "),
        "invoiced": _money(line.invoiced_nano),
        "ledger": _money(line.ledger_nano),
        "input": f"{_figure(line.invoiced_input)} / {_figure(line.ledger_input)}",
        "output": f"{_figure(line.invoiced_output)} / {_figure(line.ledger_output)}",
        "unpriced": line.unpriced,
        "estimated": line.estimated,
    }


def _money(nano: int | None) -> str:
    return "-" if nano is None else f"${Decimal(nano) / NANO:f}"


def _figure(tokens: int | None) -> str:
    return "-" if tokens is None else str(tokens)
