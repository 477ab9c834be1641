"""What the programs take from their environment: the values that their configurations name as `env:NAME`."""

import os


def variable(reference: str) -> str:
    """Give the value that `env:NAME` names. Raises KeyError when it is not set."""
    return os.environ[reference.removeprefix("env:")]
