"""Where a call went, and why: what was considered, what was left out, what was chosen. A fact about a call, for people."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["chosen", "next", "full", "spared", "unfit", "escalated", "failed", "won", "lost"]
"""chosen: asked first; next: asked when those before it fail; full: has as many calls as it may have; spared: left alone for now;
unfit: lacks what the call needs.

Of a cascade: chosen is the one asked last, escalated one whose answer did not pass. Of a vote: chosen are those who vote, and then
won or lost. failed: it gave no answer. The reason of escalated and failed begins with a code, and a colon where more follows.
"""


class Considered(msgspec.Struct, frozen=True):
    """One target ("provider/model"). `score` is the strategy's figure, less is better; `why` is for people."""

    target: str
    verdict: Verdict
    score: float | None = None
    why: str = ""


class Decision(msgspec.Struct, frozen=True):
    """What a strategy made of a model's targets, in the order in which they are asked; those left out come last.

    `version` is the model's version whose targets these are, empty for a model without versions.
    """

    strategy: str
    considered: tuple[Considered, ...]
    version: str = ""

    @property
    def chosen(self) -> str | None:
        """The target that was asked first; None when there was none to ask."""
        return next((one.target for one in self.considered if one.verdict in ("chosen", "won")), None)
