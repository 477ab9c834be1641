"""`switchgear run`: what runs did and do, an end to them, and others made from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import click
import msgspec

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_object, print_page, print_table
from gateway.cli.run_travel import fork, replay
from gateway.cli.screen import one_line
from gateway.notices.approval_view import visible
from gateway.stores.runs import RunStatus

_LISTED = ("id", "created_at", "status", "made_by", "tenant", "agent", "model", "steps", "tool_calls", "cost")
_SHOWN = (
    "id", "status", "tenant", "user", "key", "agent", "version", "model", "created_at", "started_at", "previous", "continues",
    "parent", "conversation", "forked_from", "replay_of", "lineage", "events", "spent", "limits", "takeovers",
)  # fmt: skip
_CALLS = ("id", "tool", "decision", "state", "attempts", "effect", "approval", "error")
_CHILDREN = ("id", "parent_call", "agent", "status", "steps", "tool_calls", "cost")
_SHOWN_OF_DATA = 160


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show and watch runs, end them, and make others from them."""


@command.command("list")
@click.option("--status", type=click.Choice(get_args(RunStatus)), help="In this state alone.")
@click.option("--agent", help="Of this agent alone.")
@click.option("--tenant", help="Of this tenant alone.")
@in_pages
@asks_gateway
@json_option
def show_list(client: AdminClient, *, as_json: bool, **query: Any) -> None:
    """List runs, the newest first."""
    answer = client.ask("GET", "/admin/runs", query=given_only(query))
    print_page(answer, _LISTED, as_json=as_json, row=_row)


@command.command()
@click.argument("run")
@asks_gateway
@json_option
def show(client: AdminClient, *, run: str, as_json: bool) -> None:
    """Show one run: what it was asked, what it did, and what it waits for."""
    found = client.ask("GET", object_path("runs", run))
    if as_json:
        print_json(found)
        return
    print_object({name: found[name] for name in _SHOWN if found[name] not in (None, {})})
    for item in found["items"]:
        kind = item["body"].get("type", "message")
        text = visible(msgspec.json.encode(item["body"]).decode())
        click.echo(f"{item['place']:>6} {kind}: {_cut(text)}")
    if found["calls"]:
        print_table([{**call, "tool": f"{call['server']}/{call['tool']}"} for call in found["calls"]], _CALLS)
    for approval in found["approvals"]:
        click.echo(f"approval {approval['id']}: {approval['state']} ({approval['server']}/{approval['tool']})")
    if found["children"]:
        print_table([_row(child) for child in found["children"]], _CHILDREN)


@command.command()
@click.argument("run")
@click.option("--after", type=click.IntRange(-1), default=-1, help="Only events after the one with this number.")
@asks_gateway
@json_option
def events(client: AdminClient, *, run: str, after: int, as_json: bool) -> None:
    """Follow the events of a run until it ends or waits for people; --json prints one event a line."""
    path = object_path("runs", run, "events")
    for data in _events(client.lines(path, query={"starting_after": after})):
        if as_json:
            click.echo(data)
            continue
        event = msgspec.json.decode(data)
        rest = {name: value for name, value in event.items() if name not in ("type", "sequence_number")}
        text = visible(msgspec.json.encode(rest).decode())
        click.echo(f"{event['sequence_number']:>5} {one_line(event['type'])}: {_cut(text)}")


@command.command()
@click.argument("run")
@asks_gateway
@json_option
def cancel(client: AdminClient, *, run: str, as_json: bool) -> None:
    """End a run, whoever waits for it; what it asks people is cancelled with it."""
    ended = client.ask("POST", object_path("runs", run, "cancel"))
    if as_json:
        print_json(ended)
    else:
        click.echo(f"{ended['id']}: {ended['status']}")


command.add_command(fork)
command.add_command(replay)


def _events(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("data: "):
            yield line[6:]


def _cut(text: str) -> str:
    return one_line(text if len(text) <= _SHOWN_OF_DATA else f"{text[:_SHOWN_OF_DATA]}…")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    spent = one["spent"]
    made_by = "fork" if one["forked_from"] else "replay" if one["replay_of"] else ""
    return {
        **one,
        "made_by": made_by,
        "steps": spent["steps"],
        "tool_calls": spent["tool_calls"],
        "cost": f"{spent['nano'] / 1e9:.6f}",
    }
