"""Tools that a run has by itself: reading on in a result that was too long to be given at once, and asking a person a question."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.agents.plan import Granted
from gateway.agents.wishes import asked_by_agent
from gateway.core.tools import SERVER, Label, Tool, Wish, model_name

LARGEST_PIECE: Final = 32 * 1024
"""Bytes of a result that are read at once."""
_REF: Final = re.compile(r"(resp_[0-9a-f]{24})\.(mcp_[0-9a-f]{26})").fullmatch

_NOTE: Final = re.compile(r"\n\[(\d+) of (\d+) bytes\. Read on with [^\n]*\]\Z")

READ_RESULT: Final = Granted(
    name=model_name(SERVER, "read_result"),
    tool=Tool(
        server=SERVER,
        name="read_result",
        description=(
            "Reads on in the result of an earlier tool call that was too long to be shown whole. "
            "`ref` and the next `offset` (in bytes) stand at the end of what was shown."
        ),
        schema={
            "type": "object",
            "properties": {"ref": {"type": "string"}, "offset": {"type": "integer", "minimum": 0}},
            "required": ["ref"],
            "additionalProperties": False,
        },
        definition="builtin",
        effect="read",
        # What it gives is labelled as the result that it reads.
        gives=Label(source="operator"),
        outward=False,
    ),
)

ASK_HUMAN: Final = Granted(
    name=model_name(SERVER, "ask_human"),
    tool=Tool(
        server=SERVER,
        name="ask_human",
        description=(
            "Asks a person a question, and gives the answer. It can take hours: ask only what you cannot find out yourself, "
            "and all that you need at once. With `choices` the answer is one of them."
        ),
        schema={
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "maxLength": 4000},
                "choices": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 200},
                    "minItems": 2,
                    "maxItems": 20,
                    "uniqueItems": True,
                },
            },
            "required": ["question"],
            "additionalProperties": False,
        },
        definition="builtin",
        effect="read",
        # A person of the tenant's says it, as a user does.
        gives=Label(source="user"),
        outward=False,
    ),
)


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of `ask_human`."""

    question: str
    choices: list[str] = []


def wish_of(arguments: str) -> Wish:
    """Give what an agent asks a person, by the arguments of its call, which fit the schema."""
    asked = msgspec.json.decode(arguments, type=_Question)
    return asked_by_agent(asked.question, asked.choices)


def ref_of(run: str, call: str) -> str:
    """Give the name under which a model reads on in the result of a call."""
    return f"{run}.{call}"


def read_ref(ref: str) -> tuple[str, str] | None:
    """Give the run and the call of such a name, None for what is none."""
    found = _REF(ref)
    return None if found is None else (found[1], found[2])


def shown(text: str, most: int, ref: str) -> str:
    """Give the beginning of a text that is longer than `most` bytes, and how to read on."""
    data = text.encode("utf-8", "surrogatepass")
    head = data[:most].decode("utf-8", "ignore")
    return head + note(ref, len(head.encode()), len(data))


def note(ref: str, offset: int, size: int) -> str:
    """Say where a text goes on that was shown up to `offset` bytes."""
    return f'\n[{offset} of {size} bytes. Read on with {READ_RESULT.name}(ref="{ref}", offset={offset}).]'


def without_note(text: str) -> str:
    """Give a text without how to read on in it, for who cannot: it then only says how much is missing."""
    return _NOTE.sub(lambda found: f"\n[{found[1]} of {found[2]} bytes; the rest is left out.]", text)
