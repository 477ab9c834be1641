"""What every administrative command takes: which gateway, with which key, for programs or for people."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.options import GatewayUrl, config_option

KEY_VARIABLE = "SWITCHGEAR_ADMIN_KEY"
URL_VARIABLE = "SWITCHGEAR_URL"

_key_option = click.option(
    "--key",
    "admin_key",
    envvar=KEY_VARIABLE,
    show_envvar=True,
    help="The key to administer with. A variable is better: others on this machine can read a command line.",
)
_url_option = click.option(
    "--url",
    type=GatewayUrl(),
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="The gateway, for example http://127.0.0.1:8080.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the server gave it.")


def asks_gateway(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which gateway it asks; it gets an AdminClient as its first argument."""

    @_key_option
    @_url_option
    @config_option
    @functools.wraps(function)
    def with_client(*, config: Path, url: str | None, admin_key: str | None, **given: Any) -> None:
        function(AdminClient(config=config, url=url, key=admin_key), **given)

    return with_client


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE options into a mapping; a usage error for what has no `=` or comes twice."""
    read: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", ctx=ctx, param=param)
        if name in read:
            raise click.BadParameter(f"{name!r} is given twice.", ctx=ctx, param=param)
        read[name] = value
    return read


def listed(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """Read an option that may be repeated, and may hold several values with commas between them."""
    del ctx, param
    return [part for text in given for part in (piece.strip() for piece in text.split(",")) if part]


def given_only(**fields: Any) -> dict[str, Any]:
    """Give the fields that were named on the command line: the server decides what the others are."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, ())}
