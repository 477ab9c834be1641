"""A small language for conditions over named values: `tokens > 8000 and not has_images`. It reads, checks and runs; it knows no value.

The grammar is a part of Python's: comparisons, `and`, `or`, `not`, `in`, arithmetic, texts and lists, `lower`, `startswith`,
`endswith`, `contains` and `len`. Nothing can be defined, called or reached that is not listed here, and what may be written is bounded in
length, size and depth, so that an expression always ends, and soon. Types are checked when it is read: a text is never compared with a
number. The one thing that is left to find out later is a number that is not there; a comparison with it is false.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

Kind = Literal["flag", "number", "text", "texts", "tags", "none"]
"""What a value is: true or false, a number (or none), a text, several texts, texts by name, nothing."""

Values = Mapping[str, Any]
Run = Callable[[Values], Any]

MOST_CHARACTERS: Final = 1000
MOST_NODES: Final = 200
MOST_DEPTH: Final = 20
LARGEST: Final = 1e15

_WORDS: Final[Mapping[Kind, str]] = {
    "flag": "true or false",
    "number": "a number",
    "text": "a text",
    "texts": "a list of texts",
    "tags": "tags",
    "none": "none",
}
_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "none": None}
_ORDERS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SUMS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "endswith": str.endswith,
    "startswith": str.startswith,
}
METHODS: Final = ("lower", *_TESTS)


class ExpressionError(ValueError):
    """The expression cannot be used. `column` counts from one."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class Typed(msgspec.Struct, frozen=True):
    """What a part of an expression gives, and how."""

    kind: Kind
    run: Run


