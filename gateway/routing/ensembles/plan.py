"""How many are asked in a vote, and in which words cascades and votes are explained before they happen. Pure."""

from __future__ import annotations

from typing import Final

from gateway.config.ensemble_settings import CascadeSettings, VoteSettings
from gateway.core.decision import Verdict

MOST_VOTERS: Final = 7


def voters_of(settings: VoteSettings, there: int) -> int:
    """Give how many targets of those that there are vote."""
    return min(settings.targets or MOST_VOTERS, there, MOST_VOTERS)


def quorum_of(settings: VoteSettings, there: int) -> int:
    """Give how many answers there must be."""
    return settings.quorum or voters_of(settings, there) // 2 + 1


def told_of_vote(settings: VoteSettings, there: int, number: int) -> tuple[Verdict, str]:
    """Say what is to become of the target with this number, from 0, in the order in which they would be asked."""
    asked = voters_of(settings, there)
    if number < asked:
        return "chosen", f"one of {asked} that vote, {quorum_of(settings, there)} answers needed, by {settings.decide}"
    return "next", "votes when another one cannot be asked"


def told_of_cascade(settings: CascadeSettings, there: int, number: int) -> tuple[Verdict, str]:
    """Say the same of a cascade; `there` are the targets in that order."""
    verdict: Verdict = "next" if number else "chosen"
    if there == 1:
        return verdict, "asked alone, its answer goes out as it comes"
    checks = ", ".join(settings.escalate_on)
    if number == 0:
        return verdict, f"asked first, its answer goes out unless it fails or shows: {checks}"
    return verdict, (
        "asked when those before it do not answer or pass; its answer goes out "
        + ("as it comes" if number == there - 1 else "on the same terms")
    )
