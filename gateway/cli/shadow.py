"""`switchgear shadow`: what another model would have answered, beside what was answered."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_page, print_table

_LISTED = ("id", "at", "model", "shadow_model", "same", "similarity", "took", "shadow_took", "cost", "shadow_cost", "error", "shadow_error")  # fmt: skip
_SUMMED = ("model", "shadow_model", "calls", "errors", "shadow_errors", "duration_ratio", "first_token_ratio", "cost_ratio", "same_share", "similarity")  # fmt: skip
_SIDE = ("target", "error", "finish_reason", "duration", "first_token", "input_tokens", "output_tokens", "cost")

_since = click.option("--since", help="2026-11-01, 2026-11-01T08:00:00Z, or seconds since 1970 (UTC).")
_until = click.option("--until", help="As --since: up to then.")
_model = click.option("--model", help="The model that is copied.")
_tenant = click.option("--tenant", help="Of this tenant alone.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show what shadows answered, beside what their models answered."""


@command.command("list")
@_model
@_since
@_until
@_tenant
@in_pages
@asks_gateway
@json_option
def show_list(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List comparisons, the newest first."""
    answer = client.ask("GET", "/admin/shadows", query=given_only(query))
    print_page(answer, _LISTED, as_json=as_json, row=_row)


@command.command()
@click.argument("shadow")
@asks_gateway
@json_option
def show(client: AdminClient, *, shadow: str, as_json: bool) -> None:
    """Show both answers of one comparison."""
    answer = client.ask("GET", f"/admin/shadows/{shadow}")
    if as_json:
        print_json(answer)
        return
    sides = (("original", answer["model"]), ("shadow", answer["shadow_model"]))
    click.echo(f"{answer['call']}: {answer['operation']}, same: {answer['same']}")
    print_table(
        [{"side": name, "model": model, **_short(answer[name])} for name, model in sides], ("side", "model", *_SIDE)
    )
    for name, _ in sides:
        click.echo(f"\n{name}:{' (withheld)' if answer[name]['withheld'] else ' (cut)' if answer[name]['cut'] else ''}")
        click.echo(_content(answer[name]["content"]))


@command.command()
@_model
@_since
@_until
@_tenant
@asks_gateway
@json_option
def summary(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """Sum up: errors, latency, cost, and how often both said the same."""
    answer = client.ask("GET", "/admin/shadows/summary", query=given_only(query))
    if as_json:
        print_json(answer)
        return
    rows = [
        {
            **one,
            "errors": one["original"]["errors"],
            "shadow_errors": one["shadow"]["errors"],
            **{f"{name}_ratio": value for name, value in one["ratios"].items()},
        }
        for one in answer["data"]
    ]
    print_table(rows, _SUMMED)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    original, shadow = one["original"], one["shadow"]
    return {
        **one,
        "took": round(original["duration"], 3),
        "shadow_took": round(shadow["duration"], 3),
        "cost": original["cost"],
        "shadow_cost": shadow["cost"],
        "error": original["error"],
        "shadow_error": shadow["error"],
    }


def _short(side: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in side.items()}


def _content(content: dict[str, Any] | None) -> str:
    if content is None:
        return "-"
    if set(content) == {"text"}:
        # A model's words may hold what drives a terminal.
        return "".join(
            char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in content["text"]
        )
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
