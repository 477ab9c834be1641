"""Telephone numbers: E.164 with its country code, and national forms that are hard to mistake. Conservative on purpose.

Sources: ITU-T E.164 and its list of assigned country codes; NANP numbering rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.protection.finding import Finding

_INTERNATIONAL: Final = re.compile(
    r"(?:\+|\b00(?=[1-9]))(?<![0-9A-Za-z+]\+)(?:\(0\)|[ ./()-]{0,2}[0-9]){8,17}(?![0-9A-Za-z])"
)
_TRUNK: Final = "(0)"
_CONTEXT_CHARS: Final = 48
_ONE_DIGIT: Final = frozenset("17")
_TWO_DIGITS: Final = frozenset(
    {20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63,
     64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98}
)  # fmt: skip
# The first two of three digits.
_THREE_DIGIT_TENS: Final = frozenset(
    {21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99}
)
_NANP: Final = re.compile(r"(?:1[-. ])?([2-9][0-8][0-9])([-.])([2-9][0-9]{2})\2([0-9]{4})")
_FRENCH: Final = re.compile(r"0[1-9]([ .-])[0-9]{2}(?:\1[0-9]{2}){3}")
_NATIONAL: Final = re.compile(r"0[1-9][0-9]{0,4}(?:[ ./-]{1,2}[0-9]{2,8}){1,4}|0[1-9][0-9]{7,10}")
_NANP_BARE: Final = re.compile(r"1?[ ]?[2-9][0-8][0-9][ ]?[2-9][0-9]{2}[ ]?[0-9]{4}")
_BRACKETED: Final = re.compile(r"\((?:0[1-9][0-9]{0,4}|[2-9][0-8][0-9])\)[ -]?[0-9]{3,4}[ -]?[0-9]{3,6}(?![0-9A-Za-z])")
_SAYS_PHONE: Final = re.compile(
    r"(?:phone|telefon|tel[.: ]|tel_|mobile|mobil|cell|handy|fax|whatsapp|call|dial|ring|anruf|sms|portable|teléfono|number is)"
)


def international(text: str) -> Iterator[Finding]:
    """Find numbers with their country code: +49 30 901820, 0049 30 901820."""
    for match in _INTERNATIONAL.finditer(text):
        if match[0].startswith("00") and match[0].isdigit():
            continue  # a counter with leading zeros, far more often than a number
        for end in _ends(match[0]):
            digits = "".join(char for char in match[0][:end].replace(_TRUNK, "") if char.isdigit())
            if _assigned(digits.removeprefix("00")):
                yield Finding("phone", match.start(), match.start() + end)
                break


def _ends(written: str) -> Iterator[int]:
    """Give where the number may end, the last first: after a group of digits."""
    yield len(written)
    for index in range(len(written) - 1, 0, -1):
        if written[index - 1].isdigit() and not written[index].isdigit():
            yield index


def bracketed(text: str) -> Iterator[Finding]:
    """Find numbers whose area code is in brackets: (415) 555-2671, (030) 901820."""
    for match in _BRACKETED.finditer(text):
        if 8 <= sum(char.isdigit() for char in match[0]) <= 12:
            yield Finding("phone", match.start(), match.end())


def national_phone(written: str, text: str, key: str, start: int) -> bool:
    """Whether digits with their separators, at `start` in `text`, are a number as people write it at home."""
    if _NANP.fullmatch(written) or _FRENCH.fullmatch(written):
        return True
    digits = sum(map(str.isdigit, written))
    if not 8 <= digits <= 12 or not (_NATIONAL.fullmatch(written) or _NANP_BARE.fullmatch(written)):
        return False
    return _SAYS_PHONE.search(before(text, key, start)) is not None


def before(text: str, key: str, start: int) -> str:
    """Give, in small letters, the words that say what stands at `start`: the name of the text, and what is before."""
    return f"{key} {text[max(0, start - _CONTEXT_CHARS) : start]}".lower()


def _assigned(digits: str) -> bool:
    """Whether digits are as many as a number has, and begin with a country code that is in use."""
    if not 8 <= len(digits) <= 15:
        return False
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] in "23456789" and digits[4] in "23456789"
    return digits[0] in _ONE_DIGIT or int(digits[:2]) in _TWO_DIGITS | _THREE_DIGIT_TENS
