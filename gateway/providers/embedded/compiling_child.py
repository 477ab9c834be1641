"""Compiling child: the program that tries what a body asks of its answer's form, as a child of the chat child that can be killed.

`python -m gateway.providers.embedded.compiling_child`. It tries the compiler that checks, then the engine's own. Frames as `gateway.schemas.judging_child` has them. It gives no grammar: what it
has compiled in time, its parent compiles again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from gateway.core.errors import SwitchgearError
from gateway.providers.embedded.generation import try_form
from gateway.providers.embedded.rehearsal import Rehearsal
from gateway.schemas.judging_child import Verdict, out_of_memory, serve

BY_ENGINE = "The schema cannot be enforced by the model's engine"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Compile what `fields` of a body ask for, within `seconds`, for answers of `room` tokens."""

    fields: dict[str, Any]
    seconds: float
    room: int


def main() -> None:
    """Serve trials until stdin ends."""
    decoder = msgspec.json.Decoder(Trial)
    rehearsal = Rehearsal()

    def job(frame: bytes) -> tuple[float, Any]:
        trial = decoder.decode(frame)
        return trial.seconds, partial(_tried, trial, rehearsal)

    serve(job)


def _tried(trial: Trial, rehearsal: Rehearsal) -> Verdict:
    try:
        grammar = try_form(trial.fields, room=trial.room)
        fault = "" if grammar is None else rehearsal.fault(grammar)
    except SwitchgearError:
        # Who reads the body says what is wrong with it, and that as quickly.
        return Verdict()
    except RecursionError:
        return Verdict(refused="The schema leads on too far to be compiled.")
    except MemoryError:
        return Verdict(refused=out_of_memory())
    return Verdict(refused=f"{BY_ENGINE}: {fault}." if fault else None)


if __name__ == "__main__":
    main()
