"""`switchgear policy check`: are these policies sound, and do they pass their own cases?"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from gateway.cli.faults import fail
from gateway.cli.policy_folder import folder_options, read_documents
from gateway.config import ConfigError
from gateway.policies.folder import open_folder


@click.command()
@folder_options
def command(folder: Path | None, config: Path, default: Literal["allow", "deny"] | None, time_zone: str | None) -> None:
    """Check the policies in FOLDER as a reload would: syntax, types, annotations, cases.

    Every fault is printed with file, line and policy. Exits 1 when there is one.
    """
    try:
        documents = read_documents(folder, config, default, time_zone)
        rules = open_folder(documents)
    except ConfigError as error:
        fail(error)
    files, policies, cases = len(documents.texts), len(rules.rules), len(documents.cases)
    click.echo(
        f"{documents.folder}: sound; {_counted(policies, 'policy', 'policies')} in {_counted(files, 'file', 'files')}, "
        f"{_counted(cases, 'case', 'cases')} passed, default {documents.default}"
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
