"""Structured output: compiles a client's JSON schema to the grammar that constrains decoding.

It generates nothing. The grammar admits a subset of what the schema admits (see `bounded_schema`); whatever the grammar
compiler cannot enforce is refused, because llama.cpp would then generate unconstrained without an error. The judge of finished
text is `gateway.schemas.judge`: a grammar does not see what was cut off by a token limit or a stop string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import UnsupportedSchema
from gateway.providers.embedded.bounded_schema import bounded, subschemas
from gateway.providers.embedded.enforceable import enforceable
from gateway.providers.embedded.room import ROOM, fitting

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_SCHEMAS = 2_000
# The compiler compares every two of them: forty take a second.
MAX_NAME_PATTERNS = 32

_TRIED_STEPS = 12

# Free white space is what a tiny model runs away in; these separators are the ones that it has seen most.
_COMPILER_OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Branches of oneOf that overlap: that only one holds is the judge's to say.
_OVERLAPPING = {**_COMPILER_OPTIONS, "coerce_one_of": True}


def compile_schema(schema: Mapping[str, Any], *, end: int | None = None, room: int = ROOM) -> str:
    """Give the llguidance (Lark) grammar of the JSON documents that satisfy `schema`; `end` as in `lark_grammar`.

    `room` is how many tokens an answer can have. Raises UnsupportedSchema with the reason: too large, too deep, a remote reference, or
    a keyword that cannot be enforced.
    """
    return lark_grammar(f"answer: %json {compile_json(schema, room=room)}", end=end)


def compile_json(schema: Mapping[str, Any], *, room: int = ROOM) -> str:
    """Give the checked schema as the JSON text that stands behind `%json` in a grammar of its own. Raises UnsupportedSchema."""
    return enforced(schema, room=room)[0]


def enforced(schema: Mapping[str, Any], *, room: int = ROOM) -> tuple[str, tuple[str, ...]]:
    """Give what `compile_json` gives, and the keywords that only the judge of the finished text enforces."""
    _check_limits(schema)
    rewritten, lost = enforceable(schema)
    rewritten = fitting(rewritten, room)
    reason = ""
    # What was bounded may not compile where the original does (a bound beside an exotic keyword): the original is as right.
    for candidate in (bounded(rewritten), rewritten):
        for options, dropped in ((_COMPILER_OPTIONS, lost), (_OVERLAPPING, (*lost, "oneOf"))):
            text = msgspec.json.encode({**candidate, "x-guidance": options}).decode()
            reason = _fault(_matcher().grammar_from_json_schema(text))
            if not reason:
                return text, dropped
            if "oneOf" not in reason:
                break
    msg = f"The schema cannot be enforced: {reason}"
    raise UnsupportedSchema(msg)


def lark_grammar(rules: str, *, end: int | None = None) -> str:
    """Give a grammar of `rules`, which define `answer`, checked. Raises UnsupportedSchema where it does not compile.

    `end` is the model's end token. It has to stand in the grammar: llguidance lets a model end only where nothing more can
    come, so plain text or a number on its own would run on until the token limit.
    """
    start = "start: answer" if end is None else f"start: answer end\nend: <[{end}]>"
    grammar = f"%llguidance {{}}\n{start}\n{rules}"
    reason = _fault(_matcher().grammar_from_lark(grammar)) or _stumble(f"%llguidance {{}}\nstart: answer\n{rules}")
    if reason:
        msg = f"The grammar cannot be compiled: {reason}"
        raise UnsupportedSchema(msg)
    return grammar


def regex_rule(pattern: str) -> str:
    """Give the rule of what matches `pattern` as a whole; digits, letters and spaces are ASCII's, as in ECMA-262."""
    # Heavy and optional, as in `_matcher`.
    from llguidance import regex_to_lark  # noqa: PLC0415

    return f"answer: /{regex_to_lark(pattern)}/"


def lark_of(grammar: str) -> str:
    """Give a caller's grammar in Lark's form; GBNF (llama.cpp's) is translated. Raises UnsupportedSchema where it is neither."""
    # Heavy and optional, as in `_matcher`.
    from llguidance.gbnf_to_lark import any_to_lark  # noqa: PLC0415

    try:
        return str(any_to_lark(grammar))
    # Its own error is no more than an Exception; what is malformed can make it fail in other ways too.
    except Exception as exc:
        msg = f"The grammar is neither Lark nor GBNF: {' '.join(str(exc).split())[:300]}"
        raise UnsupportedSchema(msg) from exc


def admits(grammar: str, text: str) -> bool:
    """Whether the whole of `text` is derived by a grammar without an end token."""
    # Heavy and optional, as in `_matcher`.
    from llguidance import LLTokenizer  # noqa: PLC0415

    matcher = _matcher()(LLTokenizer("byte"), grammar, log_level=0)
    return all(matcher.consume_token(byte) for byte in text.encode()) and bool(matcher.is_accepting())


def _matcher() -> Any:
    # Heavy and optional: only the child that generates has it loaded, the gateway uses `violations` alone.
    from llguidance import LLMatcher  # noqa: PLC0415

    return LLMatcher


def _fault(grammar: str) -> str:
    is_error, messages = _matcher().validate_grammar_with_warnings(grammar)
    return " ".join(str(messages[0]).split())[:300] if is_error else ""


def _stumble(grammar: str) -> str:
    """Give the reason why the parser gives up on a grammar in its first steps: an engine that met it would go on unconstrained."""
    # Heavy and optional, as in `_matcher`.
    from llguidance import LLTokenizer  # noqa: PLC0415

    matcher = _matcher()(LLTokenizer("byte"), grammar, log_level=0)
    for _ in range(_TRIED_STEPS):
        mask = matcher.compute_bitmask()
        if matcher.is_error():
            return " ".join(str(matcher.get_error()).partition("<state>")[0].split())[:300]
        allowed = [byte for byte in range(256) if mask[byte // 8] >> (byte % 8) & 1]
        if not allowed or matcher.is_stopped():
            return ""
        matcher.consume_token(allowed[len(allowed) // 2])
    return ""


def _check_limits(schema: Mapping[str, Any]) -> None:
    try:
        size = len(msgspec.json.encode(schema))
    except RecursionError as exc:
        msg = f"The schema is nested more than {MAX_DEPTH} levels deep."
        raise UnsupportedSchema(msg) from exc
    if size > MAX_BYTES:
        msg = f"The schema has {size} bytes; at most {MAX_BYTES} are compiled."
        raise UnsupportedSchema(msg)
    level: list[Any] = [schema]
    count = patterns = 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        patterns += sum(len(part.get("patternProperties") or ()) for part in level if isinstance(part, dict))
        if patterns > MAX_NAME_PATTERNS:
            msg = f"The schema has more than {MAX_NAME_PATTERNS} patterns for names of members."
            raise UnsupportedSchema(msg)
        if count > MAX_SCHEMAS:
            msg = f"The schema has more than {MAX_SCHEMAS} parts."
            raise UnsupportedSchema(msg)
        level = [child for part in level for child in subschemas(part)]
        if not level:
            return
    msg = f"The schema is nested more than {MAX_DEPTH} levels deep."
    raise UnsupportedSchema(msg)
