"""YAML nodes to settings, by the settings' shapes. It goes on after a fault, so that one run finds every fault.

A value that is faulty becomes INVALID and is left out; a struct is still built from what remains, as far as it can be,
so that its checks see the rest. Nothing so built leaves `load` when the log holds a fault.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import singledispatchmethod
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from gateway.config.checks import KEY_CHARACTERS, UNUSABLE_KEY, check, complete
from gateway.config.faults import FaultLog, Mark, child_path, item_path, shown
from gateway.config.paths import resolve_path
from gateway.config.secret import SOURCES, FindSecret, Secret, read_secret
from gateway.config.shapes import (
    KIND,
    ChoiceShape,
    FieldShape,
    FlagShape,
    JsonShape,
    KindShape,
    ListShape,
    MapShape,
    NumberShape,
    OptionalShape,
    PathShape,
    RecordShape,
    Reference,
    SecretShape,
    Shape,
    TextShape,
    fields_of,
)
from gateway.config.yaml_source import Entry, ListNode, MapNode, Node, ScalarNode

INVALID: Final = object()


class Place(NamedTuple):
    """Where a value belongs: its path, and where it is introduced (its key). A folded place is that of a shorthand."""

    path: str
    mark: Mark
    folded: bool = False

    def child(self, key: str, mark: Mark) -> "Place":
        """Return the place of a key below this one; what a shorthand stands for has the shorthand's place."""
        return self if self.folded else Place(child_path(self.path, key), mark)

    def item(self, index: int, mark: Mark) -> "Place":
        """Return the place of a list's item, counted from zero."""
        return self if self.folded else Place(item_path(self.path, index), mark)


class Mention(NamedTuple):
    """A name that must be a key of another section."""

    reference: Reference
    name: str
    place: Place


