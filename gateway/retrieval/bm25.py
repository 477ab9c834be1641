"""BM25 over the words of passages: which of them a question is most likely about. Pure; it knows no text.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the inverse document frequency that is never
negative. What a word adds to a passage's score is worked out once, when the index is made.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

_K1: Final = 1.2
_B: Final = 0.75
MOST_WORDS: Final = 32
"""Different words of a question that are looked for; the first ones."""


class Index:
    """The words of numbered passages."""

    def __init__(self, passages: Iterable[Sequence[str]]) -> None:
        postings: dict[str, tuple[array[int], array[float]]] = {}
        lengths = array("I")
        for number, found in enumerate(passages):
            lengths.append(len(found))
            for word, count in Counter(found).items():
                numbers, counts = postings.setdefault(word, (array("I"), array("f")))
                numbers.append(number)
                counts.append(count)
        self.size = len(lengths)
        mean = sum(lengths) / self.size if self.size else 1.0
        norms = [_K1 * (1 - _B + _B * length / (mean or 1.0)) for length in lengths]
        for numbers, counts in postings.values():
            rare = math.log(1 + (self.size - len(numbers) + 0.5) / (len(numbers) + 0.5))
            for place, number in enumerate(numbers):
                often = counts[place]
                counts[place] = rare * often * (_K1 + 1) / (often + norms[number])
        self._postings = postings

    def search(self, asked: Iterable[str], limit: int) -> list[tuple[int, float]]:
        """Give the `limit` best passages with a word that is asked for, and their scores, the best first; of equals the first."""
        known = [self._postings[word] for word in list(dict.fromkeys(asked))[:MOST_WORDS] if word in self._postings]
        if not known or limit < 1:
            return []
        scores = [0.0] * self.size
        for numbers, weights in known:
            for number, weight in zip(numbers, weights, strict=True):
                scores[number] += weight
        best = heapq.nlargest(limit, range(self.size), key=lambda number: (scores[number], -number))
        return [(number, scores[number]) for number in best if scores[number] > 0]
