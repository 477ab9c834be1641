"""`switchgear policy`: checks, tests and explains the policies of a folder. No server is asked, and none is needed."""

from __future__ import annotations

import click

from gateway.cli import policy_check, policy_explain, policy_test


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Check, test and explain Cedar policies.

    FOLDER is a folder of *.cedar files and cases.yaml; without it, the one that the configuration names is taken, with the
    configuration's default and time zone.
    """


command.add_command(policy_check.command, "check")
command.add_command(policy_explain.command, "explain")
command.add_command(policy_test.command, "test")
