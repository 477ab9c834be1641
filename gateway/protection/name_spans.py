"""Where names stand in a text, by what a token classifier says of its tokens. It cuts texts for the model, and runs none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.protection.finding import Finding

WINDOW: Final = 480
"""Characters that the model sees at once: small models know names best in about so much, and attention costs its square."""
OVERLAP: Final = 80

# Scripts that put no space between words: there, a word has no end to be extended to.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_SPACE: Final = "[ \t\u00a0]"
_BETWEEN: Final = re.compile(rf"{_SPACE}{{0,2}}[-\u2010'\u2019&]?{_SPACE}{{0,2}}")
_AFTER_INITIAL: Final = re.compile(rf"\.{_SPACE}{{0,2}}")


def windows(text: str, size: int = WINDOW, overlap: int = OVERLAP) -> Iterator[tuple[int, int]]:
    """Give the stretches of a text that the model sees, in order: they overlap, and are cut at spaces where there are any.

    They are the same for the beginning of a text whatever follows it, so that what is known of them stays known.
    """
    start = 0
    while len(text) - start > size:
        end = start + size
        cut = max(text.rfind(" ", end - overlap, end), text.rfind("\n", end - overlap, end))
        end = cut if cut > 0 else end
        yield start, end
        again = text.find(" ", end - overlap, end - overlap // 2)
        start = again + 1 if again > 0 else end - overlap
    yield start, len(text)


def name_spans(text: str, tokens: Iterable[tuple[int, int, str]]) -> list[Finding]:
    """Put the tokens (start, end, kind) of a text that belong to names together, in order: whole words, and whole names.

    Names of one kind become one where only a space, a hyphen, an apostrophe, & or the point of an initial is between them.
    """
    found: list[Finding] = []
    for token_start, token_end, kind in tokens:
        start, end = _whole_word(text, token_start, token_end)
        if start >= end:
            continue
        last = found[-1] if found else None
        if last is not None and (start < last.end or (kind == last.kind and _joined(text, last.end, start))):
            found[-1] = Finding(last.kind, last.start, max(end, last.end))
        else:
            found.append(Finding(kind, start, end))
    return found


def is_part_of_word(char: str) -> bool:
    """Whether a character is a letter, a digit, or a mark on one."""
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def is_unspaced(char: str) -> bool:
    """Whether a character is of a script that puts no space between words."""
    return _UNSPACED.match(char) is not None


def _whole_word(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not is_part_of_word(text[start]):
        start += 1
    while start < end and not is_part_of_word(text[end - 1]):
        end -= 1
    if start == end:
        return start, end
    while start > 0 and _goes_on(text[start - 1], text[start]):
        start -= 1
    while end < len(text) and _goes_on(text[end], text[end - 1]):
        end += 1
    return start, end


def _goes_on(char: str, beside: str) -> bool:
    return is_part_of_word(char) and not is_unspaced(char) and not is_unspaced(beside)


def _joined(text: str, end: int, start: int) -> bool:
    if _BETWEEN.fullmatch(text, end, start):
        return True
    initial = end > 0 and text[end - 1].isupper() and (end == 1 or not is_part_of_word(text[end - 2]))
    return initial and _AFTER_INITIAL.fullmatch(text, end, start) is not None
