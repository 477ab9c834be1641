"""Cedar text to single policies with their lines. It knows where a policy ends and how big it is, not what it means.

Cedar's own parser names no line, and a deeply nested policy overflows its stack, which ends the process: so texts are
divided and measured here before Cedar sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.config.faults import Fault
from gateway.config.policy_settings import PolicyText

MOST_POLICIES: Final = 1000
MOST_TOKENS: Final = 1000
"""Of one policy, without commas and texts, so that a long list of names stays possible. Cedar nests at most one level a
token, and its stack is good for some thousands."""
MOST_DEPTH: Final = 50
LONGEST_POLICY: Final = 65_536

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n\r]*)
      | (?P<text>"(?:\\.|[^"\\])*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>[0-9]+|::|==|!=|<=|>=|&&|\|\||.)""",
    re.DOTALL | re.VERBOSE,
)
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What makes text read differently from what it is (CVE-2021-42574)."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one policy, without the comments before it. `line` and `column` count from one."""

    path: str
    name: str
    line: int
    column: int
    text: str

    @property
    def derived_id(self) -> str:
        """An id from where it stands, for a policy that has none of its own."""
        return f"{self.name}:{self.line}" + ("" if self.column == 1 else f":{self.column}")

    def line_of(self, token: str) -> int:
        """The line of a token that occurs once; else that of the policy."""
        places = [match.start() for match in _TOKEN.finditer(self.text) if match.group() == token]
        return self.line + self.text.count("\n", 0, places[0]) if len(places) == 1 else self.line


def divide(text: PolicyText) -> tuple[list[Piece], list[Fault]]:
    """Give the policies of a file, those at fault left out, and what is wrong with the others."""
    hidden = _INVISIBLE.search(text.text)
    if hidden is not None:
        line = text.text.count("\n", 0, hidden.start()) + 1
        message = f"an invisible character (U+{ord(hidden.group()):04X}): what is read here would not be what holds"
        return [], [Fault(file=text.path, line=line, message=message)]
    pieces: list[Piece] = []
    faults: list[Fault] = []
    for piece, problem in _pieces(text):
        if problem:
            faults.append(Fault(file=text.path, line=piece.line, message=problem))
        else:
            pieces.append(piece)
    return pieces, faults


class _Measure:
    """What is counted while a policy is read. `start` is None between policies."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.tokens = self.depth = self.deepest = 0
        self.open_text = False

    def take(self, kind: str | None, sign: str, at: int) -> None:
        if self.start is None:
            self.start = at
        if kind != "text" and sign != ",":
            self.tokens += 1
        if sign in {"(", "[", "{"}:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif sign in {")", "]", "}"}:
            self.depth -= 1
        self.open_text = self.open_text or sign == '"'

    def problem(self, length: int) -> str:
        if self.open_text:
            return 'a text of this policy has no end: a quotation mark (") is missing'
        if self.deepest > MOST_DEPTH:
            return f"brackets are nested more than {MOST_DEPTH} deep"
        if self.tokens > MOST_TOKENS or length > LONGEST_POLICY:
            return f"this policy is too long: more than {MOST_TOKENS} words and signs, or {LONGEST_POLICY} characters"
        return ""


def _pieces(text: PolicyText) -> Iterator[tuple[Piece, str]]:
    measure = _Measure()
    for match in _TOKEN.finditer(text.text):
        if match.lastgroup == "blank":
            continue
        sign = match.group()
        measure.take(match.lastgroup, sign, match.start())
        if sign == ";" and measure.start is not None:
            piece = _piece(text, measure.start, match.end())
            yield piece, measure.problem(len(piece.text))
            measure = _Measure()
    if measure.start is not None:
        piece = _piece(text, measure.start, len(text.text))
        yield (
            piece,
            measure.problem(len(piece.text)) or "the policy that begins here has no end: a semicolon is missing",
        )


def _piece(text: PolicyText, start: int, end: int) -> Piece:
    line = text.text.count("\n", 0, start) + 1
    column = start - (text.text.rfind("\n", 0, start) + 1) + 1
    return Piece(path=text.path, name=text.name, line=line, column=column, text=text.text[start:end])