def read_condition(text: str, names: Mapping[str, Kind]) -> Run:
    """Give what tells whether the condition holds for some values. Raises ExpressionError.

    What it gives may raise ZeroDivisionError, and whatever looking up a value raises.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"longer than {MOST_CHARACTERS} characters", MOST_CHARACTERS)
    if "\\" in text:
        raise ExpressionError("a backslash means nothing here", text.index("\\") + 1)
    # Python's own parser is used in its own words; line breaks, as YAML's folded texts have them, are spaces.
    spaced = " ".join(text.split("\n"))
    start = len(spaced) - len(spaced.lstrip())
    try:
        tree = ast.parse(spaced.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"this is no expression ({error.msg})", (error.offset or 1) + start) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("this is no expression", 1) from None
    nodes = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    if nodes > MOST_NODES:
        raise ExpressionError(f"more than {MOST_NODES} parts", 1)
    reader = _Reader(names, spaced.strip(), start)
    found = reader.read(tree, 1)
    reader.must_be("flag", found, tree)
    return found.run


class _Reader:
    """Turns a syntax tree into functions."""

    def __init__(self, names: Mapping[str, Kind], text: str, start: int) -> None:
        self._names = names
        self._bytes = text.encode()
        self._start = start

    def read(self, node: ast.expr, depth: int) -> Typed:
        """Give what a part of the tree gives."""
        if depth > MOST_DEPTH:
            raise self._fault(node, f"nested deeper than {MOST_DEPTH} levels")
        reading = _READINGS.get(type(node))
        if reading is None:
            raise self._fault(node, "this has no meaning here")
        return reading(self, node, depth + 1)

    def must_be(self, kind: Kind, found: Typed, node: ast.expr) -> None:
        """Raise where something of another kind is needed."""
        if found.kind != kind:
            raise self._fault(node, f"expected {_WORDS[kind]}, and this is {_WORDS[found.kind]}")

    def name(self, node: ast.Name, depth: int) -> Typed:
        """A value by its name, or true, false, none."""
        del depth
        name = node.id
        if name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        kind = self._names.get(name)
        if kind is None:
            close = difflib.get_close_matches(name[:50], self._names, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f" (there are: {', '.join(sorted(self._names))})"
            raise self._fault(node, f"unknown name '{name[:50]}'{hint}")
        return Typed(kind, operator.itemgetter(name))

    def constant(self, node: ast.Constant, depth: int) -> Typed:
        """A number, a text, or True, False, None as Python writes them."""
        del depth
        value = node.value
        # bool is an int to Python.
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise self._fault(node, f"numbers go up to {LARGEST:g}")
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise self._fault(node, "this has no meaning here")
        return _constant(value)

    def listed(self, node: ast.List | ast.Tuple, depth: int) -> Typed:
        """Texts, each of which may be anything that gives one."""
        parts = [self._of("text", part, depth) for part in node.elts]
        return Typed("texts", lambda values: [part(values) for part in parts])

    def joined(self, node: ast.BoolOp, depth: int) -> Typed:
        """`and`, `or`."""
        parts = tuple(self._of("flag", part, depth) for part in node.values)
        if isinstance(node.op, ast.And):
            return Typed("flag", lambda values: all(part(values) for part in parts))
        return Typed("flag", lambda values: any(part(values) for part in parts))

    def turned(self, node: ast.UnaryOp, depth: int) -> Typed:
        """`not`, and a minus."""
        if isinstance(node.op, ast.Not):
            denied = self._of("flag", node.operand, depth)
            return Typed("flag", lambda values: not denied(values))
        if isinstance(node.op, ast.USub):
            number = self._of("number", node.operand, depth)
            return Typed("number", lambda values: None if (value := number(values)) is None else -value)
        raise self._fault(node, "this has no meaning here")

    def summed(self, node: ast.BinOp, depth: int) -> Typed:
        """Arithmetic; of what is not there nothing comes."""
        work = _SUMS.get(type(node.op))
        if work is None:
            raise self._fault(node, "of arithmetic there are + - * / and %")
        first, second = self._of("number", node.left, depth), self._of("number", node.right, depth)

        def run(values: Values) -> Any:
            one, other = first(values), second(values)
            return None if one is None or other is None else work(one, other)

        return Typed("number", run)

    def compared(self, node: ast.Compare, depth: int) -> Typed:
        """Comparisons, chained as in `9 <= hour < 17`."""
        sides = [self.read(side, depth) for side in (node.left, *node.comparators)]
        nodes = (node.left, *node.comparators)
        links = [
            self._link(sign, pair, among)
            for sign, *pair, among in zip(node.ops, sides, sides[1:], nodes[1:], strict=False)
        ]
        if len(links) == 1:
            return Typed("flag", links[0])
        return Typed("flag", lambda values: all(link(values) for link in links))

    def _link(self, sign: ast.cmpop, pair: list[Typed], node: ast.expr) -> Run:
        one, other = pair
        first, second = one.run, other.run
        if isinstance(sign, ast.In | ast.NotIn):
            if one.kind != "text" or other.kind not in ("text", "texts", "tags"):
                message = "`in` looks for a text in a text, in texts or among the names of tags"
                raise self._fault(node, f"{message}, not for {_WORDS[one.kind]} in {_WORDS[other.kind]}")
            if isinstance(sign, ast.In):
                return lambda values: first(values) in second(values)
            return lambda values: first(values) not in second(values)
        if one.kind in ("texts", "tags"):
            raise self._fault(node, f"{_WORDS[one.kind]} cannot be compared so: ask with `in`, or for its len(…)")
        absent = "none" in (one.kind, other.kind)
        if one.kind != other.kind and not (absent and "number" in (one.kind, other.kind)):
            raise self._fault(node, f"{_WORDS[one.kind]} is never compared with {_WORDS[other.kind]}")
        if isinstance(sign, ast.Eq):
            return lambda values: bool(first(values) == second(values))
        if isinstance(sign, ast.NotEq):
            return lambda values: bool(first(values) != second(values))
        order = _ORDERS.get(type(sign))
        if order is None or one.kind not in ("number", "text") or absent:
            raise self._fault(node, f"{_WORDS[one.kind]} cannot be compared so with {_WORDS[other.kind]}")
        return _ordered(order, first, second)

    def called(self, node: ast.Call, depth: int) -> Typed:
        """`len(x)`, and the methods of texts."""
        if node.keywords:
            raise self._fault(node, "there are no named arguments")
        function, arguments = node.func, node.args
        if isinstance(function, ast.Name) and function.id == "len" and len(arguments) == 1:
            counted = self.read(arguments[0], depth)
            if counted.kind not in ("text", "texts", "tags"):
                raise self._fault(arguments[0], f"{_WORDS[counted.kind]} has no length")
            return Typed("number", lambda values: len(counted.run(values)))
        if not isinstance(function, ast.Attribute) or function.attr not in METHODS:
            raise self._fault(node, f"of functions there are len(…), and of a text {', '.join(METHODS)}")
        text = self._of("text", function.value, depth)
        if function.attr == "lower" and not arguments:
            return Typed("text", lambda values: text(values).lower())
        test = _TESTS.get(function.attr)
        if test is None or len(arguments) != 1:
            raise self._fault(node, f"`{function.attr}` takes {'one argument' if test else 'no arguments'}")
        wanted = self._of("text", arguments[0], depth)
        return Typed("flag", lambda values: test(text(values), wanted(values)))

    def attribute(self, node: ast.Attribute, depth: int) -> Typed:
        """`tags.env`: the text of a tag, empty where there is none."""
        return self._tag(node.value, node.attr, node, depth)

    def subscript(self, node: ast.Subscript, depth: int) -> Typed:
        """`tags["cost-centre"]`: the same, for names that are no words."""
        key = node.slice
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise self._fault(node, 'between [ ] stands the name of a tag, as in tags["env"]')
        return self._tag(node.value, key.value, node, depth)

    def _tag(self, value: ast.expr, name: str, node: ast.expr, depth: int) -> Typed:
        tags = self.read(value, depth)
        if tags.kind != "tags":
            raise self._fault(node, f"only tags have names inside, and this is {_WORDS[tags.kind]}")
        return Typed("text", lambda values: tags.run(values).get(name, ""))

    def _of(self, kind: Kind, node: ast.expr, depth: int) -> Run:
        found = self.read(node, depth)
        self.must_be(kind, found, node)
        return found.run

    def _fault(self, node: ast.expr, message: str) -> ExpressionError:
        # Python counts in bytes.
        before = len(self._bytes[: node.col_offset].decode())
        return ExpressionError(message, before + 1 + self._start)


def _constant(value: object) -> Typed:
    kind: Kind = "number"
    if value is None:
        kind = "none"
    elif isinstance(value, bool):
        kind = "flag"
    elif isinstance(value, str):
        kind = "text"
    return Typed(kind, lambda values: value)


def _ordered(order: Callable[[Any, Any], bool], first: Run, second: Run) -> Run:
    def run(values: Values) -> bool:
        one, other = first(values), second(values)
        return one is not None and other is not None and order(one, other)

    return run


_READINGS: Final[Mapping[type[ast.expr], Callable[[_Reader, Any, int], Typed]]] = {
    ast.Attribute: _Reader.attribute,
    ast.BinOp: _Reader.summed,
    ast.BoolOp: _Reader.joined,
    ast.Call: _Reader.called,
    ast.Compare: _Reader.compared,
    ast.Constant: _Reader.constant,
    ast.List: _Reader.listed,
    ast.Name: _Reader.name,
    ast.Subscript: _Reader.subscript,
    ast.Tuple: _Reader.listed,
    ast.UnaryOp: _Reader.turned,
}
