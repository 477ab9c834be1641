"""Numbers and dates in words: twelve is 12, two hundred and fifty thousand is 250000, the 5th of March is March 5."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.guards.tokens import MONTHS, NUMBER, WORD, Token

_ONES = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = dict(
    zip(
        [
            "first",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
        ],
        (1, *range(3, 20)),
        strict=True,
    )
) | {"twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100, "thousandth": 1000}
_FIXED = {"dozen": "12", "half": "1/2", "halves": "1/2", "firstly": "1th", "secondly": "2th"}
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12", "xiii": "13", "xiv": "14", "xv": "15", "xvi": "16", "xviii": "18", "xix": "19", "xx": "20", "xxi": "21"}  # fmt: skip
_MONTHS = frozenset(MONTHS) | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
_BEFORE_MONTHS = frozenset(
    [
        "in",
        "of",
        "by",
        "since",
        "until",
        "last",
        "next",
        "this",
        "during",
        "every",
        "before",
        "after",
        "early",
        "late",
        "mid",
    ]
)


def is_month(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a word that may be a month is one: beside a number, or where months stand."""
    text = tokens[index].text
    if text not in {"may", "march"}:
        return text in _MONTHS
    beside = [tokens[at] for at in (index - 1, index + 1) if 0 <= at < len(tokens)]
    return any(token.kind == NUMBER for token in beside) or (index > 0 and tokens[index - 1].text in _BEFORE_MONTHS)


def composed(tokens: list[Token]) -> list[Token]:
    """Give the tokens with numbers as digits."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        taken, number = _number_at(tokens, at)
        if taken:
            found.append(Token(number, NUMBER, tokens[at].first))
            at += taken
        else:
            found.append(tokens[at])
            at += 1
    return _dated(found)


def _dated(tokens: list[Token]) -> list[Token]:
    """Give 5th March as March 5."""
    for index, token in enumerate(tokens):
        if token.kind == NUMBER and token.text.endswith("th"):
            around = tokens[max(0, index - 2) : index + 3]
            if any(other.text in _MONTHS and other.text != "may" for other in around) or _by_may(tokens, index):
                tokens[index] = Token(token.text[:-2], NUMBER, token.first)
    return tokens


def _by_may(tokens: list[Token], index: int) -> bool:
    return any(
        tokens[at].text == "may" and is_month(tokens, at)
        for at in range(max(0, index - 2), min(len(tokens), index + 3))
    )


def _number_at(tokens: list[Token], at: int) -> tuple[int, str]:
    """Read the number that begins at a place: how many tokens it has (0: none), and its digits."""
    first = tokens[at]
    if first.kind == WORD and first.text in _FIXED:
        return 1, _FIXED[first.text]
    if first.kind == WORD and first.text in _ROMAN:
        return 1, _ROMAN[first.text]
    total = current = 0.0
    taken = 0
    ordinal = False
    while at + taken < len(tokens) and not ordinal:
        token = tokens[at + taken]
        value = _value(token, started=taken > 0)
        if value is None:
            follows = tokens[at + taken + 1] if at + taken + 1 < len(tokens) else None
            if (
                taken
                and token.text == "and"
                and current % 100 == 0
                and current
                and follows
                and follows.text in _ONES | _TENS
            ):
                taken += 1
                continue
            break
        if token.text in _SCALES:
            total, current = _scaled(total, current or 1, _SCALES[token.text])
        elif taken and current % 100 and not (current % 100 >= 20 and current % 10 == 0 and value < 10):
            break
        else:
            current += value
        ordinal = token.text in _ORDINALS
        taken += 1
    if not taken or (taken == 1 and first.kind == NUMBER):
        return 0, ""
    number = total + current
    if first.text == "one" and taken == 1:
        return 1, "one"
    digits = str(int(number)) if number.is_integer() else str(number)
    return taken, digits + ("th" if ordinal else "")


def _scaled(total: float, current: float, scale: int) -> tuple[float, float]:
    return (total, current * scale) if scale == 100 else (total + current * scale, 0.0)


def _value(token: Token, *, started: bool) -> float | None:
    if token.kind == NUMBER:
        if started:
            return None
        try:
            return float(token.text)
        except ValueError:
            return None
    if token.kind != WORD:
        return None
    if token.text in _SCALES:
        return float(_SCALES[token.text])
    found = _ONES.get(token.text, _TENS.get(token.text, _ORDINALS.get(token.text)))
    return None if found is None else float(found)
