"""What administrative commands take: which gateway, with which key, for programs or for people; and values with a form."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.options import GatewayUrl, config_option

KEY_VARIABLE = "SWITCHGEAR_ADMIN_KEY"
URL_VARIABLE = "SWITCHGEAR_URL"
NEVER = "never"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

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
    help="The gateway, for example http://127.0.0.1:8080; without it the one that runs where the configuration says.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the server gave it.")


def in_pages(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command that lists the options `--limit` and `--after`."""
    function = click.option("--after", help="`next` of the page before.")(function)
    limit = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
    return limit(function)


def asks_gateway(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which gateway it asks; it gets an AdminClient as its first argument."""

    @_key_option
    @_url_option
    @config_option
    @functools.wraps(function)
    def with_client(*, config: Path, url: str | None, admin_key: str | None, **given: Any) -> None:
        function(AdminClient(config=config, url=url, key=admin_key), **given)

    return with_client


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    """Read NAME=VALUE options into a mapping, one empty text into an empty one; None where none is given."""
    if not given:
        return None
    read: dict[str, str] = {}
    for text in given if given != ("",) else ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", ctx=ctx, param=param)
        if name in read:
            raise click.BadParameter(f"{name!r} is given twice.", ctx=ctx, param=param)
        read[name] = value
    return read


def listed(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str] | None:
    """Read an option that may be repeated, and may hold several values with commas between; None where none is given."""
    del ctx, param
    return [part for text in given for part in (piece.strip() for piece in text.split(",")) if part] if given else None


def given_only(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the fields that were named on the command line: the server decides what the others are."""
    return {name: value for name, value in fields.items() if value is not None}


class Duration(click.ParamType[float]):
    """A length of time: 45s, 15m, 12h, 30d, 2w, or seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give seconds."""
        if isinstance(value, int | float):
            return float(value)
        seconds = read_duration(value)
        if seconds is None:
            self.fail(f"{value!r} is no length of time such as 45s, 15m, 12h, 30d or 2w.", param, ctx)
        return seconds


class Expiry(click.ParamType[dict[str, float | None]]):
    """When something ends: after a length of time, at a date or time (UTC where it says nothing else), or never."""

    name = "when"

    def convert(
        self, value: str | dict[str, float | None], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float | None]:
        """Give the fields of a body."""
        if isinstance(value, dict):
            return value
        if value == NEVER:
            return {"expires_at": None}
        seconds = read_duration(value)
        if seconds is not None:
            return {"expires_in": seconds}
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is none of 30d, 2027-01-31, 2027-01-31T12:00:00Z and {NEVER}.", param, ctx)
        return {"expires_at": (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()}


def read_duration(text: str) -> float | None:
    """Give the seconds of 15m or 900, None for what is no length of time."""
    if found := _DURATION.fullmatch(text):
        return float(found.group(1)) * _UNITS[found.group(2)]
    # A long number is a date without its dashes.
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else None
