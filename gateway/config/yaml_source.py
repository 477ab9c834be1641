"""YAML text to a tree of nodes that know their lines. It knows YAML 1.2's scalars and limits, and no setting.

PyYAML's own composer is not used: it keeps the last of two equal keys, recurses without a bound, lets aliases multiply
without a bound, and reads scalars by YAML 1.1 (`no` is false, `010` is eight, `12:30` is 750). This one works on
libyaml's events, under a budget, with the core schema of YAML 1.2.2, section 10.3.
"""

import re
from collections.abc import Iterator
from typing import Final, NoReturn, TypeAlias

import msgspec
import yaml

from gateway.config.faults import NOWHERE, FaultLog, Mark, child_path, item_path, shown

MOST_BYTES: Final = 1024 * 1024
MOST_NODES: Final = 20_000
MOST_DEPTH: Final = 50

# Longer numbers mean nothing here, and reading them costs quadratic time.
_LONGEST_NUMBER: Final = 40

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    word: value
    for value, words in ((True, ("true", "True", "TRUE")), (False, ("false", "False", "FALSE")))
    for word in words
}
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+\Z", re.ASCII)
_OCTAL: Final = re.compile(r"0o[0-7]+\Z", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+\Z", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", re.ASCII)
_INFINITE: Final = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)\Z", re.ASCII)
_NO_TAGS: Final = "YAML tags are not supported here; text goes in quotes"

ScalarValue: TypeAlias = str | int | float | bool | None


class ScalarNode(msgspec.Struct, frozen=True, kw_only=True):
    """A value by the core schema: text, a number, true or false, or None for null.

    `refused` says that a fault was noted already: what kind of value it is says nothing then.
    """

    mark: Mark
    value: ScalarValue
    refused: bool = False


class ListNode(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence."""

    mark: Mark
    items: "tuple[Node, ...]"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a mapping: where the key stands, and its value."""

    mark: Mark
    node: "Node"


class MapNode(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping, in the order of the file; keys are the text as written."""

    mark: Mark
    entries: dict[str, Entry]


Node: TypeAlias = ScalarNode | ListNode | MapNode


def parse_yaml(text: str, log: FaultLog) -> Node:
    """Return the one document in `text`. Faults that need not stop the reading (duplicate keys) go to `log`.

    Raises `ConfigError`, with what is in the log already, for broken syntax, several documents, or a budget exceeded.
    """
    composer = _Composer(text, log)
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        # Only libyaml's own sentences: its snippets of the text could show a value.
        mark = error.problem_mark or error.context_mark
        _stop(
            log,
            Mark(mark.line + 1, mark.column + 1) if mark else Mark(),
            f"not valid YAML: {error.problem or error.context}",
        )
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        _stop(log, Mark(line, 1), f"not valid YAML: {error.reason}")
    except yaml.YAMLError:
        _stop(log, Mark(), "not valid YAML")


def resolve_scalar(text: str) -> ScalarValue:
    """Return the value of a plain scalar by the core schema of YAML 1.2."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _DECIMAL.match(text):
        return int(text)
    if _OCTAL.match(text) or _HEXADECIMAL.match(text):
        return int(text, 0)
    if _FLOAT.match(text) or _INFINITE.match(text):
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf"))
    if text in {".nan", ".NaN", ".NAN"}:
        return float("nan")
    return text


def _stop(log: FaultLog, mark: Mark, message: str, path: str = "") -> NoReturn:
    log.add(mark, path, message)
    log.raise_if_any()
    raise AssertionError  # the log holds the fault that was just added


class _Anchored(msgspec.Struct, frozen=True, kw_only=True):
    """A node that an alias may repeat, with what repeating it costs."""

    node: Node
    size: int
    height: int


class _Composer:
    """Builds nodes from libyaml's events, counting what aliases repeat as if it had been written out."""

    def __init__(self, text: str, log: FaultLog) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._log = log
        self._anchors: dict[str, _Anchored | None] = {}
        self._size = 0
        self._deepest = 0

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            _stop(self._log, Mark(), "the file is empty: it needs at least 'providers' and 'models'")
        root = self._node(next(self._events), "", 1)
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            _stop(self._log, _mark(event), "a second document begins here: a configuration is one YAML document")
        return root

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        self._spend(event, path, size=1, depth=depth)
        if isinstance(event, yaml.AliasEvent):
            return self._repeat(event, path, depth)
        anchor: str | None = getattr(event, "anchor", None)
        before, outer_deepest = self._size, self._deepest
        self._deepest = depth
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._fresh(event, path, depth)
        if anchor is not None:
            size, height = self._size - before + 1, self._deepest - depth
            self._anchors[anchor] = _Anchored(node=node, size=size, height=height)
        self._deepest = max(outer_deepest, self._deepest)
        return node

    def _spend(self, event: yaml.Event, path: str, *, size: int, depth: int) -> None:
        self._size += size
        self._deepest = max(self._deepest, depth)
        if self._size > MOST_NODES:
            _stop(self._log, _mark(event), f"more than {MOST_NODES:,} values, with aliases written out", path)
        if depth > MOST_DEPTH:
            _stop(self._log, _mark(event), f"nested more than {MOST_DEPTH} levels deep", path)

    def _repeat(self, event: yaml.AliasEvent, path: str, depth: int) -> Node:
        if event.anchor not in self._anchors:
            _stop(self._log, _mark(event), "an alias names an anchor that is not defined before it", path)
        anchored = self._anchors[event.anchor]
        if anchored is None:
            _stop(self._log, _mark(event), "an alias repeats the value that it stands in", path)
        self._spend(event, path, size=anchored.size - 1, depth=depth + anchored.height)
        return anchored.node

    def _fresh(self, event: yaml.Event, path: str, depth: int) -> Node:
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._log.add(_mark(event), path, _NO_TAGS)
        if isinstance(event, yaml.ScalarEvent):
            value = resolve_scalar(event.value) if event.implicit[0] else event.value
            return ScalarNode(mark=_mark(event), value=value, refused=tag is not None)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, path, depth)
        return self._map(event, path, depth)

    def _list(self, start: yaml.Event, path: str, depth: int) -> ListNode:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, item_path(path, len(items)), depth + 1))
        return ListNode(mark=_mark(start), items=tuple(items))

    def _map(self, start: yaml.Event, path: str, depth: int) -> MapNode:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            below = path if key is None else child_path(path, key)
            node = self._node(next(self._events), below, depth + 1)
            if key is None:
                continue
            if key in entries:
                first = entries[key].mark.line
                self._log.add(_mark(event), below, f"duplicate key {shown(key)}: it is already on line {first}")
                continue
            entries[key] = Entry(mark=_mark(event), node=node)
        return MapNode(mark=_mark(start), entries=entries)

    def _key(self, event: yaml.Event, path: str, depth: int) -> str | None:
        """Return the key as written, or None (and a fault) when it cannot be one."""
        if isinstance(event, yaml.ScalarEvent):
            self._spend(event, path, size=1, depth=depth)
            if event.value == "<<" and event.implicit[0]:
                self._log.add(_mark(event), path, "merge keys (<<) are not part of YAML 1.2: write the keys out")
                return None
            if event.tag is not None:
                self._log.add(_mark(event), path, _NO_TAGS)
            if event.anchor is not None:
                node = ScalarNode(mark=_mark(event), value=event.value)
                self._anchors[event.anchor] = _Anchored(node=node, size=1, height=0)
            return str(event.value)
        self._node(event, path, depth + 1)
        self._log.add(_mark(event), path, "a key must be plain text")
        return None


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark else NOWHERE
