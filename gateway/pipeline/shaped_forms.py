"""What a body asks of its answer's form has to be understood: what nobody here could hold an answer to is refused, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, UnsupportedParameter
from gateway.core.target import FORMS
from gateway.providers.vllm.fields import RENAMED

EXTENSION: Final = "structured_outputs"
"""vLLM's name for what OpenAI's API has no word for; the embedded models take it too."""
COMPLETIONS: Final = "openai_completions"
_FORMAT: Final = "response_format"
_KINDS: Final = ("json", "json_object", "regex", "choice", "grammar", "structural_tag")
_EXPECTED: Final = {
    "json": "a JSON schema: an object, or its JSON as a text",
    "json_object": "true",
    "regex": "a text: a regular expression",
    "choice": "a list of texts, at least one",
    "grammar": "a text: a grammar",
    "structural_tag": "an object, or its JSON as a text",
}
_OPENAI: Final = frozenset({"openai_chat", COMPLETIONS})


def refuse_unclear(call: Call) -> None:
    """Raise InvalidRequest, naming the field, for a form that is malformed or unknown, and for two at once."""
    fields = call.fields
    if call.operation != "generate":
        return
    extended = fields.get(EXTENSION) is not None
    if extended:
        _check_extension(fields[EXTENSION])
    dialect = call.dialect
    if dialect in _OPENAI:
        if not RENAMED.keys().isdisjoint(fields):
            _refuse_renamed(fields)
        if fields.get(_FORMAT) is not None:
            _check_format(fields[_FORMAT])
    if extended and (name := _other_form(fields)) is not None:
        msg = f"`{name}` and `{EXTENSION}` both say what the answer is to be: leave one out."
        raise InvalidRequest(msg, param=EXTENSION)


def _refuse_renamed(fields: Mapping[str, Any]) -> None:
    for name, better in RENAMED.items():
        if fields.get(name) is not None:
            msg = f"Answers are not held to `{name}`. Use {better}."
            raise UnsupportedParameter(msg, param=name)


def _check_format(value: Any) -> None:
    if not isinstance(value, dict):
        msg = f"`{_FORMAT}` must be an object."
        raise InvalidRequest(msg, param=_FORMAT)
    # Only vLLM's own decoder keeps a structural tag, as it does a grammar.
    if value.get("type") not in ("text", "structural_tag", *FORMS):
        msg = "The type is text, json_object or json_schema: no answer is held to any other form."
        raise InvalidRequest(msg, param=f"{_FORMAT}.type")
    if value["type"] == "json_schema":
        told = value.get("json_schema")
        if not isinstance(told, dict) or not isinstance(told.get("schema", {}), (dict, type(None))):
            msg = "A JSON schema is an object: json_schema: {name, schema}."
            raise InvalidRequest(msg, param=f"{_FORMAT}.json_schema")


def _check_extension(value: Any) -> None:
    if not isinstance(value, dict):
        msg = f"`{EXTENSION}` must be an object."
        raise InvalidRequest(msg, param=EXTENSION)
    named = [name for name in _KINDS if value.get(name) not in (None, False)]
    if len(named) != 1:
        msg = f"`{EXTENSION}` takes exactly one of {', '.join(_KINDS)}."
        raise InvalidRequest(msg, param=EXTENSION)
    if not _is_understood(named[0], value[named[0]]):
        msg = f"`{EXTENSION}.{named[0]}` must be {_EXPECTED[named[0]]}."
        raise InvalidRequest(msg, param=f"{EXTENSION}.{named[0]}")


def _is_understood(name: str, value: Any) -> bool:
    if name == "json":
        return isinstance(value, dict) or (isinstance(value, str) and _is_object(value))
    if name == "json_object":
        return value is True
    if name == "choice":
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
    return isinstance(value, str) or (name == "structural_tag" and isinstance(value, dict))


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False


def _other_form(fields: Mapping[str, Any]) -> str | None:
    for name in (_FORMAT, "output_format"):
        if isinstance(value := fields.get(name), dict) and value.get("type") in FORMS:
            return name
    for name in ("text", "output_config"):
        inner = value.get("format") if isinstance(value := fields.get(name), dict) else None
        if isinstance(inner, dict) and inner.get("type") in FORMS:
            return f"{name}.format"
    return None
