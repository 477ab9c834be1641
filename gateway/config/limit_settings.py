"""Settings of limits and budgets: what is counted, for whom, in which window, and what happens at the limit."""

from typing import Annotated

import msgspec
from msgspec import Meta


class LimitRuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One limit."""

    limit: Annotated[float, Meta(ge=0, description="How much, in the unit of `count`.")]
