"""Faults in documents, as the commands that read documents of their own print them."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from gateway.config import ConfigError


def fail(error: ConfigError) -> NoReturn:
    """Print every fault to standard error and exit 1."""
    for fault in error.faults:
        click.echo(str(fault), err=True)
    number = len(error.faults)
    click.echo(f"{number} fault{'' if number == 1 else 's'} found", err=True)
    sys.exit(1)
