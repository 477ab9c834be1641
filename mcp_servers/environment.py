"""What the programs take from their environment: the values that their configurations name as `env:NAME`."""

import os

from mcp_servers.serving import ConfigurationError


def variable(reference: str) -> str:
    """Give the value that `env:NAME` names. Raises ConfigurationError when it is not set."""
    name = reference.removeprefix("env:")
    try:
        return os.environ[name]
    except KeyError:
        msg = f"the environment has no {name}"
        raise ConfigurationError(msg) from None
