"""How much to think, for the APIs that count in words: effort. It decides nothing about tokens."""

from __future__ import annotations

from gateway.core.content import ReasoningOptions
from gateway.dialects.rest import Leftovers

_EFFORT_OF_BUDGET = ((2_048, "low"), (8_192, "medium"))
"""Thinking budget in tokens, up to and including -> effort; above the last: high, which every such model knows."""


def effort_of(options: ReasoningOptions, left: Leftovers) -> str | None:
    """Give the effort; None where nothing is to be said, because the model then does what was asked, or as it will.

    Told not to think, or to decide for itself (`mode` disabled, adaptive), there is no word that these models all take.
    """
    if options.mode == "disabled":
        left.hint("thinking")
        return None
    if options.effort is not None:
        return options.effort
    if options.budget is not None:
        return next((effort for most, effort in _EFFORT_OF_BUDGET if options.budget <= most), "high")
    if options.mode == "adaptive":
        left.hint("thinking")
    return "medium" if options.mode == "enabled" else None
