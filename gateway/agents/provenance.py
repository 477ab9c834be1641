"""Where the content of a run came from: the label of each item, and what a model has read that strangers may have written.

It decides nothing; `gateway.policies` does. Nothing is guessed from how a text reads: a label follows from who put the item there. Whatever a
model says after it has read something untrusted is untrusted as well, for as long as what it read stays in its context: taint only grows.

One exception is made, and it is counted: a result that carries no words can be wrong, but it cannot give orders. It is one whose every
value is a number, a truth value, or a word that the accepted definition of its tool lists; all such results of a context
together may hold at most `MOST_SYMBOLS` digits and values, so that no order can be spelt out in them. It still is where an argument came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.core.items import Json
from gateway.core.tools import Label, Tool
from gateway.stores.runs import RunItem

MOST_SYMBOLS: Final = 16
"""Digits, and values that are no numbers, of all wordless results of a context together: about 53 bits, seven letters."""
LONGEST_MUTE: Final = 2048
"""Characters of a result beyond which nobody looks whether it is without words."""
MOST_TEXT: Final = 4 * 1024 * 1024
"""Characters of a context in which values are looked for; what is beyond is `cut`."""
_DEEPEST: Final = 100
_DIGIT: Final = re.compile(r"[0-9]")

USER: Final = Label(source="user")
MODEL: Final = Label(source="model")
_UNTRUSTED_INPUT: Final = Label(source="assistant", integrity="untrusted")
_ATTACHED: Final = Label(source="attachment", integrity="untrusted")
_CLIENT: Final = Label(source="client", integrity="untrusted")
_WORDS: Final = frozenset({"text", "input_text", "output_text"})
_OF_THE_MODEL: Final = frozenset({"custom_tool_call", "function_call", "mcp_approval_request", "reasoning"})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a model's context. `symbols` is None for what may carry words, else how many it holds."""

    label: Label
    text: str = ""
    symbols: int | None = None
    cut: bool = False

    @property
    def untrusted(self) -> bool:
        """Whether strangers may have written it."""
        return self.label.integrity == "untrusted"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """All that a model had before it when it asked for a call. `taint` (of what may carry words) and `sensitive` are sources, sorted.

    `cut` says that there was more text than is looked through.
    """

    seen: tuple[Seen, ...] = ()
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    cut: bool = False

    @property
    def suspect(self) -> bool:
        """Whether there is anything untrusted at all, words or not."""
        return any(one.untrusted for one in self.seen)


def context_of(items: Iterable[RunItem], tools: Mapping[str, Tool]) -> Context:
    """Give what was read. `tools` are this server's own, by id; the result of any other tool is a stranger's."""
    seen: list[Seen] = []
    left = MOST_TEXT
    for item in items:
        one = _seen(item, tools, left)
        left -= len(one.text)
        seen.append(one)
    if sum(one.symbols or 0 for one in seen) > MOST_SYMBOLS:
        # What is within the bound alone may be beyond it together.
        seen = [msgspec.structs.replace(one, symbols=None) for one in seen]
    # What came by way of a memory is still from where it was before that: a policy that names a source is not got around so.
    loud = {source for one in seen if one.untrusted and one.symbols is None for source in sources_of(one.label)}
    secret = {source for one in seen if one.label.confidentiality == "sensitive" for source in sources_of(one.label)}
    return Context(
        seen=tuple(seen),
        taint=tuple(sorted(loud)),
        sensitive=tuple(sorted(secret)),
        cut=any(one.cut for one in seen),
    )


def label_of(item: RunItem, tools: Mapping[str, Tool]) -> Label:
    """Give an item's label: the one that it was written with, else what its kind and role say; in doubt it is untrusted."""
    if item.label is not None:
        return item.label
    body = item.body
    kind = body.get("type", "message")
    if kind == "message":
        return _of_message(item)
    if kind in _OF_THE_MODEL:
        return MODEL if item.place == "output" else _UNTRUSTED_INPUT
    if kind == "mcp_call":
        # What a client says that a tool of ours gave, it may have from anywhere.
        return _of_call(f"{body.get('server_label')}/{body.get('name')}", tools) if item.place == "output" else _CLIENT
    if kind == "mcp_approval_response":
        return USER
    if kind == "mcp_list_tools":
        ours = any(tool.server == body.get("server_label") for tool in tools.values())
        return Label(source="operator" if ours else "provider", integrity="trusted" if ours else "untrusted")
    if kind in {"function_call_output", "custom_tool_call_output"}:
        return _CLIENT
    return Label(source=str(kind)[:64], integrity="untrusted")


def sources_of(label: Label) -> tuple[str, ...]:
    """Give the source of a label, and those behind it."""
    return (label.source, *label.sources)


