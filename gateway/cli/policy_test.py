"""`switchgear policy test`: runs the cases of a folder of policies and shows what differs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gateway.cli.faults import fail
from gateway.cli.policy_folder import folder_options, read_documents
from gateway.config import ConfigError
from gateway.policies.cases import Outcome, run_cases
from gateway.policies.rules import open_rules


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One case, as it is printed."""

    case: str
    line: int
    passed: bool
    expected: str
    found: str
    rules: tuple[str, ...]
    problem: str


@click.command()
@folder_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object for each case.")
def command(
    folder: Path | None,
    config: Path,
    default: Literal["allow", "deny"] | None,
    time_zone: str | None,
    as_json: bool,
) -> None:
    """Run the cases in FOLDER/cases.yaml.

    Each case is a question and the answer that it must get. Exits 1 when one gets another, or when the policies are at fault.
    """
    try:
        documents = read_documents(folder, config, default, time_zone)
        outcomes = run_cases(open_rules(documents), documents.cases, documents.zone)
    except ConfigError as error:
        fail(error)
    failed = [outcome for outcome in outcomes if outcome.problem]
    if as_json:
        click.echo(msgspec.json.encode([_entry(outcome) for outcome in outcomes]))
    else:
        _show(outcomes, failed)
    sys.exit(1 if failed else 0)


def _show(outcomes: list[Outcome], failed: list[Outcome]) -> None:
    table = Table("", "case", "expected", "found", "rules", box=None, pad_edge=False)
    for outcome in outcomes:
        entry = _entry(outcome)
        mark = "FAIL" if outcome.problem else "ok"
        table.add_row(mark, entry.case, entry.expected, entry.found, ", ".join(entry.rules))
    # Names may look like markup; a pipe has no width to fit into.
    console = Console(highlight=False, markup=False, emoji=False)
    if outcomes:
        console.print(table, width=None if console.is_terminal else 4096, crop=False)
    for outcome in failed:
        place = f"{outcome.case.path}:{outcome.case.line}"
        click.echo(f"{place}: {outcome.title}: {outcome.problem}", err=True)
    click.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases passed")


def _entry(outcome: Outcome) -> _Entry:
    decision = outcome.decision
    return _Entry(
        case=outcome.title,
        line=outcome.case.line,
        passed=not outcome.problem,
        expected=outcome.case.case.expect,
        found="" if decision is None else decision.effect,
        rules=() if decision is None else decision.ids,
        problem=outcome.problem,
    )
