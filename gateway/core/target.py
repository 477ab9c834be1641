"""Where a call can be served."""

from __future__ import annotations

from typing import Literal

import msgspec

Parameter = Literal[
    "frequency_penalty", "json_object", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "n", "parallel_tool_calls", "presence_penalty", "reasoning", "seed",
    "stop", "system", "temperature", "top_k", "top_p", "verbosity",
]  # fmt: skip
"""What a target may be said to lack: parameters as Chat Completions names them, and instructions (`system`)."""

FORMS = frozenset({"json_object", "json_schema"})
"""Forms of an answer, by the names of what a target may lack."""

SAID_OTHERWISE = frozenset({"max_completion_tokens", "max_tokens", "system"})
"""What need never be left out: it can be said in another way."""

EMULATED = frozenset({"json_object", "json_schema", "n", "parallel_tool_calls", "stop"}) | SAID_OTHERWISE
"""What can be done here for a target that lacks it."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: to connect; to the upstream's first byte; between two pieces of a stream; for everything."""

    connect: float = 10.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider.

    `drop` permits to leave out parameters that it does not know (named in the answer), `emulate` to do their work here where that can
    be done honestly. `without` names what the operator knows that it lacks: parameters, and `json_schema`. `shapes` permits to ask it for
    a form of the answer in other ways than its API has: by a tool, or in words.
    """

    provider: str
    model: str
    timeouts: Timeouts = Timeouts()
    drop: bool = False
    emulate: bool = False
    without: frozenset[str] = frozenset()
    shapes: bool = False

    @property
    def name(self) -> str:
        """The target as shown to people: provider/model."""
        return f"{self.provider}/{self.model}"