class Conversion:
    """Converts the nodes of one file. `base` is the directory that relative paths count from."""

    def __init__(
        self, log: FaultLog, *, base: Path, environ: Mapping[str, str], find_secret: FindSecret | None = None
    ) -> None:
        self._log = log
        self._base = base
        self._environ = environ
        self._find_secret = find_secret
        self._mentions: list[Mention] = []

    def settings(self, shape: Shape, root: Node) -> Any:
        """Return what the document says, or something incomplete when the log holds a fault."""
        value = self.read(shape, root, Place("", root.mark))
        for mention in self._mentions:
            self._look_up(mention, root)
        return value

    @singledispatchmethod
    def read(self, shape: Shape, node: Node, place: Place) -> Any:
        """Return the value of `node`, or INVALID after noting why it has none."""
        raise TypeError(f"no reading of {shape}")

    @read.register
    def _(self, shape: OptionalShape, node: Node, place: Place) -> Any:
        return None if _is_null(node) else self.read(shape.inner, node, place)

    @read.register
    def _(self, shape: TextShape, node: Node, place: Place) -> Any:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            quotes = "; put it in quotes" if isinstance(node, ScalarNode) and node.value is not None else ""
            return self._unexpected(shape.expected, node, place, quotes)
        if not fits(shape, node.value):
            return self._fault(node, place, f"expected {shape.expected}" if node.value else "must not be empty")
        if shape.reference:
            self._mentions.append(Mention(shape.reference, node.value, Place(place.path, node.mark)))
        return node.value.rstrip("/") if shape.url else node.value

    @read.register
    def _(self, shape: NumberShape, node: Node, place: Place) -> Any:
        value = node.value if isinstance(node, ScalarNode) else None
        # True is an int to Python, but not to whoever wrote it.
        if isinstance(value, bool) or not isinstance(value, int if shape.whole else int | float):
            return self._unexpected("a whole number" if shape.whole else "a number", node, place)
        if not _in_range(shape, value):
            return self._fault(node, place, f"expected {_range_in_words(shape)}")
        return value if shape.whole else float(value)

    @read.register
    def _(self, shape: FlagShape, node: Node, place: Place) -> Any:
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        return self._unexpected("true or false", node, place)

    @read.register
    def _(self, shape: ChoiceShape, node: Node, place: Place) -> Any:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            return self._unexpected(_one_of(shape.words), node, place)
        if node.value not in shape.words:
            hint = self._log.near(node.value, shape.words)
            return self._fault(node, place, f"expected {_one_of(shape.words)}, found {shown(node.value)}{hint}")
        return node.value

    @read.register
    def _(self, shape: SecretShape, node: Node, place: Place) -> Any:
        text = node.value if isinstance(node, ScalarNode) else None
        if shape.or_text and not (isinstance(text, str) and text.startswith(SOURCES)):
            return self.read(shape.or_text, node, place)
        try:
            # A number or the like is a literal secret too: the same sentence explains it.
            reference = text if isinstance(text, str) else ""
            secret = read_secret(reference, base=self._base, environ=self._environ, find_secret=self._find_secret)
        except ValueError as error:
            return self._fault(node, place, str(error))
        if shape.or_text is None and not KEY_CHARACTERS.match(secret.reveal()):
            return self._fault(node, place, f"the value from {secret.source} {UNUSABLE_KEY}")
        if shape.or_text is not None and not _secret_fits(shape.or_text, secret):
            return self._fault(node, place, f"the value from {secret.source} is not {shape.or_text.expected}")
        return secret

    @read.register
    def _(self, shape: PathShape, node: Node, place: Place) -> Any:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            return self._unexpected("a file path", node, place)
        try:
            return _existing_file(resolve_path(node.value, base=self._base, environ=self._environ))
        except ValueError as error:
            return self._fault(node, place, str(error))

    @read.register
    def _(self, shape: JsonShape, node: Node, place: Place) -> Any:
        if isinstance(node, MapNode):
            below = {
                key: self.read(shape, item.node, place.child(key, item.mark)) for key, item in node.entries.items()
            }
            return INVALID if any(value is INVALID for value in below.values()) else below
        if isinstance(node, ListNode):
            values = [self.read(shape, item, place.item(i, item.mark)) for i, item in enumerate(node.items)]
            return INVALID if any(value is INVALID for value in values) else values
        if isinstance(node.value, float) and not math.isfinite(node.value):
            return self._fault(node, place, "expected a value that JSON has too")
        return INVALID if node.refused else node.value

    @read.register
    def _(self, shape: ListShape, node: Node, place: Place) -> Any:
        if not isinstance(node, ListNode):
            return self._unexpected("a list", node, place)
        if len(node.items) < shape.min_length:
            return self._fault(node, place, "expected at least one item")
        values = [self.read(shape.item, item, place.item(i, item.mark)) for i, item in enumerate(node.items)]
        return INVALID if INVALID in values else tuple(values)

    @read.register
    def _(self, shape: MapShape, node: Node, place: Place) -> Any:
        node = self._named(node, place) if shape.names else node
        empty = isinstance(node, MapNode) and not node.entries
        if shape.min_length and (empty or _is_null(node)):
            self._log.add(place.mark, place.path, "expected at least one entry")
            return {}
        if not isinstance(node, MapNode):
            return self._unexpected("a mapping", node, place)
        values = {key: self._entry(shape, key, entry, place) for key, entry in node.entries.items()}
        return {key: value for key, value in values.items() if value is not INVALID}

    @read.register
    def _(self, shape: KindShape, node: Node, place: Place) -> Any:
        if not isinstance(node, MapNode):
            return self._unexpected("a mapping with a kind", node, place)
        entry = node.entries.get(KIND)
        if entry is None:
            self._log.add(place.mark, place.path, f"missing key 'kind': {_one_of(shape.records)}")
            return INVALID
        kind = self.read(ChoiceShape(words=tuple(shape.records)), entry.node, place.child(KIND, entry.mark))
        return INVALID if kind is INVALID else self.read(shape.records[kind], node, place)

    @read.register
    def _(self, shape: RecordShape, node: Node, place: Place) -> Any:
        if shape.shorthand and isinstance(node, ScalarNode) and isinstance(node.value, str):
            try:
                long_form = shape.shorthand.expand(node.value)
            except ValueError as error:
                return self._fault(node, place, str(error))
            return self.read(
                RecordShape(cls=shape.cls), _nodes(long_form, node.mark), Place(place.path, node.mark, folded=True)
            )
        if not isinstance(node, MapNode):
            return self._unexpected("a mapping", node, place)
        return self._record(shape.cls, node, place)

    def _named(self, node: Node, place: Place) -> Node:
        """Return a list of names, and names without a value, as a mapping to what is empty."""
        if isinstance(node, MapNode):
            entries = {
                key: Entry(mark=entry.mark, node=MapNode(mark=entry.mark, entries={}))
                if _is_null(entry.node)
                else entry
                for key, entry in node.entries.items()
            }
            return MapNode(mark=node.mark, entries=entries)
        if not isinstance(node, ListNode):
            return node
        entries = {}
        for index, item in enumerate(node.items):
            name = item.value if isinstance(item, ScalarNode) else None
            if not isinstance(name, str):
                self._unexpected("a name", item, place.item(index, item.mark))
            elif name in entries:
                self._fault(item, place.item(index, item.mark), f"{shown(name)} is there already")
            else:
                entries[name] = Entry(mark=item.mark, node=MapNode(mark=item.mark, entries={}))
        return MapNode(mark=node.mark, entries=entries)

    def _entry(self, shape: MapShape, key: str, entry: Entry, place: Place) -> Any:
        below = place.child(key, entry.mark)
        if not fits(shape.key, key):
            self._log.add(entry.mark, below.path, f"expected {shape.key.expected} as the key")
        return self.read(shape.value, entry.node, below)

    def _record(self, cls: type[msgspec.Struct], node: MapNode, place: Place) -> Any:
        fields = fields_of(cls)
        values: dict[str, Any] = {}
        faulty: set[str] = set()
        for key, entry in node.entries.items():
            below = place.child(key, entry.mark)
            if key not in fields:
                hint = self._log.near(key, fields) or _known(fields)
                self._log.add(entry.mark, below.path, f"unknown key {shown(key)}{hint}")
            elif not _left_empty(fields[key], entry.node):
                before = len(self._log)
                values[key] = self.read(fields[key].shape, entry.node, below)
                faulty |= {key} if len(self._log) > before or values[key] is INVALID else set()
        values = {name: value for name, value in values.items() if value is not INVALID}
        required = [name for name, field in fields.items() if field.required]
        for name in required:
            if name not in node.entries:
                self._log.add(place.mark, place.path, f"missing key {shown(name)}")
        if not values.keys() >= set(required):
            return INVALID
        settings = complete(cls(**values), self._environ)
        for finding in check(settings):
            if faulty.isdisjoint(finding.needs):
                culprit = follow(node, place, finding.path)
                self._log.add(culprit.mark, culprit.path, finding.message)
        return settings

    def _look_up(self, mention: Mention, root: Node) -> None:
        section = root.entries.get(mention.reference.to) if isinstance(root, MapNode) else None
        if section is None or not isinstance(section.node, MapNode):
            return  # the missing section is a fault already
        names = section.node.entries
        if mention.name not in names:
            hint = self._log.near(mention.name, names) or _known(names)
            noun = mention.reference.noun
            self._log.add(mention.place.mark, mention.place.path, f"no {noun} is named {shown(mention.name)}{hint}")

    def _unexpected(self, wanted: str, node: Node, place: Place, more: str = "") -> Any:
        return self._fault(node, place, f"expected {wanted}, found {_in_words(node)}{more}")

    def _fault(self, node: Node, place: Place, message: str) -> Any:
        if not (isinstance(node, ScalarNode) and node.refused):
            self._log.add(node.mark, place.path, message)
        return INVALID


