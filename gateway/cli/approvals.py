"""`switchgear approvals`: what agents ask people, and answers to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from gateway.cli.admin_client import AdminClient, fail, object_path
from gateway.cli.admin_options import asks_gateway, given_only, in_pages, json_option
from gateway.cli.admin_output import print_json, print_page, print_table
from gateway.cli.screen import one_line
from gateway.core.tools import SERVER, Label, Wish
from gateway.notices.approval_view import moment, question_text, visible
from gateway.stores.tool_calls import ApprovalState

_LISTED = ("id", "asked_at", "state", "tool", "agent", "needs", "until", "arguments")
_SHOWN_OF_ARGUMENTS = 80

_reason_option = click.option("--reason", default="", help="Why. A denial's goes to the model.")
_version_option = click.option(
    "--version",
    type=click.IntRange(1),
    help="The version that you saw; the answer is refused where it is another by now.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List and show what agents ask, and approve, deny, edit or answer it."""


@command.command("list")
@click.option(
    "--state", type=click.Choice(get_args(ApprovalState)), default="pending", show_default=True, help="In this state."
)
@click.option("--all", "every", is_flag=True, help="In whatever state.")
@click.option("--run", help="Of this run alone.")
@click.option("--tenant", help="Of this tenant alone.")
@in_pages
@asks_gateway
@json_option
def show_list(client: AdminClient, *, as_json: bool, every: bool, state: str, **query: Any) -> None:
    """List approvals, the newest first: those that wait, unless you say otherwise."""
    wanted = given_only({**query, "state": None if every else state})
    answer = client.ask("GET", "/admin/approvals", query=wanted)
    print_page(answer, _LISTED, as_json=as_json, row=_row)


@command.command()
@click.argument("approval")
@asks_gateway
@json_option
def show(client: AdminClient, *, approval: str, as_json: bool) -> None:
    """Show one approval with its exact arguments, where each came from, and what people have said."""
    _print(client.ask("GET", object_path("approvals", approval)), as_json=as_json)


@command.command()
@click.argument("approval", nargs=-1, required=True)
@_reason_option
@_version_option
@asks_gateway
@json_option
def approve(client: AdminClient, *, approval: tuple[str, ...], reason: str, version: int | None, as_json: bool) -> None:
    """Give leave. Several at once are several answers."""
    _answer(client, approval, "approve", {"reason": reason, "version": version}, as_json=as_json)


@command.command()
@click.argument("approval", nargs=-1, required=True)
@_reason_option
@_version_option
@asks_gateway
@json_option
def deny(client: AdminClient, *, approval: tuple[str, ...], reason: str, version: int | None, as_json: bool) -> None:
    """Refuse leave: the agent is told the reason."""
    _answer(client, approval, "deny", {"reason": reason, "version": version}, as_json=as_json)


@command.command()
@click.argument("approval")
@click.argument("words", nargs=-1)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="File with the answer, - for standard input.",
)
@_version_option
@asks_gateway
@json_option
def answer(
    client: AdminClient, *, approval: str, words: tuple[str, ...], file: Path | None, version: int | None, as_json: bool
) -> None:
    """Answer a question, in WORDS. A form with several fields takes JSON, or a line `name: value` for each; a page to go to takes no words."""
    said = " ".join(words) if file is None else _text(file)
    _answer(client, (approval,), "approve", {"reason": said, "version": version}, as_json=as_json)


@command.command()
@click.argument("approval")
@click.option(
    "--arguments",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="File with the arguments as JSON, - for standard input; without it your editor opens.",
)
@_reason_option
@_version_option
@asks_gateway
@json_option
def edit(
    client: AdminClient, *, approval: str, arguments: Path | None, reason: str, version: int | None, as_json: bool
) -> None:
    """Give leave for other arguments than were asked about. They are judged by the policies again."""
    shown = client.ask("GET", object_path("approvals", approval))
    wanted = _written(shown["arguments_text"]) if arguments is None else _read(arguments)
    body = {"arguments": wanted, "version": version or shown["version"], "reason": reason}
    _print(client.ask("POST", object_path("approvals", approval, "edit"), body=body), as_json=as_json)


