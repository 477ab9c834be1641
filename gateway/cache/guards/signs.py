"""Signs: marks that stand for themselves, in code, formulas and patterns, told from the punctuation of a sentence."""

from __future__ import annotations

import re

_SENTENCE = frozenset(".?!…")
_DASHES = frozenset("-/~\u2013\u2014")
_QUOTES = frozenset("\"'`")
_SMILEYS = frozenset([":)", ":(", ":-)", ":-(", ";)", ";-)", ":d", ":p", "<3"])
_DOUBLED = re.compile(r"[&|=!<>+\-*/:?.^~%]{2,}")
_LEADING = re.compile(r"[!~*&^]+(?=[^\W_])|[?:%=+|\\]+(?=[^\W\d_])")
_BRACKETED = re.compile(r"\[[^\[\]\n]{0,200}\]|\{[^{}\n]{0,200}\}")
_REMARK = re.compile(r"[\[{(]*[^\W\d_]+[\]})]*[.,;:!?]*")
# Before these a smiley is one that is spoken of, and after these one that is said.
_SPOKEN_OF = frozenset(["is", "does", "mean", "means", "the", "a", "of", "type", "write", "use", "say", "in", "with", "and", "or", "vs", "between", "for", "like", "symbol", "smiley", "emoticon", "send"])  # fmt: skip
_POLITE = frozenset(["thanks", "thank", "you", "hi", "hello", "hey", "please", "pls", "thx", "lol", "much", "cheers", "help", "advance", "sorry"])  # fmt: skip
_FACTORIAL = re.compile(r"(?:.*[\d)]|[A-Za-z])!")
_OPENING, _CLOSING = "([{<", ")]}>"
_PLAIN = frozenset(["%", "&", "+", "$", "€", "£", "¥", "₹", "₩", "₽", "₿"])


def standing(chunk: str, before: str, after: str) -> str | None:
    """Give the sign that a chunk without letters and digits is; "" if it says nothing, None if it is for others to read."""
    if any(letter.isalnum() or letter == "_" for letter in chunk) or chunk in _PLAIN:
        return None
    sign = chunk.strip('"') if len(chunk) > 1 else chunk
    if not sign or set(sign) <= _QUOTES or (sign in _SMILEYS and _is_said(before, after)):
        return ""
    if set(sign) <= _SENTENCE and not after:
        return ""
    if set(sign) <= _DASHES and len(sign) == 1:
        return sign if _literal(before) and _literal(after) else ""
    return sign if after or not set(sign) <= _SENTENCE else ""


def _is_said(before: str, after: str) -> bool:
    """Tell whether a smiley says how the asker feels: at an end, or after thanks. Elsewhere it is what is asked about."""
    word = before.casefold()
    if before == "" or word[-1] in ".?!,…":
        return True
    return word in _POLITE or (not after and word not in _SPOKEN_OF)


def closed_up(text: str) -> str:
    """Take the blanks out of what stands in square or curly brackets, if it is more than words."""
    if "[" not in text and "{" not in text:
        return text
    return _BRACKETED.sub(lambda found: _without_blanks(found.group()), text)


def _without_blanks(found: str) -> str:
    inner = found[1:-1].replace(" ", "")
    return found if inner.isalpha() else found.replace(" ", "")


def verbatim(chunk: str) -> str:
    """Give a chunk that square or curly brackets make code, to the letter, without the marks of the sentence; "" for any other."""
    if not any(letter in "[]{}" for letter in chunk) or _REMARK.fullmatch(chunk):
        return ""
    return chunk.lstrip("\"'(").rstrip(".,;:!?\"'")


def behind(chunk: str, after: str) -> list[str]:
    """Give the signs that follow a chunk: a factorial, and marks after a single letter where the sentence goes on."""
    body = chunk.rstrip(".,;:?\"'")
    if _FACTORIAL.fullmatch(body) and not body.endswith("!!"):
        return ["!"]
    core = chunk.lstrip("([{\"'")
    goes_on = after[:1].islower() or after[:1].isdigit()
    return ["?"] if len(core) == 2 and core[1] == "?" and goes_on else []


def _literal(chunk: str) -> bool:
    bare = chunk.strip("()[]{}.,;:?!")
    return bare.isdigit() or len(bare) == 1 or any(letter.isdigit() for letter in bare)


def around(chunk: str) -> list[str]:
    """Give the signs of a chunk that is more than signs: its brackets, what stands before it, doubled operators."""
    found: list[str] = []
    body = chunk.rstrip(".,;:?\"'")
    core = body.strip("([{<>}])!.,;:?\"'")
    named = len(core) == 1 and body == f"({core})"
    if named or not core.isalpha() or any(letter in "[]{}" for letter in body):
        brackets = "".join(letter for letter in body if letter in "([{}])")
        if brackets and not core.endswith("(s"):
            found.append(brackets)
    if (leading := _LEADING.match(chunk.lstrip("\"'("))) and not (leading.group() == "~" and core[:1].isdigit()):
        found.append(leading.group())
    found.extend(
        run for run in _DOUBLED.findall(core) if not set(run) <= {"."} and run != "--" and not set(run) <= {"?", "!"}
    )
    return found
