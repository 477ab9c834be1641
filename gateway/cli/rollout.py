"""`switchgear rollout`: how far rollouts are, what the evidence says, and what an operator does to them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gateway.cli.admin_client import AdminClient
from gateway.cli.admin_options import asks_gateway, json_option
from gateway.cli.admin_output import print_json, print_table

_LISTED = ("id", "kind", "state", "active", "shares", "since", "why")
_VERSIONS = ("version", "share", "calls", "errors", "error_rate", "first_token_s", "cost_usd", "scores")
_COMPARISONS = ("version", "against", "figure", "effect", "value", "interval", "calls", "evidence", "needed")
_HISTORY = ("at", "event", "share", "by", "why")

_why_option = click.option("--why", default="", help="A sentence for the history.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show rollouts and splits between versions, and steer them."""


@command.command("list")
@asks_gateway
@json_option
def list_(client: AdminClient, *, as_json: bool) -> None:
    """List the models with versions: which version has which share."""
    answer = client.ask("GET", "/admin/rollouts")
    if as_json:
        print_json(answer)
    else:
        print_table([_timed(one) for one in answer["data"]], _LISTED)


@command.command()
@click.argument("model")
@asks_gateway
@json_option
def show(client: AdminClient, *, model: str, as_json: bool) -> None:
    """Show what every version's calls were like, how they differ, and what happened to the rollout of MODEL."""
    _print(client.ask("GET", _path(model)), as_json=as_json)


@command.command()
@click.argument("model")
@_why_option
@asks_gateway
@json_option
def pause(client: AdminClient, *, model: str, why: str, as_json: bool) -> None:
    """Keep the shares of MODEL as they are: nothing is promoted or rolled back."""
    _steer(client, model, {"action": "pause", "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@_why_option
@asks_gateway
@json_option
def resume(client: AdminClient, *, model: str, why: str, as_json: bool) -> None:
    """Go on with the paused rollout of MODEL."""
    _steer(client, model, {"action": "resume", "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@_why_option
@asks_gateway
@json_option
def promote(client: AdminClient, *, model: str, why: str, as_json: bool) -> None:
    """Give the challenger all calls of MODEL now."""
    _steer(client, model, {"action": "promote", "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@_why_option
@asks_gateway
@json_option
def rollback(client: AdminClient, *, model: str, why: str, as_json: bool) -> None:
    """Give the stable version all calls of MODEL now."""
    _steer(client, model, {"action": "rollback", "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@_why_option
@asks_gateway
@json_option
def restart(client: AdminClient, *, model: str, why: str, as_json: bool) -> None:
    """Begin the rollout of MODEL anew, with the first step and no evidence."""
    _steer(client, model, {"action": "restart", "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@click.argument("percent", type=click.FloatRange(0, 100, min_open=True, max_open=True))
@_why_option
@asks_gateway
@json_option
def share(client: AdminClient, *, model: str, percent: float, why: str, as_json: bool) -> None:
    """Give the challenger PERCENT of the calls of MODEL; from there it goes on with the next larger step."""
    _steer(client, model, {"action": "share", "share": percent, "why": why}, as_json=as_json)


@command.command()
@click.argument("model")
@click.argument("version")
@_why_option
@asks_gateway
@json_option
def switch(client: AdminClient, *, model: str, version: str, why: str, as_json: bool) -> None:
    """Give VERSION all calls of MODEL (blue/green)."""
    path = f"/admin/models/{quote(model, safe='/')}/version"
    _print(client.ask("POST", path, body={"version": version, "why": why}), as_json=as_json)


def _path(model: str) -> str:
    return f"/admin/rollouts/{quote(model, safe='/')}"


def _steer(client: AdminClient, model: str, body: dict[str, Any], *, as_json: bool) -> None:
    _print(client.ask("POST", _path(model), body=body), as_json=as_json)


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    shares = ", ".join(f"{version} {share:.4g}" for version, share in answer["shares"].items())
    click.echo(f"{answer['id']}: {answer['kind']}, {answer['state']}; {shares}")
    if answer["versions"]:
        print_table([_version(one) for one in answer["versions"]], _VERSIONS)
    if answer["comparisons"]:
        print_table([_comparison(one) for one in answer["comparisons"]], _COMPARISONS)
    print_table([{**one, "share": _figure(one["share"])} for one in answer["history"]], _HISTORY)


def _timed(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "shares": {version: f"{share:.4g}" for version, share in one["shares"].items()}}


def _version(one: dict[str, Any]) -> dict[str, Any]:
    scores = {name.removeprefix("score:"): _estimate(told) for name, told in one.items() if name.startswith("score")}
    return {
        **one,
        "share": _figure(one["share"]),
        "error_rate": _estimate(one["error_rate"]),
        "first_token_s": _estimate(one.get("first_token")),
        "cost_usd": _estimate(one.get("cost")),
        "scores": scores,
    }


def _comparison(one: dict[str, Any]) -> dict[str, Any]:
    evidence, needed = one.get("evidence"), one.get("evidence_needed")
    return {
        **one,
        "value": _figure(one["value"]),
        "interval": _interval(one["interval"]),
        "calls": f"{one['calls']} and {one['calls_against']}",
        "evidence": None if evidence is None else _figure(evidence),
        "needed": None if needed is None else _figure(needed),
    }


def _estimate(told: dict[str, Any] | None) -> str:
    if told is None or told["value"] is None:
        return ""
    return f"{_figure(told['value'])} {_interval(told['interval'])}".rstrip()


def _interval(interval: list[float] | None) -> str:
    return "" if interval is None else f"({_figure(interval[0])} to {_figure(interval[1])})"


def _figure(value: float) -> str:
    return f"{value:.3g}"
