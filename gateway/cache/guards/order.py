"""Order: the same words, but who does what to whom? Says whether a change of their order is one of style."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.guards import grammar
from gateway.cache.guards.reader import Word
from gateway.cache.guards.reading import Reading

# Most pairs of matched words that are looked at: a text of more words must have them in the same order.
_MOST_MATCHED = 40
_LIKE_ADJECTIVES = ("ic", "ive", "ous", "ful", "less", "able", "ible", "ial", "ical")
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
    if asked.passive != kept.passive:
        return _passive_turned(asked, kept, ordered)
    return any(
        first[1] > second[1] and not _explained(asked, kept, first, second)
        for index, first in enumerate(ordered)
        for second in ordered[index + 1 :]
    )


def _stems(reading: Reading) -> set[str]:
    return {word.stem for word in reading.words}


def _clash(one: Word, other: Word) -> bool:
    if one.number and other.number and one.number != other.number:
        return True
    if "units" in one.kinds and (one.marker == "#") != (other.marker == "#"):
        return True
    return frozenset({one.marker, other.marker}) in grammar.CLASHES


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
    x1, y1, x2, y2 = asked.words[first[0]], asked.words[second[0]], kept.words[first[1]], kept.words[second[1]]
    if (x1.optional and x2.optional) or (y1.optional and y2.optional):
        return True
    if _coordinated(asked, x1, y1) and _coordinated(kept, x2, y2):
        return _same_company(asked, kept, x1, x2) and _same_company(asked, kept, y1, y2)
    if (x1.marker, y1.marker) == (y2.marker, x2.marker) and x1.marker != y1.marker:
        return False
    if _measures(x1) or _measures(y1):
        return True
    if (
        _is_verb(x1, x2)
        and _is_verb(y1, y2)
        and not x1.noun
        and not y1.noun
        and not (x1.marker or y1.marker or x2.marker or y2.marker)
    ):
        return asked.asks in _SUBJECTLESS and x1.inflected + y1.inflected != x2.inflected + y2.inflected
    if (_is_verb(x1, x2) and not x1.noun) != (_is_verb(y1, y2) and not y1.noun):
        return _moved_verb(asked, kept, (x1, x2) if _is_verb(x1, x2) else (y1, y2))
    if x1.text.endswith("ly") or y1.text.endswith("ly") or _describes(x1) != _describes(y1):
        return True
    if "units" in x1.kinds and "units" in y1.kinds and {x1.marker, y1.marker} & {"#"}:
        return True
    if x1.marker == x2.marker and y1.marker == y2.marker:
        return x1.marker != y1.marker
    changed = {x1.marker, x2.marker} if x1.marker != x2.marker else {y1.marker, y2.marker}
    return "" in changed and changed.isdisjoint(grammar.DIRECTED) and (x1.marker == x2.marker or y1.marker == y2.marker)


def _is_verb(one: Word, other: Word) -> bool:
    return one.verb or other.verb


def _moved_verb(asked: Reading, kept: Reading, verb: tuple[Word, Word]) -> bool:
    """A verb may change places with a word where nobody is named who does it, or where one of its forms says so."""
    if not {asked.asks, kept.asks}.isdisjoint(_SUBJECTLESS) or verb[0].inflected or verb[1].inflected:
        return True
    return asked.asks in {"what", "whats", "which"} and not asked.does and not kept.does


def _measures(word: Word) -> bool:
    return "measures" in word.kinds or "moments" in word.kinds


def _describes(word: Word) -> bool:
    known = "adjectives" in word.kinds and "nouns" not in word.kinds
    return known or (not word.kinds and word.text.endswith(_LIKE_ADJECTIVES))


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
