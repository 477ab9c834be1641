"""Cuts a document into chunks that can be found by themselves: at its Markdown headings, and within them between paragraphs. Pure.

Nothing is rendered: a chunk is a stretch of the document as it is written, and every character is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

_LEVELS: Final = 6
_FENCES: Final = ("```", "~~~")
_FRONT: Final = "---"
_MOST_FRONT: Final = 200
"""Lines in which front matter has to end."""
_LONGEST_HEADING: Final = 200


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a document. `headings` are those that it stands under, the outermost first; lines count from 1, `offset` in characters from 0."""

    headings: tuple[str, ...]
    first_line: int
    last_line: int
    offset: int
    text: str


class _Line(msgspec.Struct, frozen=True):
    number: int
    start: int
    text: str
    level: int = 0
    heading: str = ""


def chunks_of(text: str, most: int, *, markdown: bool = True) -> list[Chunk]:
    """Give the chunks of a document in their order, each of at most `most` bytes; without `markdown` no line is a heading."""
    found: list[Chunk] = []
    path: list[tuple[int, str]] = []
    sections = list(_sections(_lines(text, markdown=markdown)))
    for number, section in enumerate(sections):
        first = section[0]
        if first.level:
            path = [*(each for each in path if each[0] < first.level), (first.level, first.heading)]
            below = sections[number + 1][0].level if number + 1 < len(sections) else 0
            if below > first.level and not any(line.text.strip() for line in section[1:]):
                # A heading with nothing but others below it: each of those says it, too.
                continue
        headings = tuple(heading for _, heading in path)
        found += _packed(text, section, headings, most)
    return found


def _lines(text: str, *, markdown: bool) -> Iterator[_Line]:
    fence = ""
    start, texts = 0, text.split("\n")
    front = _end_of_front(texts) if markdown else 0
    for number, line in enumerate(texts):
        level, heading = 0, ""
        stripped = line.strip()
        if not markdown or number < front:
            pass
        elif fence:
            fence = "" if stripped.startswith(fence) else fence
        elif stripped.startswith(_FENCES):
            fence = stripped[:3]
        else:
            level, heading = _heading(stripped) or _underlined(texts, number, front)
        yield _Line(number + 1, start, line, level, heading[:_LONGEST_HEADING])
        start += len(line) + 1


def _end_of_front(texts: Sequence[str]) -> int:
    """Give how many lines of front matter there are: what looks like a heading there is a comment."""
    if texts[0].strip() != _FRONT:
        return 0
    return next((at + 1 for at, line in enumerate(texts[1:_MOST_FRONT], 1) if line.strip() == _FRONT), 0)


def _heading(line: str) -> tuple[int, str] | None:
    rest = line.lstrip("#")
    level = len(line) - len(rest)
    if not 1 <= level <= _LEVELS or (rest and not rest[0].isspace()):
        return None
    return level, rest.strip().rstrip("#").strip()


def _underlined(texts: Sequence[str], number: int, front: int) -> tuple[int, str]:
    """Give the heading that a line by itself is because the next one is nothing but = or -."""
    line = texts[number].strip()
    under = texts[number + 1].strip() if number + 1 < len(texts) else ""
    alone = number == front or not texts[number - 1].strip()
    if not line or not alone or len(under) < 2 or line[0] in "-=|>*+":
        return 0, ""
    return next(((level, line) for level, mark in ((1, "="), (2, "-")) if not under.strip(mark)), (0, ""))


def _sections(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    section: list[_Line] = []
    for line in lines:
        if line.level and section:
            yield section
            section = []
        section.append(line)
    yield section


def _packed(text: str, section: Sequence[_Line], headings: tuple[str, ...], most: int) -> Iterator[Chunk]:
    """Give the chunks of a section: as many paragraphs in one as there is room for."""
    begun: tuple[int, int] | None = None
    end, last, size = 0, 0, 0
    for start, stop, first_line, last_line in _blocks(section, most):
        length = len(text[start:stop].encode())
        if begun is not None and size + length > most:
            yield _chunk(text, headings, begun, (end, last))
            begun = None
        if begun is None:
            begun, size = (start, first_line), 0
        end, last = stop, last_line
        size += length
    if begun is not None and text[begun[0] : end].strip():
        yield _chunk(text, headings, begun, (end, last))


def _chunk(text: str, headings: tuple[str, ...], begun: tuple[int, int], ended: tuple[int, int]) -> Chunk:
    return Chunk(
        headings=headings, first_line=begun[1], last_line=ended[1], offset=begun[0], text=text[begun[0] : ended[0]]
    )


def _blocks(section: Sequence[_Line], most: int) -> Iterator[tuple[int, int, int, int]]:
    """Give stretches that are not parted where it can be helped (start, end, first line, last line): paragraphs, else lines, else as much as fits.

    A stretch has the blank lines with it that follow; those at the beginning of a section stand with nothing.
    """
    held: list[_Line] = []
    size = 0
    blank = False
    for line in section:
        length = len(line.text.encode()) + 1
        has_words = bool(line.text.strip())
        if held and ((blank and has_words) or size + length > most):
            yield _block(held)
            held, size = [], 0
        blank = not has_words
        if not held and blank:
            continue
        if length > most:
            yield from _parted(line, most)
            continue
        held.append(line)
        size += length
    if held:
        yield _block(held)


def _block(lines: Sequence[_Line]) -> tuple[int, int, int, int]:
    with_words = [line for line in lines if line.text.strip()]
    last = with_words[-1]
    return lines[0].start, last.start + len(last.text), lines[0].number, last.number


def _parted(line: _Line, most: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut one line that is too long by itself."""
    at = 0
    while at < len(line.text):
        piece = line.text[at : at + most].encode()[:most].decode("utf-8", "ignore")
        yield line.start + at, line.start + at + len(piece), line.number, line.number
        at += len(piece)
