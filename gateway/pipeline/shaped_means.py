"""What structured output works with, and how its stages are put around targets and routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.core.items import Json
from gateway.pipeline.shaped_faults import Judge
from gateway.pipeline.shaped_flow import PrefixOf

Check = Callable[[Mapping[str, Json]], Awaitable[None]]
"""Raises UnsupportedSchema for a schema that is none, or is over the limits."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What judges a text, what checks a schema, what reads a text as it arrives, and a steady clock in seconds."""

    judge: Judge
    check: Check
    prefix_of: PrefixOf
    now: Callable[[], float]