def _answer(
    client: AdminClient, approvals: tuple[str, ...], verdict: str, given: dict[str, Any], *, as_json: bool
) -> None:
    if len(approvals) == 1:
        _print(
            client.ask("POST", object_path("approvals", approvals[0], verdict), body=given_only(given)), as_json=as_json
        )
        return
    answers = [{"id": approval, "verdict": verdict, **given_only(given)} for approval in approvals]
    results = client.ask("POST", "/admin/approvals/batch", body={"answers": answers})
    if as_json:
        print_json(results)
    failed = False
    for result in results["data"]:
        failed = failed or result["status"] != 200
        said = result["error"]["message"] if "error" in result else result["approval"]["state"]
        if not as_json:
            click.echo(f"{result['id']}: {one_line(said)}")
    if failed:
        raise SystemExit(1)


def _written(text: str) -> Any:
    """Give what somebody makes of the arguments in an editor."""
    draft = click.edit(visible(msgspec.json.format(text or "{}", indent=2)), extension=".json", require_save=True)
    if draft is None:
        fail("Nothing was changed, and nothing was sent.")
    return _decoded(draft.encode())


def _text(file: Path) -> str:
    with click.open_file(str(file), "rb") as source:
        return str(source.read(), "utf-8", "replace")


def _read(file: Path) -> Any:
    with click.open_file(str(file), "rb") as source:
        return _decoded(source.read())


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fail(f"The arguments are not JSON: {error}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    text = visible(one["question"]["message"] if one["question"] else one["arguments_text"])
    cut = text if len(text) <= _SHOWN_OF_ARGUMENTS else f"{text[:_SHOWN_OF_ARGUMENTS]}…"
    return {
        **one,
        "asked_at": moment(one["created_at"]),
        "tool": f"{one['server']}/{one['tool']}",
        "needs": f"{one['quorum']} of {', '.join(one['groups']) or 'all'}",
        "until": moment(one["expires_at"]),
        "arguments": cut,
    }


def _print(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    click.echo(f"{one['id']}: {one['state']}, version {one['version']}")
    click.echo(one_line(visible(f"{one['server']}/{one['tool']} ({one['kind']}, {one['effect']})")))
    if one["question"]:
        click.echo(question_text(msgspec.convert({**given_only(one["question"])}, Wish)))
    if one["server"] != SERVER or not one["question"]:
        click.echo(visible(msgspec.json.format(one["arguments_text"] or "{}", indent=2)))
    rows = [{"field": name, "value": one_line(visible(value))} for name, value in _facts(one) if value]
    print_table(rows, ("field", "value"))


def _facts(one: dict[str, Any]) -> list[tuple[str, str]]:
    requester = one["requester"]
    return [
        ("why", f"{one['reason']} ({', '.join(one['rules'])})" if one["rules"] else one["reason"]),
        ("asked before", one["arguments_before"] or ""),
        ("agent", one["agent"] or ""),
        ("asked for by", requester["user"] or requester["id"]),
        ("run", one["run"]),
        ("tenant", one["tenant"]),
        *(
            (f"{path} from", f"{msgspec.convert(label, Label).said} ({label['integrity']})")
            for path, label in one["origins"].items()
        ),
        ("had read", ", ".join(one["taint"])),
        ("needs", f"{one['quorum']} of {', '.join(one['groups']) or 'all who may approve'}"),
        ("until", moment(one["expires_at"])),
        ("sha256", one["arguments_sha256"]),
        *(
            (f"{vote['verdict']} by", f"{vote['approver']} ({vote['channel']}, {moment(vote['at'])}) {vote['reason']}")
            for vote in one["votes"]
        ),
        ("goes on", one["continuation"] or ""),
        ("you", one.get("objection") or ""),
    ]
