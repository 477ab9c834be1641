"""Order: the same words, but who does what to whom? Says whether a change of their order is one of style."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.guards import grammar
from gateway.cache.guards.reading import Reading
from gateway.cache.guards.word import CLAUSE, Word

# Most pairs of matched words that are looked at: a text of more words must have them in the same order.
_MOST_MATCHED = 24
_LIKE_ADJECTIVES = ("ic", "ive", "ous", "ful", "less", "able", "ible", "ial", "ical", "ed")
_ASK_FOR_ONE = frozenset({"who", "what", "which", "whats"})
_BETWEEN = frozenset({"", "between", "with", "from", "to", "of"})
# Questions that leave out who does it: what is done may stand before or after what it is done to.
_SUBJECTLESS = frozenset(
    {"how_to", "how", "", "list", "explain", "convert", "calculate", "task", "translate", "compare"}
)


def turned(asked: Reading, kept: Reading, pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether matched words changed their roles."""
    ordered = sorted(set(pairs))
    mutual = asked.asks == kept.asks == "compare" or all("distance" in _stems(reading) for reading in (asked, kept))
    if mutual and all(word.marker in _BETWEEN for word in (*asked.words, *kept.words)):
        return False
    if any(_clash(asked.words[one], kept.words[other]) for one, other in ordered):
        return True
    if len(ordered) > _MOST_MATCHED:
        return [other for _, other in ordered] != sorted(other for _, other in ordered)
    if _stranded(asked, kept) or _stranded(kept, asked):
        return True
    if asked.passive != kept.passive:
        return _passive_turned(asked, kept, ordered)
    if _done_to_whom(asked, kept, ordered):
        return True
    return any(
        first[1] > second[1] and not _explained(asked, kept, first, second)
        for index, first in enumerate(ordered)
        for second in ordered[index + 1 :]
    )


def _stranded(one: Reading, other: Reading) -> bool:
    """Tell whether a preposition ends one question, and has a word in the other: who is Ann older than, who is older than Ann."""
    if (
        not one.stranded
        or one.stranded == other.stranded
        or one.asks not in _ASK_FOR_ONE
        or other.asks not in _ASK_FOR_ONE
    ):
        return False
    return any(word.marker in one.stranded - other.stranded for word in other.words)


