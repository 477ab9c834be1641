"""Signs: marks that stand for themselves, in code, formulas and patterns, told from the punctuation of a sentence."""

from __future__ import annotations

import re

_SENTENCE = frozenset(".?!…")
_DASHES = frozenset("-/~\u2013\u2014")
_QUOTES = frozenset("\"'`")
_SMILEYS = frozenset([":)", ":(", ":-)", ":-(", ";)", ";-)", ":d", ":p", "<3"])
_DOUBLED = re.compile(r"[&|=!<>+\-*/:?.^~%]{2,}")
_LEADING = re.compile(r"[!~*&^]+(?=[^\W_])")
_FACTORIAL = re.compile(r"(?:.*[\d)]|[A-Za-z])!")
_OPENING, _CLOSING = "([{<", ")]}>"
_PLAIN = frozenset(["%", "&", "+", "$", "€", "£", "¥", "₹", "₩", "₽", "₿"])


def standing(chunk: str, before: str, after: str) -> str | None:
    """Give the sign that a chunk without letters and digits is; "" if it says nothing, None if it is for others to read."""
    if any(letter.isalnum() or letter == "_" for letter in chunk) or chunk in _PLAIN:
        return None
    sign = chunk.strip('"') if len(chunk) > 1 else chunk
    if sign in _SMILEYS or not sign or set(sign) <= _QUOTES:
        return ""
    if set(sign) <= _SENTENCE and not after:
        return ""
    if set(sign) <= _DASHES and len(sign) == 1:
        return sign if _literal(before) and _literal(after) else ""
    return sign if after or not set(sign) <= _SENTENCE else ""


def _literal(chunk: str) -> bool:
    bare = chunk.strip("()[]{}.,;:?!")
    return bare.isdigit() or len(bare) == 1 or any(letter.isdigit() for letter in bare)


def around(chunk: str) -> list[str]:
    """Give the signs of a chunk that is more than signs: its brackets, what stands before it, a factorial, doubled operators."""
    found: list[str] = []
    body = chunk.rstrip(".,;:?\"'")
    core = body.strip("([{<>}])!.,;:?\"'")
    if not core.isalpha() or any(letter in "[]{}" for letter in body):
        brackets = "".join(letter for letter in body if letter in "([{}])")
        if brackets and not core.endswith("(s"):
            found.append(brackets)
    if (leading := _LEADING.match(chunk.lstrip("\"'("))) and not (leading.group() == "~" and core[:1].isdigit()):
        found.append(leading.group())
    if _FACTORIAL.fullmatch(body) and not body.endswith("!!"):
        found.append("!")
    found.extend(
        run for run in _DOUBLED.findall(core) if not set(run) <= {"."} and run != "--" and not set(run) <= {"?", "!"}
    )
    return found