def _existing_file(path: Path) -> Path:
    """Return `path`. Raises ValueError when no file is there."""
    try:
        if path.is_file():
            return path
        problem = "is not a file" if path.exists() else "does not exist"
    except OSError as error:
        problem = f"cannot be looked at ({error.strerror})"
    raise ValueError(f"the file {shown(str(path))} {problem}")


def _left_empty(field: FieldShape, node: Node) -> bool:
    """Whether a section was opened and nothing written in it: then it has its defaults."""
    return _is_null(node) and not field.required and isinstance(field.shape, RecordShape | MapShape | ListShape)


def follow(node: Node, place: Place, path: tuple[str | int, ...]) -> Place:
    """Return the place of what `path` leads to, or of the nearest thing above it that is written."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(node, ListNode):
                return place
            node = node.items[step]
            place = place.item(step, node.mark)
            continue
        entry = node.entries.get(step) if isinstance(node, MapNode) else None
        if entry is None:
            return place
        node, place = entry.node, place.child(step, entry.mark)
    return place


def _nodes(value: Any, mark: Mark) -> Node:
    """Return plain mappings, lists and text as nodes that all stand at `mark`."""
    if isinstance(value, dict):
        return MapNode(
            mark=mark, entries={key: Entry(mark=mark, node=_nodes(item, mark)) for key, item in value.items()}
        )
    if isinstance(value, list):
        return ListNode(mark=mark, items=tuple(_nodes(item, mark) for item in value))
    return ScalarNode(mark=mark, value=value)


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def fits(shape: TextShape, text: str) -> bool:
    """Whether a text is what a shape accepts."""
    if len(text) < shape.min_length or (shape.pattern and not re.search(shape.pattern, text)):
        return False
    if text.endswith("\n") and not shape.lines:
        return False
    return not shape.url or _is_address(text)


def _secret_fits(shape: TextShape, secret: Secret) -> bool:
    # An address may hold a user and a password when it is a secret; other text keeps its pattern.
    return _is_address(secret.reveal()) if shape.url else fits(shape, secret.reveal())


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _in_range(shape: NumberShape, value: float) -> bool:
    return (
        math.isfinite(value)
        and (shape.ge is None or value >= shape.ge)
        and (shape.gt is None or value > shape.gt)
        and (shape.le is None or value <= shape.le)
        and (shape.lt is None or value < shape.lt)
    )


def _range_in_words(shape: NumberShape) -> str:
    limits = (("at least", shape.ge), ("more than", shape.gt), ("at most", shape.le), ("less than", shape.lt))
    words = " and ".join(f"{words} {limit}" for words, limit in limits if limit is not None)
    return f"{'a whole number' if shape.whole else 'a number'} of {words}" if words else "a finite number"


def _one_of(words: Iterable[str]) -> str:
    return "one of " + ", ".join(words)


def _known(names: Iterable[str]) -> str:
    some = list(names)[:20]
    return f" (known: {', '.join(some)})" if some else ""


def _in_words(node: Node) -> str:
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    words = {str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "nothing"}
    return words[type(node.value)]
