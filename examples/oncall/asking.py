"""How the demo asks whoever sits at the terminal: yes or no, asked again for anything else, and no where nobody is there."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

import anyio

PATIENCE: Final = 600.0
"""Seconds that a person has; then it is a no."""
_TRIES: Final = 5
_ANSWERS: Final = {"y": "yes", "yes": "yes", "n": "no", "no": "no"}


async def ask() -> str:
    """Give yes or no."""
    for _ in range(_TRIES):
        print("          Approve it? [yes/no] ", end="", flush=True)
        # A file is always readable, and cannot be waited for. A thread that reads would keep the demo from ending.
        with anyio.move_on_after(PATIENCE) as waited:
            with suppress(OSError, ValueError):
                await anyio.wait_readable(sys.stdin)
        if waited.cancelled_caught:
            return _no(f"nobody answered within {PATIENCE:g} seconds")
        said = sys.stdin.readline()
        if not said:
            return _no("nobody is there to be asked")
        if (answer := _ANSWERS.get(said.strip().lower())) is not None:
            return answer
        print("          Please write yes or no.", flush=True)
    return _no("that was no answer")


def _no(why: str) -> str:
    print(f"\n          {why}: that is a no (--yes and --deny ask nobody)", flush=True)
    return "no"
