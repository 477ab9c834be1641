"""The commands that every noun of the admin API has: create, list, show, update, delete. A noun says what its fields are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec

from gateway.cli.admin_client import AdminClient, object_path
from gateway.cli.admin_options import asks_gateway, given_only, json_option, listed, pairs
from gateway.cli.admin_output import print_json, print_object, print_table

_PAGE = 500


class Noun(msgspec.Struct, frozen=True, kw_only=True):
    """What is administered. `family` is its part of the path, `word` what people call it.

    The parameters are those of the commands besides which gateway is asked; an option's name is the field that it sets, and
    a value that is a mapping sets the fields in it. `columns` are those of the list.
    """

    family: str
    word: str
    columns: tuple[str, ...]
    create: tuple[click.Parameter, ...]
    update: tuple[click.Parameter, ...]
    filters: tuple[click.Parameter, ...] = ()

    @property
    def path(self) -> str:
        """The path of all of them."""
        return f"/admin/{self.family}"


def noun_group(noun: Noun, text: str) -> click.Group:
    """Give the group of a noun's commands; `text` is its help."""
    group = click.Group(name=noun.word.replace(" ", "-"), help=text, no_args_is_help=True)
    name = click.Argument(["name"])
    which = click.Argument(["identifier"], metavar="ID")
    group.add_command(_command("create", f"Make a {noun.word}.", _creating(noun), (name, *noun.create)))
    group.add_command(
        _command("list", f"List {noun.word}s, the oldest first.", _listing(noun), (*noun.filters, _LIMIT))
    )
    group.add_command(_command("show", f"Show a {noun.word}.", _showing(noun), (which,)))
    group.add_command(_command("update", f"Change a {noun.word}.", _updating(noun), (which, *noun.update)))
    group.add_command(_command("delete", f"Delete a {noun.word}.", _deleting(noun), (which,)))
    return group


_LIMIT = click.Option(["--limit"], type=click.IntRange(1), default=1000, show_default=True, help="The most to list.")


def text_option(name: str, text: str, **more: Any) -> click.Option:
    """Give an option with a text."""
    return click.Option([name], help=text, **more)


def list_option(name: str, field: str, text: str) -> click.Option:
    """Give an option that may be repeated, with commas too."""
    return click.Option([name, field], multiple=True, callback=listed, help=text)


def pairs_option(name: str, field: str, text: str) -> click.Option:
    """Give an option NAME=VALUE that may be repeated."""
    return click.Option([name, field], multiple=True, callback=pairs, metavar="NAME=VALUE", help=text)


TENANT = click.Option(["--tenant"], help="The tenant's id; without it that of your key.")


def _command(name: str, text: str, callback: Callable[..., None], params: tuple[click.Parameter, ...]) -> click.Command:
    """Make a command with parameters that are data; the shared options come after them."""
    command = click.command(name, help=text)(json_option(asks_gateway(callback)))
    command.params = [*params, *command.params]
    return command


def _creating(noun: Noun) -> Callable[..., None]:
    def create(client: AdminClient, *, as_json: bool, **fields: Any) -> None:
        print_made(client.ask("POST", noun.path, body=spread(fields)), as_json=as_json)

    return create


def _listing(noun: Noun) -> Callable[..., None]:
    def show_all(client: AdminClient, *, as_json: bool, limit: int, **filters: Any) -> None:
        found = fetch_list(client, noun.path, given_only(filters), limit)
        if as_json:
            print_json(found)
        else:
            print_table(found, noun.columns)

    return show_all


def _showing(noun: Noun) -> Callable[..., None]:
    def show(client: AdminClient, *, as_json: bool, identifier: str) -> None:
        print_made(client.ask("GET", object_path(noun.family, identifier)), as_json=as_json)

    return show


def _updating(noun: Noun) -> Callable[..., None]:
    def update(client: AdminClient, *, as_json: bool, identifier: str, **fields: Any) -> None:
        changes = spread(fields)
        if not changes:
            msg = "Say what is to change: `--help` lists the options."
            raise click.UsageError(msg)
        print_made(client.ask("PATCH", object_path(noun.family, identifier), body=changes), as_json=as_json)

    return update


def _deleting(noun: Noun) -> Callable[..., None]:
    def delete(client: AdminClient, *, as_json: bool, identifier: str) -> None:
        answer = client.ask("DELETE", object_path(noun.family, identifier))
        if as_json:
            print_json(answer)
        else:
            click.echo(f"Deleted {noun.word} {answer['id']}.")

    return delete


def spread(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the body of what was named; `expires` becomes the fields that it stands for."""
    body = given_only(fields)
    body |= body.pop("expires", {})
    return body


def fetch_list(client: AdminClient, path: str, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Give up to `limit` entries of a list, page by page."""
    found: list[dict[str, Any]] = []
    after: Any = None
    while True:
        page = client.ask("GET", path, query={**query, "limit": min(_PAGE - 1, limit - len(found)), "after": after})
        found += page["data"]
        after = page["next"]
        if after is None or len(found) >= limit:
            return found


def print_made(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print an object; the key that is shown only once stands by itself."""
    if as_json:
        print_json(answer)
        return
    key = answer.pop("key", None)
    print_object(answer)
    if key is not None:
        click.echo(f"\n{key}\n")
        click.echo("This key is shown only now: keep it where it is safe.", err=True)
