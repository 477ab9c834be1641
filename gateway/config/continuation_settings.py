"""Settings of continuation: whether another target goes on with an answer that broke off."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ContinuationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed text that breaks off is given to a target as the beginning of its answer, and what it adds goes to the caller."""

    times: Annotated[int, Meta(ge=1, le=2, description="How often an answer may be gone on with.")] = 1
