"""`switchgear triggers`: what starts runs without a person asking: how each does, what one would tell its agent, and firing it."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.admin_client import AdminClient, fail, object_path
from gateway.cli.admin_options import asks_gateway, json_option
from gateway.cli.admin_output import print_json, print_table
from gateway.cli.faults import fail as fail_with_faults
from gateway.cli.options import config_option
from gateway.cli.screen import one_line
from gateway.config import ConfigError, peek, read_environment
from gateway.config.trigger_settings import AlertmanagerTriggerSettings, ScheduleTriggerSettings
from gateway.core.errors import InvalidRequest
from gateway.triggers.payloads import EventDelivery, read_event, read_group
from gateway.triggers.rehearsal import rehearse

_LISTED = (
    "id",
    "kind",
    "agent",
    "tenant",
    "state",
    "last",
    "outcome",
    "open",
    "running",
    "waiting",
    "flapping",
    "left_over",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show, try and fire what starts runs without a person asking."""


@command.command("list")
@asks_gateway
@json_option
def list_(client: AdminClient, *, as_json: bool) -> None:
    """List the triggers: how each is, what came last, and what is open, running, held and left over."""
    answer = client.ask("GET", "/admin/triggers")
    if as_json:
        print_json(answer)
        return
    print_table([_row(one) for one in answer["data"]], _LISTED)


@command.command()
@click.argument("trigger")
@asks_gateway
@json_option
def show(client: AdminClient, *, trigger: str, as_json: bool) -> None:
    """Show one trigger."""
    del as_json  # there is no other form that says all of it
    print_json(client.ask("GET", object_path("triggers", trigger)))


@command.command()
@click.argument("trigger")
@click.argument("payload", type=click.File("rb"), required=False)
@asks_gateway
@json_option
def fire(client: AdminClient, *, trigger: str, payload: Any, as_json: bool) -> None:
    """Fire a trigger with what is in the file PAYLOAD (- is standard input), as its sender would; a schedule needs none."""
    body: dict[str, Any] = {}
    if payload is not None:
        try:
            body["payload"] = msgspec.json.decode(payload.read(), type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            fail(f"The payload is no JSON object: {error}")
    answer = client.ask("POST", object_path("triggers", trigger, "fire"), body=body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['outcome']} {answer['incident'] or ''}".rstrip())


@command.command()
@click.argument("trigger")
@click.argument("payload", type=click.File("rb"), required=False)
@config_option
def test(trigger: str, payload: Any, config: Path) -> None:
    """Show what the agent would be told of the file PAYLOAD. Nothing is asked and nothing begins."""
    try:
        found = peek(config, read_environment()).triggers
    except ConfigError as error:
        fail_with_faults(error)
    if trigger not in found:
        fail(f"No trigger is named {trigger!r} (known: {', '.join(found) or 'none'}).")
    settings = found[trigger]
    try:
        if isinstance(settings, ScheduleTriggerSettings):
            delivery: Any = EventDelivery(key="", title="", dedupe="", shown={})
        elif payload is None:
            fail("Name the file with what the trigger would be sent.")
        elif isinstance(settings, AlertmanagerTriggerSettings):
            delivery = read_group(payload.read(), settings)
        else:
            delivery = read_event(payload.read(), settings, "rehearsal")
    except InvalidRequest as error:
        fail(error.message)
    telling = rehearse(trigger, settings, delivery)
    if telling is None:
        click.echo("No run would begin: nothing in it fires.")
        sys.exit(0)
    for place, item in enumerate(telling.items):
        text = item["content"][0]["text"] if isinstance(item, dict) else ""
        click.echo(f"--- {telling.labels[place].integrity}")
        # Text of strangers must not drive the terminal.
        click.echo("\n".join(one_line(line) for line in str(text).split("\n")))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    last = one["last_delivery"] or {}
    return {**one, **one["incidents"], "last": _when(last), "outcome": last.get("outcome", "")}


def _when(last: dict[str, Any]) -> str:
    return "" if not last else dt.datetime.fromtimestamp(last["at"], dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
