"""The environment variables of this process. The only module that touches them: everything else takes the mapping."""

import os
from collections.abc import Mapping
from types import MappingProxyType


def read_environment() -> Mapping[str, str]:
    """Return a read-only copy of the environment as it is now."""
    return MappingProxyType(dict(os.environ))


def set_variable(name: str, value: str) -> None:
    """Set a variable of this process, for a library that can be told in no other way. Children inherit it."""
    os.environ[name] = value
