"""What people answer to a question, in the words of whatever channel it came by: read as the form asks for it. Pure.

A form with one field is answered by the value alone; one with several by JSON, or by lines `name: value`. A page to go to, or a question that
wants nothing but a yes, is answered by saying yes. What the program of a client is asked is answered by its result, as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.items import Json
from gateway.core.tools import ROOTS, Wish

ANSWER: Final = "answer"
"""The one field of a question that an agent asks."""
MOST_ANSWER: Final = 20_000
MOST_RESULT: Final = 256 * 1024
"""Characters of the result of a request to the program of a client."""
MOST_ROOTS: Final = 1000

_YES: Final = frozenset({"yes", "y", "true", "1"})
_NO: Final = frozenset({"no", "n", "false", "0"})
_LINE: Final = re.compile(r"\s*([^:\n]{1,200}?)\s*:\s*(.*)")


def asked_by_agent(question: str, choices: list[str]) -> Wish:
    """Give a question of an agent: its answer is words, or one of the choices."""
    field: dict[str, Json] = {"type": "string", "enum": choices} if choices else {"type": "string", "minLength": 1}
    return Wish(
        message=question, schema={"type": "object", "properties": {ANSWER: field}, "required": [ANSWER]}, key=ANSWER
    )


def fields_of(wish: Wish) -> dict[str, dict[str, Json]]:
    """Give the fields of the form by name; none where there is no form."""
    fields = wish.schema.get("properties")
    return fields if isinstance(fields, dict) else {}


def read_answer(wish: Wish, text: str) -> tuple[dict[str, Json] | None, str]:
    """Give what a text says as the form's object (None where there is no form), and why it says nothing that can be read."""
    if wish.method:
        return _result(wish.method, text)
    fields = fields_of(wish)
    if not fields:
        return None, ""
    if len(text) > MOST_ANSWER:
        return None, f"The answer has more than {MOST_ANSWER} characters."
    found, why = _object(text.strip(), fields)
    if why:
        return None, why
    for name in found:
        if name not in fields:
            return None, f"Nobody asks for {name[:100]!r}: the fields are {', '.join(map(repr, fields))}."
    needed = wish.schema.get("required")
    missing = [name for name in needed if name not in found] if isinstance(needed, list) else []
    if missing:
        return None, f"An answer is missing: {', '.join(str(name)[:100] for name in missing)}."
    return found, ""


def _result(method: str, text: str) -> tuple[dict[str, Json] | None, str]:
    """Read the result of a request of MCP: a message of a model (`sampling/createMessage`), or folders (`roots/list`)."""
    if len(text) > MOST_RESULT:
        return None, f"The result has more than {MOST_RESULT} characters."
    try:
        found = msgspec.json.decode(text, type=dict[str, Json])
    except (msgspec.DecodeError, RecursionError):
        return None, "It is the client's own program that is asked here: nobody else can answer, only decline."
    if method == ROOTS:
        roots = found.get("roots")
        fits = isinstance(roots, list) and len(roots) <= MOST_ROOTS and all(map(_is_root, roots))
        return (found, "") if fits else (None, "The result is no list of roots.")
    content = found.get("content")
    blocks = content if isinstance(content, list) else [content]
    fits = found.get("role") in ("assistant", "user") and isinstance(found.get("model"), str)
    if not fits or not all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in blocks):
        return None, "The result is no message of a model."
    return found, ""


def _is_root(root: Json) -> bool:
    uri = root.get("uri") if isinstance(root, dict) else None
    return isinstance(uri, str) and uri.startswith("file://")


def _object(text: str, fields: Mapping[str, dict[str, Json]]) -> tuple[dict[str, Json], str]:
    if not text:
        return {}, ""
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=dict[str, Json]), ""
        except (msgspec.DecodeError, RecursionError):
            if len(fields) > 1:
                return {}, "The answer begins like JSON, and is none."
    if len(fields) == 1:
        (name,) = fields
        return _valued({name: text}, fields)
    lines: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        said = _LINE.fullmatch(line)
        if said is None:
            return {}, f"Answer with a line `name: value` for each of {', '.join(map(repr, fields))}."
        lines[said[1]] = said[2].strip()
    return _valued(lines, fields)


def _valued(said: Mapping[str, str], fields: Mapping[str, dict[str, Json]]) -> tuple[dict[str, Json], str]:
    found: dict[str, Json] = {}
    for name, text in said.items():
        kind = fields.get(name, {}).get("type", "string")
        value = _value(text, str(kind))
        if value is None:
            return {}, f"{name[:100]!r} must be {_KINDS.get(str(kind), 'another value')}."
        found[name] = value
    return found, ""


_KINDS: Final = {"boolean": "yes or no", "integer": "a whole number", "number": "a number"}


def _value(text: str, kind: str) -> Json:
    """Give the value that a text says, None where it says none of that kind."""
    if kind == "boolean":
        word = text.casefold()
        return True if word in _YES else False if word in _NO else None
    if kind in ("integer", "number"):
        try:
            number = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return None
        fits = isinstance(number, int if kind == "integer" else int | float) and not isinstance(number, bool)
        return number if fits else None
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
