"""Learns from which similarity on an entry may answer other questions, so that at most a share of such answers is wrong. Pure.

What is learnt of an entry are its own samples: at which similarities its answer was right for another question, and at which wrong. Alone
they are far too few to bound a share of, say, 2 %. So they only say which *kind* of case a question is: how many of the entry's right
samples were no nearer than it (they confirm it), how many of its wrong ones no further (each outweighs several), and how similar it is. How
often each kind is wrong is counted over all entries of the model, and bounded with confidence. So an entry earns its threshold: a lower
one by being right, a higher one by being wrong. The idea of learning thresholds by entry is vCache's (Schroeder et al., 2025); this
estimate assumes no form of the curve, only that more similarity and more confirmation make it no worse.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final

from gateway.cache.evidence import surely_below

LEAST: Final = 0.5
"""Below this similarity nothing is learnt, and nothing served."""
WIDTH: Final = 0.02
MOST_ENTRIES: Final = 50_000
CONFIDENCE: Final = 0.95
_BINS: Final = round((1 - LEAST) / WIDTH)
_KINDS: Final = (0, 1, 3, 8)
"""Confirmations from which a further kind begins. The first kind is contradicted."""
_WEIGHT: Final = 3
"""How many confirmations one contradiction takes back."""
_MOST_SAMPLES: Final = 32
"""Of each entry, the latest."""
_BACK: Final = (0, 1, 2, 4)
"""How many bins further down count with a bin: the cases there are no better."""
_DOWN: Final = (0, 1, 2, 3)
_MARGIN: Final = 0.005

_Sample = tuple[float, bool]
"""The similarity of a question to the entry's own, and whether its answer was right for it."""


def _confirmed(samples: Iterable[_Sample], similarity: float) -> int:
    """How often an entry was right where it had less reason to be, less what speaks against it."""
    least, most = similarity - _MARGIN, similarity + _MARGIN
    return sum((near <= most) if right else -_WEIGHT * (near >= least) for near, right in samples)


class Thresholds:
    """What one model's entries have earned, for a share of `bound` wrong answers among those served."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._entries: OrderedDict[str, deque[_Sample]] = OrderedDict()
        self._total = [[0] * _BINS for _ in range(len(_KINDS) + 1)]
        self._wrong = [[0] * _BINS for _ in range(len(_KINDS) + 1)]
        self._allowed: dict[tuple[int, int], bool] = {}
        # Each of the ways in which neighbours are taken together may err: their confidence is shared.
        self._confidence = 1 - (1 - CONFIDENCE) / (len(_BACK) * len(_DOWN))

    @property
    def samples(self) -> int:
        """How many samples there were."""
        return sum(map(sum, self._total))

    def allows(self, entry: str, similarity: float) -> bool:
        """Whether the entry may answer a question this similar."""
        if similarity < LEAST:
            return False
        cell = self._cell(entry, similarity)
        allowed = self._allowed.get(cell)
        if allowed is None:
            allowed = self._allowed[cell] = self._bounded(*cell)
        return allowed

    def sample(self, entry: str, similarity: float, *, right: bool) -> None:
        """Learn that an entry's answer was right for a question this similar, or wrong."""
        if similarity < LEAST:
            return
        kind, place = self._cell(entry, similarity)
        self._total[kind][place] += 1
        self._wrong[kind][place] += not right
        self._allowed.clear()
        known = self._entries.setdefault(entry, deque(maxlen=_MOST_SAMPLES))
        self._entries.move_to_end(entry)
        known.append((similarity, right))
        if len(self._entries) > MOST_ENTRIES:
            self._entries.popitem(last=False)

    def forget(self, entry: str) -> None:
        """An entry is gone; what was counted stays."""
        self._entries.pop(entry, None)

    def _cell(self, entry: str, similarity: float) -> tuple[int, int]:
        confirmed = _confirmed(self._entries.get(entry, ()), similarity)
        kind = sum(confirmed >= least for least in _KINDS)
        return kind, min(int((similarity - LEAST) / WIDTH), _BINS - 1)

    def _bounded(self, kind: int, place: int) -> bool:
        """Whether this kind of case, or it together with such as are no better, is wrong seldom enough."""
        for down in _DOWN:
            for back in _BACK:
                total = wrong = 0
                for row in range(max(0, kind - down), kind + 1):
                    total += sum(self._total[row][max(0, place - back) : place + 1])
                    wrong += sum(self._wrong[row][max(0, place - back) : place + 1])
                if surely_below(self._bound, wrong, total, confidence=self._confidence):
                    return True
        return False
