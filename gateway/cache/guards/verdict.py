"""The verdict: the name of the guard that refuses a pair of questions, or nothing."""

from __future__ import annotations

from gateway.cache.guards.alignment import aligned, anchored
from gateway.cache.guards.letters import told_apart
from gateway.cache.guards.order import turned
from gateway.cache.guards.reading import Reading, quotes_held, read
from gateway.cache.guards.word import Word

# Every name that `refusal` can give.
GUARDS = (
    "length", "white space", "case", "language", "code", "urls and ids", "quoted strings", "numbers", "negation", "question type", "person", "tense",
    "modality", "units", "dates", "comparison", "names", "direction", "words",
)  # fmt: skip

# Kinds of question that ask the same where their words agree.
_AGREEING = frozenset(
    frozenset(pair.split("/"))
    for pair in [
        "what/which",
        "what/explain",
        "what/list",
        "what/convert",
        "what/name",
        "what/",
        "whats/what",
        "whats/list",
        "whats/which",
        "whats/",
        "whats/explain",
        "how_to/how",
        "how_to/",
        "how/explain",
        "name/who",
        "name/",
        "which/",
        "which/whats",
        "explain/",
        "list/",
        "list/which",
        "list/explain",
        "compare/",
        "convert/",
        "convert/how_many",
        "convert/how_much",
        "calculate/",
        "yes_or_no/exists",
        "requirement/whats",
    ]
)


# Where one does this is how one does it.
_DONE_AT_ONE_PLACE = frozenset(["track", "view", "check", "update", "change", "download", "cancel", "reset"])
# Who did it, asked for without a question word: mona lisa painter.
_DOERS = frozenset(
    [
        "painter",
        "author",
        "inventor",
        "founder",
        "director",
        "composer",
        "singer",
        "creator",
        "discoverer",
        "designer",
        "writer",
    ]
)


def refusal(asked: str | Reading, kept: str | Reading) -> str:
    """Give the name of the first guard that refuses to answer `asked` with what answered `kept`; "" where none does.

    Symmetric. Takes well under a millisecond for questions; texts of more than 120 words or 1,000 characters are not read: they
    must be the same to the letter.
    """
    one = read(asked) if isinstance(asked, str) else asked
    other = read(kept) if isinstance(kept, str) else kept
    if one.long or other.long:
        return "" if one.long == other.long and one.folded == other.folded else "length"
    if refused := _as_written(one, other):
        return refused
    if one.folded == other.folded and one.code == other.code and one.addresses == other.addresses:
        return ""
    return _literal(one, other) or _logical(one, other) or _verbal(one, other)


def _as_written(asked: Reading, kept: Reading) -> str:
    """Compare what even the same words may differ in: case, white space, quotations to the letter."""
    if asked.literal != kept.literal and (
        (asked.literal and kept.literal) or len(asked.literal or kept.literal) > len(asked.quoted or kept.quoted)
    ):
        return "quoted strings"
    if asked.layout != kept.layout:
        return "white space"
    return "case" if told_apart(asked.written, kept.written) else ""


def _literal(asked: Reading, kept: Reading) -> str:
    """Compare what must be the same to the letter."""
    if asked.language != kept.language or asked.language != "en":
        return "language"
    if asked.code != kept.code:
        return "code"
    if asked.addresses != kept.addresses:
        return "urls and ids"
    if asked.quoted and kept.quoted:
        if asked.quoted != kept.quoted:
            return "quoted strings"
    elif not all(quotes_held(quoted, kept) for quoted in asked.quoted) or not all(
        quotes_held(quoted, asked) for quoted in kept.quoted
    ):
        return "quoted strings"
    if not _same_numbers(asked.numbers, kept.numbers):
        return "numbers"
    return _other_letters(asked, kept)


def _other_letters(asked: Reading, kept: Reading) -> str:
    """Compare letters that name something, and their places: divide a by b, divide b by a."""
    if asked.letters == kept.letters:
        return ""
    if sorted(asked.letters) != sorted(kept.letters):
        return "names"
    return "" if asked.asks == kept.asks == "compare" else "direction"


def _same_numbers(asked: tuple[str, ...], kept: tuple[str, ...]) -> bool:
    if asked == kept:
        return True
    # "one" is often no number: which one, in one sentence, in a sentence.
    one, other = ([number for number in numbers if number != "one"] for numbers in (asked, kept))
    return one == other or ["1" if number == "one" else number for number in asked] == [
        "1" if number == "one" else number for number in kept
    ]


