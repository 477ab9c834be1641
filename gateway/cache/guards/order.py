"""Order: the same words, but who does what to whom? Says whether a change of their order is one of style."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.guards import grammar
from gateway.cache.guards.reading import Reading, Word

# Most pairs of matched words that are looked at: a text of more words must have them in the same order.
_MOST_MATCHED = 40
_SYMMETRIC = frozenset({"distance", "difference", "similarity", "similar", "same", "equal", "difference"})


def turned(asked: Reading, kept: Reading, pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether matched words changed their roles."""
    ordered = sorted(set(pairs))
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


def _clash(one: Word, other: Word) -> bool:
    return frozenset({one.marker, other.marker}) in grammar.CLASHES


def _nouns(reading: Reading, places: list[int]) -> list[int]:
    return [place for place in places if not reading.words[place].verb]


def _passive_turned(asked: Reading, kept: Reading, pairs: list[tuple[int, int]]) -> bool:
    """In one question the doer comes first, in the other after "by": then the order must be the other way round."""
    passive, active = (asked, kept) if asked.passive else (kept, asked)
    turned_pairs = pairs if asked.passive else [(other, one) for one, other in pairs]
    agents = [(one, other) for one, other in turned_pairs if passive.words[one].marker == "by"]
    others = [(one, other) for one, other in turned_pairs if passive.words[one].marker != "by"]
    if not agents:
        return True
    things = [(one, other) for one, other in others if not passive.words[one].verb and not active.words[other].verb]
    return any(
        agent[1] > thing[1] and not active.words[thing[1]].marker
        for agent in agents
        for thing in things
        if agent[0] > thing[0]
    )


def _explained(asked: Reading, kept: Reading, first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Tell whether two words that changed places did so for the style."""
    x1, y1, x2, y2 = asked.words[first[0]], asked.words[second[0]], kept.words[first[1]], kept.words[second[1]]
    if x1.verb or y1.verb or x2.verb or y2.verb:
        return True
    if _coordinated(asked, x1, y1) and _coordinated(kept, x2, y2):
        return True
    if (x1.marker, y1.marker) == (y2.marker, x2.marker) and x1.marker != y1.marker:
        return False
    if x1.marker == x2.marker and y1.marker == y2.marker:
        return x1.marker != y1.marker
    changed = {x1.marker, x2.marker} if x1.marker != x2.marker else {y1.marker, y2.marker}
    return "" in changed and changed.isdisjoint(grammar.DIRECTED) and (x1.marker == x2.marker or y1.marker == y2.marker)


def _coordinated(reading: Reading, one: Word, other: Word) -> bool:
    """Tell whether two words are sides of an and, or, vs: their order says nothing."""
    return one.cluster == other.cluster and one.segment != other.segment and one.cluster in reading.joined
