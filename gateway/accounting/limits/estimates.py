"""What a call will probably use, before it is made: enough to reserve for. What it really used comes with its record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.accounting.limits.prompt_texts import PICTURE_TOKENS, texts_of
from gateway.core.call import Call
from gateway.core.items import Json

CountInput = Callable[[Call], int]
"""Gives the number of tokens that a call puts in, exactly or nearly."""

Price = Callable[[str], Callable[[int, int], int | None]]
"""Gives what estimates calls of a model at its dearest target: nano-dollars for tokens in and out, None when unknown.

Asked again after every `configure`, so that it may be of one generation of the configuration.
"""

BYTES_A_TOKEN = 4
PLAIN_BYTES = 8192
FIRST_OUTPUT = 1024
DECAY = 0.05
MOST_MODELS = 4096
MOST_TOKENS = 1_000_000_000
_BOUNDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


Estimate = tuple[int, int, bool]
"""Tokens in and out, and whether the caller has set a bound to what comes out."""


class Outputs:
    """How much each model writes when nobody sets it a bound: its longest answer of late, which fades with shorter ones."""

    def __init__(self) -> None:
        self._longest: OrderedDict[str, float] = OrderedDict()

    def expected(self, model: str) -> int:
        """Give a number of tokens that the next answer will rarely exceed."""
        return int(self._longest.get(model, FIRST_OUTPUT))

    def learn(self, model: str, output: int) -> None:
        """Note what an answer came to."""
        known = self._longest.get(model)
        longest = float(output) if known is None else max(known + DECAY * (output - known), float(output))
        if known is None and len(self._longest) >= MOST_MODELS:
            self._longest.popitem(last=False)
        self._longest[model] = longest


def estimate(call: Call, count_input: CountInput, outputs: Outputs) -> Estimate:
    """Give what a call will put in and get out."""
    if call.operation == "count_tokens":
        return 0, 0, True
    tokens = count_input(call)
    if call.operation != "generate":
        return tokens, 0, True
    fields = call.fields
    for name in _BOUNDS:
        if name in fields and (bound := _whole(fields[name])) is not None:
            if "n" in fields:
                bound *= max(_whole(fields["n"]) or 1, 1)
            return tokens, bound, True
    return tokens, outputs.expected(call.model), False


def count_by_length(call: Call) -> int:
    """Count four bytes of text as a token. Pictures and files inside the body count as a picture does, not by their bytes."""
    body = call.body
    if len(body) <= PLAIN_BYTES:
        return len(body) // BYTES_A_TOKEN
    found = texts_of(call.fields)
    characters = sum(map(len, found.texts)) + found.numbers * BYTES_A_TOKEN
    return characters // BYTES_A_TOKEN + found.pictures * PICTURE_TOKENS


def _whole(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, MOST_TOKENS)