def _logical(asked: Reading, kept: Reading) -> str:
    if asked.negations != kept.negations:
        return "negation"
    if not _same_kind(asked, kept):
        return "question type"
    if _other_person(asked, kept):
        return "person"
    if "past" in (tenses := {asked.tense, kept.tense}) and "now" in tenses:
        return "tense"
    if "past" in tenses and any(
        reading.modal in {"can", "should", "must"} and not reading.tense for reading in (asked, kept)
    ):
        return "tense"
    if "future" in tenses and len(tenses) > 1:
        return "tense"
    modals = {asked.modal, kept.modal} - {"would", "will"}
    if len(modals) > 1 and (asked.asks == "yes_or_no" or not ("" in modals or modals == {"must", "should"})):
        return "modality"
    joins = asked.joins - {"vs"}, kept.joins - {"vs"}
    return "words" if all(joins) and joins[0].isdisjoint(joins[1]) and asked.asks != "compare" else ""


def _other_person(asked: Reading, kept: Reading) -> bool:
    if asked.people and kept.people and asked.people.isdisjoint(kept.people):
        return True
    if asked.owners and kept.owners and asked.owners != kept.owners:
        return True
    if _turned_on_me(asked, kept) or _turned_on_me(kept, asked):
        return True
    if asked.objects != kept.objects and sorted(asked.objects) == sorted(kept.objects):
        return True
    general = asked.modal or kept.modal or "how_to" in {asked.asks, kept.asks}
    return bool(asked.subjects and kept.subjects) and asked.subjects.isdisjoint(kept.subjects) and not general


def _turned_on_me(one: Reading, other: Reading) -> bool:
    """Tell whether who asks does it there, and it is done to them here; or whether we do it here, and you do it there."""
    if {"me", "us"} & set(one.objects) and not other.objects and "first" in other.subjects - one.subjects:
        return True
    plain = one.asks == other.asks == "yes_or_no" and not one.modal and not other.modal
    return plain and not one.said.isdisjoint(_WE) and other.said.isdisjoint(_WE) and "you" in other.said - one.said


_WE = frozenset(["i", "we"])


def _same_kind(asked: Reading, kept: Reading) -> bool:
    one, other = asked.asks, kept.asks
    if one == other or frozenset({one, other}) in _AGREEING:
        return True
    kinds = {one, other}
    if "calculate" in kinds and kinds & {"what", "how_much", "how_many"}:
        return bool(asked.numbers or asked.code)
    if kinds == {"where", "how_to"}:
        return all(any(word.stem in _DONE_AT_ONE_PLACE for word in reading.words) for reading in (asked, kept))
    if kinds == {"who", ""}:
        named = asked if one == "" else kept
        return any(word.stem in _DOERS or word.text in _DOERS for word in named.words)
    if not kinds & {"what", "", "which"}:
        return False
    if kinds & {"how_much", "how_many"}:
        return _both_have(asked, kept, "measures")
    return "when" in kinds and _both_have(asked, kept, "moments")


def _both_have(asked: Reading, kept: Reading, kind: str) -> bool:
    """Tell whether both questions have a word of a kind. One that is not implied will need its counterpart anyway."""
    found = [[word for word in reading.words if kind in word.kinds] for reading in (asked, kept)]
    return all(found) or any(not word.optional for words in found for word in words)


def _verbal(asked: Reading, kept: Reading) -> str:
    alignment = aligned(asked, kept)
    left, right = alignment.asked, alignment.kept
    bare = not anchored(asked, kept, alignment.pairs) and not asked.numbers and not asked.code and not asked.addresses
    if bare or _both_lack(left, right) or any(not word.optional for word in (*left, *right)):
        return _why(left, right)
    return "direction" if turned(asked, kept, alignment.pairs) else ""


_NEVER_IMPLIED = ("dates", "apart")


def _both_lack(left: tuple[Word, ...], right: tuple[Word, ...]) -> bool:
    """Tell whether both sides have a word too many. What a phrase only implies does not count; a day is no month, some are not all."""
    if not left or not right:
        return False
    if any(all(any(kind in word.kinds for word in side) for side in (left, right)) for kind in _NEVER_IMPLIED):
        return True
    return not all(word.implied for word in left) and not all(word.implied for word in right)


def _why(left: tuple[Word, ...], right: tuple[Word, ...]) -> str:
    """Name what kind of words are left over."""
    words = (*left, *right)
    for name in ("units", "dates", "comparison"):
        if any(name in word.kinds for word in words):
            return name
    return "names" if any(word.capital or "names" in word.kinds for word in words) else "words"
