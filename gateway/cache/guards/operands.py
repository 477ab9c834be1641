"""Operands: which `a` and which `i` are names (divide a by b, vitamin a, loop over i), told from the article and the pronoun. They look at nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.guards.grammar import NAMED_WORDS

# What no article stands before: the sentence goes on with these after a name.
_AFTER_A_NAME = frozenset(
    ["by", "to", "from", "in", "of", "on", "at", "with", "into", "onto", "as", "than", "then", "and", "or", "vs", "versus", "is", "are", "was", "were", "be", "does", "did", "has", "had", "if", "not", "when", "where", "while", "equals", "equal", "divided", "times", "plus", "minus", "imply", "implies", "over", "modulo", "mod", "xor", "squared", "cubed"]
)  # fmt: skip
_AFTER_I = frozenset(["is", "equals", "equal", "squared", "cubed", "modulo", "mod", "times", "plus", "minus"])
# What is told apart by letters, and is no verb.
_LABELLED = frozenset(
    ["vitamin", "hepatitis", "option", "influenza", "exhibit", "appendix", "section", "class", "column", "variable", "vector", "matrix", "factor", "candidate", "player", "person", "company", "product", "protein", "letter", "vertex", "blood", "phase", "stage", "chapter", "volume", "diabetes", "error"]
)  # fmt: skip
# These may be verbs: plan a trip, type a letter.
_LABELLED_NOUNS = frozenset(
    ["plan", "type", "point", "group", "grade", "level", "part", "schedule", "side", "line", "set", "step", "gate", "zone", "block", "row", "cell", "node", "team", "series", "key", "note", "string", "answer", "choice", "event", "angle", "war", "title", "case", "form", "size", "category", "tier", "bracket"]
)  # fmt: skip
_BEFORE_NOUNS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "the",
        "a",
        "an",
        "of",
        "in",
        "on",
        "at",
        "with",
        "about",
        "between",
        "and",
        "or",
        "my",
        "this",
        "that",
        "blood",
        "world",
        "under",
        "over",
        "what",
    ]
)
# A where clause, a for loop: these are words that are spoken of.
_KEYWORDS = tuple([word] for word in NAMED_WORDS)
_AUXILIARIES = frozenset(["is", "are", "was", "were", "does", "do", "did"])
_NAMED_ALREADY = frozenset(
    ["the", "letter", "variable", "index", "constant", "parameter", "number", "of", "over", "for", "let", "solve"]
)
_AROUND = "([{<\"'.,;:!?)]}>"
_ENDS = ".,;:!?)]}\"'"


def names(chunks: Sequence[str]) -> frozenset[int]:
    """Give the places of the pieces of a text, cut at blanks, at which `a` or `i` is a name."""
    bare = [chunk.strip(_AROUND).casefold() for chunk in chunks]
    if "a" not in bare and "i" not in bare:
        return frozenset()
    compared = any(chunk.strip(_AROUND) == "b" for chunk in chunks)
    found = set()
    for index, word in enumerate(bare):
        if (word == "a" and _is_named(chunks, bare, index, compared=compared)) or (
            word == "i" and _is_index(chunks, bare, index)
        ):
            found.add(index)
    return frozenset(found)


def _is_named(chunks: Sequence[str], bare: Sequence[str], index: int, *, compared: bool) -> bool:
    """Whether an `a` stands where no article does."""
    chunk = chunks[index]
    if compared or chunk[-1] in _ENDS or index + 1 == len(chunks):
        return True
    after, follows = chunks[index + 1], bare[index + 1]
    if follows in _AFTER_A_NAME and bare[index + 2 : index + 3] not in _KEYWORDS:
        return after[0].isalpha()
    if not any(letter.isalnum() or letter in "\"'`_" for letter in after) or _glued(after):
        return True
    # Is a bigger than b, is a more expensive than b; but: is a cat bigger than a dog.
    nearest = bare[index + 2 : index + 4]
    if len(follows) > 1 and (nearest[:1] == ["than"] or ("than" in nearest and follows in {"more", "less"})):
        return True
    before = bare[index - 1] if index else ""
    ends = index + 2 == len(chunks)
    if ends and ((before in {"does", "did"}) or (index == 1 and before in _AUXILIARIES)):
        return True
    if before in _LABELLED:
        return True
    return before in _LABELLED_NOUNS and index > 1 and bare[index - 2] in _BEFORE_NOUNS


def _glued(chunk: str) -> bool:
    """Tell whether a piece begins with an operator: a =2b, a +b."""
    return chunk[0] in "=+*/^|&" and len(chunk) > 1


def _is_index(chunks: Sequence[str], bare: Sequence[str], index: int) -> bool:
    """Whether an `i` stands where no pronoun does: a variable, or the first of a kind."""
    before = bare[index - 1] if index else ""
    after = chunks[index + 1] if index + 1 < len(chunks) else ""
    if before in _LABELLED | _LABELLED_NOUNS:
        return bool(before in _LABELLED) or (index > 1 and bare[index - 2] in _BEFORE_NOUNS) or after == ""
    if after and not any(letter.isalnum() or letter in "\"'`_$\\" for letter in after):
        return True
    if index and chunks[index][-1] in ":=":
        return True
    return before in _NAMED_ALREADY or (index + 1 < len(bare) and bare[index + 1] in _AFTER_I)
