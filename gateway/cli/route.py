"""`switchgear route`: where a call would go or went, and why, and how the targets are doing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import msgspec

from gateway.cli.admin_client import AdminClient, fail
from gateway.cli.admin_options import asks_gateway, json_option
from gateway.cli.admin_output import print_json, print_table
from gateway.cli.screen import one_line

_EXPLAINED = ("target", "verdict", "score", "breaker", "in_flight", "first_token_s", "cost_usd", "why")
_CONSIDERED = ("target", "verdict", "score", "why")
_BESIDE = ("target", "why", "input", "output", "cost")
_TARGETS = (
    "id",
    "state",
    "breaker",
    "spared_s",
    "fault_share",
    "in_flight",
    "first_token_s",
    "served",
    "failed",
    "models",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Explain where calls go and went, and show how the targets are doing."""


@command.command()
@click.argument("model")
@click.argument("prompt", default="Hello")
@click.option(
    "--body", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A JSON file: the whole request."
)
@click.option("--api", default="chat", show_default=True, help="chat, responses, messages, completions or embeddings.")
@click.option("--session", help="What the call belongs to, as prompt_cache_key.")
@asks_gateway
@json_option
def explain(
    client: AdminClient, *, model: str, prompt: str, body: Path | None, api: str, session: str | None, as_json: bool
) -> None:
    """Say which target a call of MODEL would go to, and why, without making it."""
    asked = _read(body) if body is not None else _request(api, prompt)
    asked["model"] = model
    if session is not None:
        asked["prompt_cache_key"] = session
    answer = client.ask("POST", "/v1/route/explain", body=asked, query={"api": api})
    if as_json:
        print_json(answer)
        return
    estimate = answer["estimate"]
    click.echo(
        f"{answer['model']}: {answer['strategy']}, {estimate['input_tokens']} tokens in and {estimate['output_tokens']} out"
    )
    if "version" in answer:
        shares = ", ".join(f"{version} {share:.4g}" for version, share in answer["shares"].items())
        click.echo(one_line(f"version: {answer['version']} (shares: {shares})"))
    _print_figures(answer["considered"], _EXPLAINED)
    if answer.get("hedge_after_s") is not None:
        click.echo(f"hedged: the next one is asked too after {answer['hedge_after_s']:.4g} s")
    for cause, models in answer["fallbacks"].items():
        click.echo(f"fallbacks, {cause}: {', '.join(models)}")


@command.command()
@asks_gateway
@json_option
def targets(client: AdminClient, *, as_json: bool) -> None:
    """Show how every target is doing: breaker, calls in flight, time to first token."""
    answer = client.ask("GET", "/admin/targets")
    if as_json:
        print_json(answer)
    else:
        _print_figures(answer["data"], _TARGETS)


@command.command()
@click.argument("call_id")
@asks_gateway
@json_option
def show(client: AdminClient, *, call_id: str, as_json: bool) -> None:
    """Say where the call CALL_ID went and why, and what it used on the way."""
    answer = client.ask("GET", f"/admin/calls/{quote(call_id, safe='')}")
    if as_json:
        print_json(answer)
        return
    click.echo(_headline(answer))
    if answer.get("route"):
        click.echo(f"tried: {one_line(', '.join(answer['route']))}")
    decision = answer.get("decision")
    if decision is not None:
        click.echo(f"decided by: {one_line(decision['strategy'])}")
        _print_figures(decision["considered"], _CONSIDERED)
    if answer.get("beside"):
        click.echo(f"beside the answer, all of it for {answer['total_cost'] or 'an unknown price'}:")
        print_table(answer["beside"], _BESIDE)


def _print_figures(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print a table whose figures are short enough to be compared by eye; --json has them whole."""
    short = ({name: f"{one:.4g}" if type(one) is float else one for name, one in row.items()} for row in rows)
    print_table(short, columns)


def _headline(answer: dict[str, Any]) -> str:
    words = [answer["id"], answer["model"], answer["operation"]]
    if answer["state"] == "in_progress":
        return one_line(" ".join([*words, "is in progress"]))
    said = f"status {answer['status']}" + (f" ({answer['error']})" if answer["error"] else "")
    tokens = "" if answer["output"] is None else f", {answer['input']} tokens in and {answer['output']} out"
    return one_line(f"{' '.join(words)}: {said} in {answer['duration']:.3f} s{tokens}")


def _request(api: str, prompt: str) -> dict[str, Any]:
    if api in ("responses", "embeddings"):
        return {"input": prompt}
    if api == "completions":
        return {"prompt": prompt}
    return {"max_tokens": 256, "messages": [{"role": "user", "content": prompt}]}


def _read(body: Path) -> dict[str, Any]:
    try:
        read = msgspec.json.decode(body.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        fail(f"{body} cannot be read as JSON: {error}")
    if not isinstance(read, dict):
        fail(f"{body} is not a JSON object.")
    return read
