"""`switchgear budget`: limits that are made while the server runs."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.admin_nouns import Noun, list_option, noun_group, text_option


def _matches(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, list[str]] | None:
    """Read NAME=VALUE,VALUE options."""
    read: dict[str, list[str]] = {}
    for text in given:
        name, sign, values = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE,VALUE.", ctx=ctx, param=param)
        read.setdefault(name, []).extend(value.strip() for value in values.split(","))
    return read or None


def _shares(ctx: click.Context, param: click.Parameter, given: tuple[float, ...]) -> list[float] | None:
    del ctx, param
    return list(given) or None


def _option(name: str, text: str, **more: Any) -> click.Option:
    return click.Option([name], help=text, **more)


_AMOUNT = "How much, in the unit of --count; dollars for cost."
_CHANGEABLE = (
    click.Option(
        ["--soft"], type=click.FloatRange(0, 1, min_open=True), multiple=True, callback=_shares,
        help="A share of the limit at which an alert goes out: 0.8. Repeat it for more.",
    ),
    click.Option(["--hard/--count-only"], default=None, help="Whether calls beyond it are refused, or only counted."),
)  # fmt: skip

_BUDGET = Noun(
    family="budgets",
    word="budget",
    columns=("id", "tenant", "name", "count", "limit", "window", "window_kind", "per", "match", "hard"),
    create=(
        _option("--limit", _AMOUNT, required=True),
        _option(
            "--count",
            "What is counted; cost without it.",
            type=click.Choice(["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]),
        ),
        text_option("--tenant", "Whose calls count; '' is everybody's. Without it those of your key's tenant."),
        list_option("--per", "per", "A counter for each: tenant, team, user, key, model, tag:NAME."),
        click.Option(
            ["--match"], multiple=True, callback=_matches, metavar="NAME=VALUES", help="Which calls count: model=gpt-*."
        ),
        _option("--window", "minute, hour, day, month (without it), or a length such as 15m."),
        _option(
            "--window-kind", "Begins with the calendar, or looks back.", type=click.Choice(["calendar", "rolling"])
        ),
        _option("--time-zone", "Where a day begins, such as Europe/Berlin."),
        *_CHANGEABLE,
    ),
    update=(text_option("--name", "The new name."), _option("--limit", _AMOUNT), *_CHANGEABLE),
    filters=(text_option("--tenant", "Only those of this tenant."),),
)

command = noun_group(_BUDGET, "Administer budgets.")
