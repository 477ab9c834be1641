"""What a call will probably use, before it is made: enough to reserve for. What it really used comes with its record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.accounting.limits.prompt_texts import PICTURE_TOKENS, texts_of
from gateway.core.call import Call
from gateway.core.items import Json
from gateway.core.usage import BYTES_A_TOKEN

CountInput = Callable[[Call], int]
"""Gives the number of tokens that a call puts in, exactly or nearly."""

Price = Callable[[str], Callable[[int, int], int | None]]
"""Gives what estimates calls of a model at its dearest target: nano-dollars for tokens in and out, None when unknown.

Asked again after every `configure`, so that it may be of one generation of the configuration.
"""

PLAIN_BYTES = 8192
FIRST_OUTPUT = 1024
DECAY = 0.05
MOST_MODELS = 4096
MOST_TOKENS = 1_000_000_000
_BOUNDS = {"openai_chat": ("max_completion_tokens", "max_tokens"), "openai_responses": ("max_output_tokens",)}
_BOUND = ("max_tokens",)
_TIMES = ("n", "best_of")
_SEVERAL = frozenset({*_TIMES, "prompt"})


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
        if known is None and len(self._longest) >= MOST_MODELS:
            self._longest.popitem(last=False)
        # As max() would have it: this is done for every call.
        self._longest[model] = output if known is None or output >= known else known + DECAY * (output - known)


def estimate(call: Call, count_input: CountInput, outputs: Outputs) -> Estimate:
    """Give what a call will put in and get out."""
    if call.operation != "generate":
        return 0 if call.operation == "count_tokens" else count_input(call), 0, True
    tokens = count_input(call)
    fields = call.fields
    bound = -1
    # Only what its own API has: an upstream would overlook another one's field.
    for name in _BOUNDS.get(call.dialect, _BOUND):
        value = fields.get(name)
        if type(value) is int and value > bound:  # True is an int to Python, but not to an upstream
            bound = value
    if bound < 0:
        bound, bounded = outputs.expected(call.model), False
    else:
        bounded = True
    if not _SEVERAL.isdisjoint(fields):
        bound = min(bound, MOST_TOKENS) * _times(fields)
    return tokens, min(MOST_TOKENS, bound), bounded


def _times(fields: dict[str, Json]) -> int:
    """How many answers are asked for: to one prompt, times how many prompts there are."""
    times = 1
    for name in _TIMES:
        if name in fields:
            times = max(times, _whole(fields[name], 1))
    prompts = fields.get("prompt")
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        times *= len(prompts)
    return times


def count_by_length(call: Call) -> int:
    """Count four bytes of text as a token. Pictures and files inside the body count as a picture does, not by their bytes."""
    body = call.body
    if len(body) <= PLAIN_BYTES:
        return len(body) // BYTES_A_TOKEN
    found = texts_of(call.fields)
    characters = sum(map(len, found.texts)) + found.numbers * BYTES_A_TOKEN
    return characters // BYTES_A_TOKEN + found.pictures * PICTURE_TOKENS


def _whole(value: Json, otherwise: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return otherwise
    return min(value, MOST_TOKENS)
