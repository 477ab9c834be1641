"""Simulates rollouts and prints how often challengers go back: equal ones, and worse ones. `python benchmarks/rollouts.py [--runs N]`.

Every rollout has the default settings but for what a line says, and a call a second; after every single call the evidence is looked at. No
upstream is asked: a call fails by chance, and its time to the first token is drawn from a log-normal distribution.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time

import msgspec

from gateway.config.rollout_settings import RolloutSettings
from gateway.config.settings import ModelSettings
from gateway.routing.rollouts.course import begin, following
from gateway.routing.rollouts.evidence import Seen, count
from gateway.routing.rollouts.tally import Tally

CALLS = 2000
NEEDED_AA = 0.05
NEEDED_POWER = 0.9


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the versions are like: (stable, challenger). Times to the first token have their median in seconds, and spread as e-folds."""

    errors: tuple[float, float]
    first_token: tuple[float, float] | None = None
    spread: float = 0.6
    outage: tuple[int, int, float] | None = None
    """From which call to which both versions fail, and how often: nobody's fault."""


def roll(world: World, settings: RolloutSettings, chance: random.Random, calls: int = CALLS) -> int | None:
    """Run one rollout; the number of the call after which the challenger went back, None where it did not."""
    model = ModelSettings(rollout=settings)
    state, tally = begin("m", model, None, 0.0), Tally()
    versions = (settings.stable, settings.challenger)
    for number in range(1, calls + 1):
        worse = chance.random() < state.share
        rate = world.errors[worse]
        if world.outage is not None and world.outage[0] <= number < world.outage[1]:
            rate = world.outage[2]
        failed = chance.random() < rate
        values: tuple[tuple[str, float], ...] = ()
        if world.first_token is not None and not failed:
            values = (
                (
                    "first_token",
                    chance.gauss(0, world.spread) + (world.first_token[1] if worse else world.first_token[0]),
                ),
            )
        seen = Seen(version=versions[worse], challenger=worse, share=state.share, failed=failed, values=values)
        tally.add(f"step.{state.step}", 1)
        count(tally, versions, seen)
        moved = following(state, settings, tally, float(number))
        if moved is not None:
            state = moved
            if state.phase == "rolled_back":
                return number
            if state.phase == "promoted":
                return None
    return None


def share_back(
    world: World, settings: RolloutSettings, runs: int, seed: int = 1, calls: int = CALLS
) -> tuple[float, float]:
    """Give the share of runs that went back, and after how many calls the middle one of them did."""
    chance = random.Random(seed)
    ends = [end for _ in range(runs) if (end := roll(world, settings, chance, calls)) is not None]
    return len(ends) / runs, statistics.median(ends) if ends else 0.0


def main() -> int:
    """Print the figures; 1 where they are not what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    errors = RolloutSettings(stable="v1", challenger="v2", first_token=None)
    default = RolloutSettings(stable="v1", challenger="v2")
    good = True
    print(f"{runs} rollouts a line, {CALLS} calls each, looked at after every call")
    print("| versions | errors | went back | after (median call) | needed | seconds |")
    print("|---|---|---|---|---|---|")
    for name, world, settings, needed in (
        ("equal, errors only", World(errors=(0.01, 0.01)), errors, "at most"),
        ("equal, errors only", World(errors=(0.05, 0.05)), errors, "at most"),
        ("equal, errors only", World(errors=(0.2, 0.2)), errors, "at most"),
        ("equal, an outage of both", World(errors=(0.01, 0.01), outage=(185, 500, 0.5)), errors, "at most"),
        ("equal, with first token", World(errors=(0.05, 0.05), first_token=(0, 0)), default, "at most"),
        ("5 points worse", World(errors=(0.01, 0.06)), default, "at least"),
        ("5 points worse", World(errors=(0.05, 0.10)), default, "at least"),
        ("5 points worse", World(errors=(0.10, 0.15)), default, ""),
        ("5 points worse", World(errors=(0.20, 0.25)), default, ""),
        ("fails half", World(errors=(0.01, 0.5)), default, "at least"),
        ("first token 1.5 times", World(errors=(0.01, 0.01), first_token=(0, 0.405)), default, "at least"),
        ("1 point worse, tolerated", World(errors=(0.05, 0.06)), default, ""),
    ):
        began = time.perf_counter()
        share, median = share_back(world, settings, runs)
        limit = {"at most": f"≤ {NEEDED_AA:.0%}", "at least": f"≥ {NEEDED_POWER:.0%}", "": ""}[needed]
        good &= share <= NEEDED_AA if needed == "at most" else share >= NEEDED_POWER if needed else True
        stable, challenger = world.errors
        took = time.perf_counter() - began
        print(
            f"| {name} | {stable:.0%}, {challenger:.0%} | {share:.1%} | {median:.0f} | {limit} | {took:.0f} |",
            flush=True,
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
