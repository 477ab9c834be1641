"""One version of a prompt, ready to be rendered: `{{name}}` becomes the value, and nothing else happens. What a value says is never read as a template.

Source: OpenAI's types of `prompt`: a variable is a text, or a part of a message (`input_text`, `input_image`, `input_file`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from gateway.config.prompt_settings import PromptTemplate, PromptVariable, VariableKind
from gateway.config.prompt_text import Piece, pieces_of
from gateway.core.errors import BodyTooLarge, InvalidRequest
from gateway.core.items import Json
from gateway.dialects.openai_responses.parts import decode_part

_VARIABLES: Final = "prompt.variables"
_PARTS: Final[dict[VariableKind, str]] = {"image": "input_image", "file": "input_file"}
_TEXT_PART: Final = "input_text"

Value = str | dict[str, Json]
"""A text, or the part that an image or a file is in a message."""


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a template: a text, and messages as a client would send them. Messages that say nothing are left out."""

    instructions: str
    messages: tuple[dict[str, Json], ...]


class Compiled:
    """A template whose texts were taken apart. `written` is as it was written, without a fault."""

    def __init__(self, written: PromptTemplate) -> None:
        self.written = written
        self._instructions = pieces_of(written.instructions.strip("\n"))
        self._messages = [(message.role, pieces_of(message.text.strip("\n"))) for message in written.messages]

    def render(self, variables: dict[str, Json], *, most: int) -> Rendered:
        """Put the values in. Raises InvalidRequest whose `param` names the variable, and BodyTooLarge beyond `most` bytes."""
        values = self._values(variables)
        self._check_size(values, most)
        messages = [_message(role, pieces, values) for role, pieces in self._messages]
        return Rendered(
            instructions="".join(_text(piece, values) for piece in self._instructions),
            messages=tuple(message for message in messages if message["content"]),
        )

    def _values(self, given: dict[str, Json]) -> dict[str, Value]:
        declared = self.written.variables
        for name in given:
            if name not in declared:
                near = difflib.get_close_matches(name[:100], declared, n=1)
                known = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(declared) or 'none'}."
                refuse(name, f"is no variable of this prompt. {known}")
        return {name: _value(name, variable, given.get(name)) for name, variable in declared.items()}

    def _check_size(self, values: dict[str, Value], most: int) -> None:
        """Add up what would be rendered before it is: a short template can name a long value many times."""
        sizes = {name: _size(value) for name, value in values.items()}
        texts = [self._instructions, *(pieces for _, pieces in self._messages)]
        total = sum(len(piece) if isinstance(piece, str) else sizes[piece.name] for pieces in texts for piece in pieces)
        if total > most:
            msg = f"With its prompt's variables put in, the request is larger than the limit of {most} bytes."
            raise BodyTooLarge(msg, param=_VARIABLES)


def refuse(name: str, what: str, under: str = _VARIABLES) -> NoReturn:
    """Raise InvalidRequest for a field below `under`, saying `what` is wrong with it."""
    path = f"{under}.{name[:100]}"
    msg = f"`{path}` {what}"
    raise InvalidRequest(msg, param=path)


def _value(name: str, variable: PromptVariable, given: Json) -> Value:
    """Give what stands for a variable. Raises InvalidRequest."""
    if given is None:
        if variable.default is None and variable.required:
            about = f": {variable.description}" if variable.description else "."
            refuse(name, f"is required by this prompt{about}")
        return variable.default or ""
    kind = given.get("type") if isinstance(given, dict) else None
    if variable.type == "text":
        text = given.get("text") if isinstance(given, dict) and kind == _TEXT_PART else given
        if not isinstance(text, str):
            refuse(name, f"must be a text: a string, or an object of type {_TEXT_PART}.")
        return text
    wanted = _PARTS[variable.type]
    if not isinstance(given, dict) or kind != wanted:
        refuse(name, f"must be an object of type {wanted}.")
    decode_part(given, f"{_VARIABLES}.{name}")
    return given


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str) else len(msgspec.json.encode(value))


def _text(piece: Piece, values: dict[str, Value]) -> str:
    """Give a piece where only texts may stand."""
    if isinstance(piece, str):
        return piece
    value = values[piece.name]
    return value if isinstance(value, str) else ""


def _message(role: str, pieces: Sequence[Piece], values: dict[str, Value]) -> dict[str, Json]:
    parts: list[dict[str, Json]] = []
    for piece in pieces:
        value = piece if isinstance(piece, str) else values[piece.name]
        if isinstance(value, dict):
            parts.append(value)
        elif value and parts and parts[-1]["type"] == _TEXT_PART:
            parts[-1] = {"type": _TEXT_PART, "text": parts[-1]["text"] + value}
        elif value:
            parts.append({"type": _TEXT_PART, "text": value})
    if len(parts) == 1 and parts[0]["type"] == _TEXT_PART:
        return {"role": role, "content": parts[0]["text"]}
    return {"role": role, "content": parts}
