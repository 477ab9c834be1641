"""The environment variables of this process. The only module that reads them: everything else takes the mapping."""

import os
from collections.abc import Mapping
from types import MappingProxyType


def read_environment() -> Mapping[str, str]:
    """Return a read-only copy of the environment as it is now."""
    return MappingProxyType(dict(os.environ))