def _done_to_whom(asked: Reading, kept: Reading, pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether who did it is asked here, and to whom it was done there: who is paying, who is being paid."""
    kinds = {asked.asks, kept.asks}
    modal = asked.modal or kept.modal
    if kinds == {"who"} and asked.does != kept.does and not (modal or asked.stranded or kept.stranded):
        # Who did the king succeed, who succeeded the king.
        return True
    perfect = kinds == {"yes_or_no"} and ({"been", "being"} & asked.said) != ({"been", "being"} & kept.said)
    if not (kinds <= {"who", "which"} or perfect) or asked.does or kept.does:
        return False
    return any(
        asked.words[one].done != kept.words[other].done and asked.words[one].verb and kept.words[other].verb
        for one, other in pairs
    )


def _stems(reading: Reading) -> set[str]:
    return {word.stem for word in reading.words}


def _clash(one: Word, other: Word) -> bool:
    if one.number and other.number and one.number != other.number:
        return True
    if "units" in one.kinds and (one.marker == "#") != (other.marker == "#"):
        return True
    return frozenset(_marked(one, other)) in grammar.CLASHES


def _passive_turned(asked: Reading, kept: Reading, pairs: list[tuple[int, int]]) -> bool:
    """In one question the doer comes after "by": in the other it must come before the verb, and what is done to after it."""
    passive, active = (asked, kept) if asked.passive else (kept, asked)
    places = pairs if asked.passive else [(other, one) for one, other in pairs]
    verbs = [place for place in places if passive.words[place[0]].verb or active.words[place[1]].verb]
    if not verbs:
        return True
    verb = verbs[0]
    for one, other in places:
        if (one, other) in verbs:
            continue
        doer = passive.words[one].marker == "by"
        if doer and other > verb[1]:
            return True
        # Which ports does Kafka use: what is asked for stands first in both.
        asked_for = one == other == 0 and active.does
        if not doer and not asked_for and one < verb[0] and other < verb[1]:
            return True
    return False


def _explained(asked: Reading, kept: Reading, first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Tell whether two words that changed places did so for the style."""
    x = asked.words[first[0]], kept.words[first[1]]
    y = asked.words[second[0]], kept.words[second[1]]
    if any(word.text in grammar.FOCUS or word.optional for word in (*x, *y)):
        return all(word.text not in grammar.FOCUS for word in (*x, *y))
    if _coordinated(asked, x[0], y[0]) and _coordinated(kept, x[1], y[1]):
        return _same_company(asked, kept, *x) and _same_company(asked, kept, *y)
    mx, my = _marked(*x), _marked(*y)
    if (mx[0], my[0]) == (my[1], mx[1]) and mx[0] != my[0]:
        return False
    if mx[0] == mx[1] != my[0] == my[1] and CLAUSE in {mx[0], my[0]}:
        return True
    if _loose(asked, kept, x, y):
        return True
    if _is_verb(*x) != _is_verb(*y):
        still, moved = (y, x) if _is_verb(*x) else (x, y)
        return _still(asked, kept, still) or _moved_verb(asked, kept, moved)
    if _is_verb(*x) and not any((*mx, *my)):
        inflected = [x[side].inflected + y[side].inflected for side in (0, 1)]
        return _subjectless(asked, kept) and inflected[0] != inflected[1]
    if mx[0] == mx[1] and my[0] == my[1]:
        return mx[0] != my[0]
    changed = {mark for marks in (mx, my) if marks[0] != marks[1] for mark in marks}
    return changed.isdisjoint(grammar.DIRECTED) and (mx[0] != my[0] or mx[1] != my[1])


def _still(asked: Reading, kept: Reading, word: tuple[Word, Word]) -> bool:
    """Tell whether a word brought its preposition with it, and says when: on Sunday, what do you do."""
    same = word[0].marker == word[1].marker != ""
    return same and ("dates" in word[0].kinds or asked.asks == kept.asks == "when")


def _loose(asked: Reading, kept: Reading, x: tuple[Word, Word], y: tuple[Word, Word]) -> bool:
    """Tell whether one of two words may stand anywhere: an adverb, an adjective, what is measured, the unit of a number."""
    if any(word.text.endswith("ly") and word.text not in grammar.FOCUS for word in (*x, *y)):
        return True
    if any(map(_describes, x)) != any(map(_describes, y)):
        return True
    measured = any(map(_measures, (*x, *y))) and not {asked.asks, kept.asks} & {"yes_or_no", "how", "why"}
    if measured and not (asked.does and kept.does):
        return True
    units = all("units" in word.kinds for word in (*x, *y))
    return units and all((one.marker == "#") != (other.marker == "#") for one, other in zip(x, y, strict=True))


def _marked(one: Word, other: Word) -> tuple[str, str]:
    """Give the prepositions of two words that match. One that only modifies here, and there does not, has none here."""
    first = "" if one.modifier and not other.modifier else one.marker
    second = "" if other.modifier and not one.modifier else other.marker
    return first, second


def _is_verb(one: Word, other: Word) -> bool:
    return (one.verb or other.verb) and not (one.noun and other.noun)


def _subjectless(asked: Reading, kept: Reading) -> bool:
    return not {asked.asks, kept.asks}.isdisjoint(_SUBJECTLESS)


def _moved_verb(asked: Reading, kept: Reading, verb: tuple[Word, Word]) -> bool:
    """A verb may change places with a word where nobody is named who does it, or where one of its forms says so."""
    if _subjectless(asked, kept) or verb[0].inflected or verb[1].inflected:
        return True
    return {asked.asks, kept.asks} <= {"what", "whats", "which"} and not asked.does and not kept.does


def _measures(word: Word) -> bool:
    return "measures" in word.kinds or "moments" in word.kinds


def _describes(word: Word) -> bool:
    known = "adjectives" in word.kinds and "nouns" not in word.kinds
    return known or (not word.kinds and not word.verb and word.text.endswith(_LIKE_ADJECTIVES))


def _same_company(asked: Reading, kept: Reading, one: Word, other: Word) -> bool:
    """Tell whether a side of an "and" has the same words with it: red cars and blue bikes, blue bikes and red cars."""
    company = [
        {word.stem for word in reading.words if (word.cluster, word.segment) == (side.cluster, side.segment)}
        for reading, side in ((asked, one), (kept, other))
    ]
    return len(company[0]) == len(company[1]) and (company[0] == company[1] or len(company[0]) == 1)


def _coordinated(reading: Reading, one: Word, other: Word) -> bool:
    """Tell whether two words are sides of an and, or, vs: their order says nothing."""
    return one.cluster == other.cluster and one.segment != other.segment and one.cluster in reading.joined
