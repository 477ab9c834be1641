"""`switchgear tools`: the servers of tools, what they offer, and accepting what is new or has changed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gateway.cli.admin_client import AdminClient, fail, object_path
from gateway.cli.admin_options import asks_gateway, given_only, json_option
from gateway.cli.admin_output import print_json, print_table
from gateway.cli.screen import one_line

_SERVERS = ("id", "kind", "state", "tools", "quarantined", "missing", "misfits", "restarts", "reason")
_TOOLS = ("name", "state", "effect", "definition", "accepted", "why")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show servers of tools, and accept what they changed."""


@command.command("list")
@asks_gateway
@json_option
def list_(client: AdminClient, *, as_json: bool) -> None:
    """List the servers: how each is, and how many tools may be called, wait, are missing, or do not fit a policy."""
    answer = client.ask("GET", "/admin/tools")
    if as_json:
        print_json(answer)
        return
    counted = ("tools", "quarantined", "missing", "misfits")
    print_table([{**one, **{name: len(one[name]) for name in counted}} for one in answer["data"]], _SERVERS)


@command.command()
@click.argument("name", metavar="SERVER[/TOOL]")
@asks_gateway
@json_option
def show(client: AdminClient, *, name: str, as_json: bool) -> None:
    """Show the tools of a server, or one of them with all that the server says of it."""
    server, _, tool = name.partition("/")
    answer = client.ask("GET", object_path("tools", server))
    if not tool:
        if as_json:
            print_json(answer)
        else:
            print_table([_row(one) for one in answer["tools"]], _TOOLS)
        return
    found = _found(answer, tool)
    print_json(found) if as_json else _print(found)


@command.command()
@click.argument("name", metavar="SERVER/TOOL")
@click.option("--definition", help="The hash that was looked at; without it, the one that the server lists now.")
@click.option("--why", default="", help="A sentence for the audit log.")
@asks_gateway
@json_option
def accept(client: AdminClient, *, name: str, definition: str | None, why: str, as_json: bool) -> None:
    """Let a tool be called as its server defines it now. Look at it first: `switchgear tools show SERVER/TOOL`."""
    server, _, tool = name.partition("/")
    if not tool:
        fail("Name the server and the tool: SERVER/TOOL.")
    if definition is None:
        definition = _found(client.ask("GET", object_path("tools", server)), tool)["definition"]
    path = f"{object_path('tools', server)}/{tool}/accept"
    answer = client.ask("POST", path, body={"definition": definition, "why": why})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['id']}: {answer['state']}, {answer['definition']}")


@command.command()
@click.argument("server")
@click.option("--forget", is_flag=True, help="Revoke what was authorized, and forget it.")
@click.option("--tenant", help="With --forget: of this tenant's person, not the operator's.")
@click.option("--person", help="With --forget: of this person, as /admin/tools/{server}/authorize names him.")
@asks_gateway
@json_option
def authorize(
    client: AdminClient, *, server: str, forget: bool, tenant: str | None, person: str | None, as_json: bool
) -> None:
    """Authorize the gateway at a server of tools: prints where to go with your browser. Give that address to nobody else."""
    if not forget and (tenant or person):
        fail("People connect their accounts themselves: switchgear tools connect.")
    whose = given_only({"tenant": tenant, "person": person})
    answer = client.ask("DELETE" if forget else "POST", object_path("tools", server, "authorize"), query=whose)
    if as_json:
        print_json(answer)
    elif forget:
        click.echo(f"{server}: {person or 'the gateway'} is not authorized any more")
    else:
        click.echo(
            f"Go to\n\n{one_line(answer['url'])}\n\nwithin ten minutes. `switchgear tools list` shows whether it went well."
        )


@command.command()
@click.argument("server")
@click.option("--forget", is_flag=True, help="Revoke your account's tokens, and forget them.")
@asks_gateway
@json_option
def connect(client: AdminClient, *, server: str, forget: bool, as_json: bool) -> None:
    """Connect a server of tools with an account of your own; needs your own key. Give the address that it prints to nobody else."""
    answer = client.ask("DELETE" if forget else "POST", f"/v1/tools/{quote(server, safe='')}/authorize")
    if as_json:
        print_json(answer)
    elif forget:
        click.echo(f"{server}: your account is not connected any more")
    else:
        click.echo(f"Go to\n\n{one_line(answer['url'])}\n\nwithin ten minutes.")


def _found(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found = next((one for one in answer["tools"] if one["name"] == name), None)
    if found is None:
        fail(f"The server {answer['id']} has no such tool on its allow-list.")
    return dict(found)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    accepted = one["accepted"]
    return {
        **one,
        "definition": (one["definition"] or "")[:12],
        "accepted": "" if accepted is None else f"by {accepted['by']}",
        "why": "; ".join([*filter(None, [one["why"]]), *one["misfits"]]),
    }


def _print(one: dict[str, Any]) -> None:
    click.echo(f"{one['id']}: {one['state']}{': ' + one['why'] if one['why'] else ''}")
    for misfit in one["misfits"]:
        click.echo(one_line(misfit))
    click.echo(f"definition {one['definition']}")
    accepted = one["accepted"]
    before = (accepted or {}).get("says") or {}
    for name, value in (one["says"] or {}).items():
        click.echo(f"  {name}: {one_line(str(value))}")
        if before and before.get(name) != value:
            click.echo(f"    accepted was: {one_line(str(before.get(name)))}")
    if accepted is not None:
        click.echo(f"accepted {accepted['definition']} by {accepted['by']}")
