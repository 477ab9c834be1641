"""`switchgear agent test`: runs the cases of agents and shows what differs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio
import click
import msgspec

from gateway.cli.agent_case_outcomes import CaseOutcome
from gateway.cli.agent_cases import CaseRunner
from gateway.cli.agent_folder import chosen, folder_of, read_agents
from gateway.cli.faults import fail
from gateway.cli.options import config_option
from gateway.config import ConfigError, Settings
from gateway.config.agent_settings import AgentDefinition, AgentDocuments
from gateway.governance import GovernanceRefused
from gateway.telemetry.logs import configure_logs


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object for each case.")
def command(names: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Run the cases (cases.yaml) of the agents that are named, or of all.

    Where a case says what its model answers, no model is asked; else the real one is. Tools give what the case has recorded. Exits 1 when a case does not
    hold, or an agent is at fault.
    """
    configure_logs(format="console", level="error")
    try:
        settings, documents = read_agents(config, folder_of(names))
        agents = chosen(documents, tuple(Path(name).name for name in names))
        outcomes = anyio.run(_run, settings, config, documents, agents, as_json)
    except ConfigError as error:
        fail(error)
    except GovernanceRefused as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    failed = [outcome for outcome in outcomes if outcome.problems]
    if as_json:
        click.echo(msgspec.json.encode([_entry(outcome) for outcome in outcomes]))
    else:
        click.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases hold")
    sys.exit(1 if failed else 0)


async def _run(
    settings: Settings, config: Path, documents: AgentDocuments, agents: list[AgentDefinition], quiet: bool
) -> list[CaseOutcome]:
    outcomes: list[CaseOutcome] = []
    with tempfile.TemporaryDirectory(prefix="switchgear-agent-test-") as folder:
        runner = CaseRunner(settings, config, Path(folder), documents.agents)
        for agent in agents:
            for document in documents.cases[agent.name]:
                outcomes.append(await runner.run(agent, document))
                if not quiet:
                    _show(outcomes[-1])
    return outcomes


def _show(outcome: CaseOutcome) -> None:
    click.echo(f"{'FAIL' if outcome.problems else 'ok':<4}  {outcome.agent}: {outcome.document.case.name}")
    for problem in outcome.problems:
        first, *more = problem.splitlines()
        click.echo(f"      {outcome.document.path}:{outcome.document.line}: {first}", err=True)
        for line in more:
            click.echo(f"        {line}", err=True)


def _entry(outcome: CaseOutcome) -> dict[str, object]:
    return {
        "agent": outcome.agent,
        "case": outcome.document.case.name,
        "path": outcome.document.path,
        "line": outcome.document.line,
        "holds": not outcome.problems,
        "problems": outcome.problems,
    }