def derived(context: Context) -> Label:
    """Give the label of what a model says in a context: as little to be trusted as what it read, and as secret.

    To be written with such an item wherever it is not `MODEL`, so that it keeps what it is when what was read is left out later.
    """
    return Label(
        source="model",
        integrity="untrusted" if context.taint else "trusted",
        confidentiality="sensitive" if context.sensitive else "internal",
    )


def symbols_of(tool: Tool, text: str) -> int | None:
    """Count the symbols of a result without words; None for one that may carry any.

    Raises nothing: what is no JSON of the form that the tool's accepted definition promises may carry words.
    """
    if tool.output_schema is None or len(text) > LONGEST_MUTE:
        return None
    try:
        value: Json = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    plain = msgspec.json.encode(value).decode()
    if len(text) > 2 * len(plain) or "".join(text.split()) != "".join(plain.split()):
        # It reads otherwise than it decodes: a name that stands twice hides what stood there first, and blanks can be counted out.
        return None
    allowed = frozenset(_listed_words(tool.output_schema))
    symbols = 0
    for kind, part in _parts(value):
        if isinstance(part, str):
            if part not in allowed:
                return None
            symbols += kind == "value"
        else:
            symbols += max(1, len(_DIGIT.findall(repr(part))))
    shape = sum(map(text.count, ("[", "{", "null"))) - 1
    return max(symbols, len(_DIGIT.findall(text))) + max(shape, 0)


def _seen(item: RunItem, tools: Mapping[str, Tool], most: int) -> Seen:
    label = label_of(item, tools)
    body = item.body
    if label.source == "model" and label.integrity == "trusted":
        # A model's own words are no source: what it says that nobody said before, it made.
        return Seen(label=label)
    called = body.get("type") == "mcp_call"
    said = (body.get("output"), body.get("error")) if called else _said(body)
    text, cut = _text(said, most)
    tool = tools.get(label.source) if called and not body.get("error") and not cut else None
    mute = tool is not None and label.integrity == "untrusted"
    return Seen(label=label, text=text, cut=cut, symbols=symbols_of(tool, text) if mute and tool is not None else None)


def _of_message(item: RunItem) -> Label:
    body = item.body
    if body.get("role") == "assistant":
        # Of what a client brings along as the model's words nobody knows what the model had read before it said them.
        return MODEL if item.place == "output" else _UNTRUSTED_INPUT
    content = body.get("content")
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") not in _WORDS for part in parts):
        return _ATTACHED
    return USER


def _of_call(tool: str, tools: Mapping[str, Tool]) -> Label:
    known = tools.get(tool)
    if known is None:
        return Label(source=tool[:200], integrity="untrusted")
    return msgspec.structs.replace(known.gives, source=tool)


def _said(body: dict[str, Json]) -> Json:
    for name in ("content", "output", "summary"):
        if name in body:
            return body[name]
    return body


def _text(root: Json, most: int) -> tuple[str, bool]:
    """Give every text in a value, names too, one a line and in their order, and whether more than `most` characters were left out."""
    found: list[str] = []
    left = most
    for _, part in _parts(root):
        text = part if isinstance(part, str) else repr(part)
        found.append(text[: max(left, 0)])
        left -= len(text) + 1
        if left < 0:
            return "\n".join(found), True
    return "\n".join(found), False


def _parts(root: Json) -> Iterator[tuple[str, Json]]:
    """Give every name and every value that holds no other, in the order in which they stand."""
    waiting: list[tuple[str, Json]] = [("value", root)]
    while waiting:
        kind, value = waiting.pop()
        if isinstance(value, dict):
            for name, inner in reversed(value.items()):
                waiting += (("value", inner), ("name", name))
        elif isinstance(value, list | tuple):
            waiting.extend(("value", inner) for inner in reversed(value))
        elif value is not None or root is None:
            yield kind, value


def _listed_words(schema: Json) -> Iterator[str]:
    """Give the words that a definition itself writes out: names of properties, and those of `enum` and `const`."""
    waiting: list[tuple[Json, int]] = [(schema, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            continue
        if isinstance(node, list):
            waiting.extend((inner, depth + 1) for inner in node)
        if not isinstance(node, dict):
            continue
        names = node.get("properties")
        if isinstance(names, dict):
            yield from names
            waiting.extend((inner, depth + 1) for inner in names.values())
        listed = node.get("enum")
        for value in (*(listed if isinstance(listed, list) else ()), node.get("const")):
            if isinstance(value, str):
                yield value
        waiting.extend(
            (inner, depth + 1) for name, inner in node.items() if name not in {"properties", "enum", "const"}
        )


def declared_names(schemas: Sequence[Json]) -> frozenset[str]:
    """Give the names of properties, and other words, that accepted definitions write out."""
    return frozenset(word for schema in schemas for word in _listed_words(schema))
