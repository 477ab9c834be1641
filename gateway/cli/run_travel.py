"""`switchgear run fork` and `switchgear run replay`: runs that are made from other runs, and how a replay compares."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.admin_client import AdminClient, fail, object_path
from gateway.cli.admin_options import asks_gateway, given_only, json_option
from gateway.cli.admin_output import print_json
from gateway.cli.screen import one_line
from gateway.notices.approval_view import visible


@click.command()
@click.argument("run")
@click.option(
    "--at",
    type=click.IntRange(0),
    metavar="STEP",
    help="After this step, with all that came of it; 0 is after the input.",
)
@click.option("--after", type=click.IntRange(0), metavar="EVENT", help="After the event with this number.")
@click.option("--model", help="Ask this model from there on.")
@click.option("--input", "text", metavar="TEXT", help="What you say there.")
@asks_gateway
@json_option
def fork(client: AdminClient, *, run: str, as_json: bool, text: str | None, **given: Any) -> None:
    """Make a new run that goes on live from a place in RUN, in your name; it has what RUN had until then."""
    if (given["at"] is None) == (given["after"] is None):
        msg = "Say where: either --at STEP or --after EVENT."
        raise click.UsageError(msg)
    made = client.ask("POST", object_path("runs", run, "fork"), body=given_only({**given, "input": text}))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['id']}: forked from {made['forked_from']}, {made['status']}")


@click.command()
@click.argument("run")
@click.option("--model", help="Ask this model.")
@click.option(
    "--agent-folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The agent as this folder has it, in place of the version that it was.",
)
@click.option(
    "--instructions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with what the model is told, in place of what it was told.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of policies; those of all these files decide in place of those in force.",
)
@click.option("--loose", is_flag=True, help="Give calls the results of their tool in order, whatever their arguments.")
@asks_gateway
@json_option
def replay(client: AdminClient, *, run: str, as_json: bool, **given: Any) -> None:
    """Do RUN once more with its recorded results, and say where it parted: no tool is called, nobody is asked.

    Exits 0 where it went the same way, and 1 where it did not.
    """
    body: dict[str, Any] = {"loose": given["loose"]}
    if given["model"]:
        body["model"] = given["model"]
    if given["agent_folder"]:
        body["agent"] = _texts(sorted(given["agent_folder"].iterdir()))
    if given["instructions"]:
        body["instructions"] = _text(given["instructions"])
    if given["policies"]:
        body["policies"] = _texts(given["policies"])
    made = client.ask("POST", object_path("runs", run, "replay"), body=body)
    for _ in client.lines(object_path("runs", made["id"], "events")):
        pass
    found = client.ask("GET", object_path("runs", made["id"], "comparison"))
    if as_json:
        print_json(found)
    else:
        _show(found)
    sys.exit(0 if found["same"] else 1)


def _texts(paths: Any) -> dict[str, str]:
    return {path.name: _text(path) for path in paths if path.is_file() and not path.name.startswith(".")}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {error}")


def _show(found: Mapping[str, Any]) -> None:
    runs, ended, spent = found["runs"], found["ended"], found["spent"]
    more = f", and {len(runs) - 1} that went on after it" if len(runs) > 1 else ""
    click.echo(f"{found['replay']}: replay of {runs[0]}{more}")
    click.echo("the same" if found["same"] else "parted:")
    for each in found["differences"]:
        where = f"step {each['step']}, call {each['call']}, {each['tool']}: " if each["step"] else ""
        what = f": {each['then'] or 'nothing'} -> {each['now'] or 'nothing'}" if each["then"] or each["now"] else ""
        click.echo(f"  {one_line(visible(where + each['kind'] + what))}")
        for line in each["lines"]:
            click.echo(f"    {one_line(visible(line))}")
    if ended["why"] and not found["same"]:
        click.echo(f"  {one_line(visible(ended['why']))}")
    for name, label in (("then", "then"), ("now", "now ")):
        used = spent[name]
        tokens = used["input_tokens"] + used["output_tokens"]
        click.echo(
            f"{label}  {used['steps']} steps, {used['tool_calls']} calls, {tokens} tokens, {used['nano'] / 1e9:.6f} USD"
        )
