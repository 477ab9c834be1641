"""Forms of address: which greetings and polite words are said to whom is asked, and which are what is asked about. It only marks them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.cache.guards.tokens import NAME, STOP, WORD, Token

_GREETINGS = frozenset(
    ["hi", "hello", "hey", "hiya", "greetings", "thanks", "thank", "thx", "cheers", "sorry", "dear", "sincerely"]
)
_ANYWHERE = frozenset(
    [
        "please",
        "pls",
        "plz",
        "kindly",
        "ok",
        "okay",
        "well",
        "lol",
        "haha",
        "btw",
        "um",
        "uh",
        "hmm",
        "so",
        "now",
        "just",
        "really",
        "quite",
    ]
)
# After these a word is spoken of.
_SPOKEN_OF = frozenset(
    [
        "say",
        "says",
        "saying",
        "said",
        "spell",
        "spelled",
        "spelling",
        "translate",
        "translated",
        "mean",
        "meaning",
        "write",
        "call",
        "word",
        "phrase",
        "term",
        "pronounce",
        "type",
        "define",
        "of",
        "between",
        "vs",
        "versus",
        "does",
        "as",
    ]
)
_SPOKEN_OF_GREETINGS = _SPOKEN_OF | frozenset(
    ["a", "an", "the", "for", "is", "or", "to", "with", "answer", "use", "in"]
)
_MEANS = frozenset(["mean", "means", "meaning", "vs", "versus", "or"])
# What goes with a greeting, and may stand between it and the language that it is asked for in.
_LONGER = frozenset(["you", "very", "much", "so", "a", "lot", "morning", "afternoon", "evening", "night"])
_LEADING = frozenset(["and", "but", "many", "with", "best", "kind", "so", "oh", "ok", "also"])
_NOUNS = frozenset(["a", "an", "the", "my", "this", "that"])
_GOES_ON = frozenset(["in", "on", "at", "of", "for", "is", "was", "with", "by", "from", "near", "to", "dry", "without"])


def marked(tokens: list[Token]) -> list[Token]:
    """Give the tokens, with the polite words that are spoken of as names."""
    for index, token in enumerate(tokens):
        if token.kind != WORD:
            continue
        if token.text in _GREETINGS or _is_good_day(tokens, index):
            spoken_of = _is_asked_about(tokens, index)
        elif token.text in _ANYWHERE:
            spoken_of = _is_mentioned(tokens, index)
        else:
            continue
        if spoken_of:
            tokens[index] = msgspec.structs.replace(token, kind=NAME)
    return tokens


def _is_good_day(tokens: Sequence[Token], index: int) -> bool:
    return tokens[index].text == "good" and _text(tokens, index + 1) in {"morning", "afternoon", "evening"}


def _text(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) and tokens[index].kind != STOP else ""


def _is_asked_about(tokens: Sequence[Token], index: int) -> bool:
    """Whether a greeting is none: after say or spell, before "in Japanese", or amid the sentence."""
    before = _text(tokens, index - 1)
    if before in _SPOKEN_OF_GREETINGS or (index > 1 and before in {"and", "or"} and tokens[index - 2].kind == NAME):
        return True
    at = index + 1
    while _text(tokens, at) in _LONGER:
        at += 1
    after = _text(tokens, at)
    if after in _MEANS or (after in {"in", "into", "to"} and _text(tokens, at + 1) != "advance"):
        return True
    opens = not before or tokens[index].first or before in _LEADING or before in _GREETINGS
    return not opens and after != ""


def _is_mentioned(tokens: Sequence[Token], index: int) -> bool:
    """Whether a small word is spoken of (what does ok mean), or a noun (dig a well)."""
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _SPOKEN_OF and (
        after == "" or after in _MEANS or after in _GOES_ON or before in {"say", "spell", "word", "translate"}
    ):
        return True
    if after in {"mean", "means"}:
        return True
    return tokens[index].text == "well" and before in _NOUNS and (after == "" or after in _GOES_ON)
