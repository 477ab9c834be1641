"""The vectors of texts: asked of a model once, and remembered, a bounded number of them."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from gateway.cache.asking import Asking
from gateway.core.call import Call
from gateway.stores.vectors import Vector

MOST_BYTES: Final = 16 * 1024 * 1024
_BESIDE: Final = 200
"""Bytes that a remembered vector takes besides its own."""


class EmbeddedTexts:
    """Vectors by `model`. No text is kept, only what it was like: a digest finds it again."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._bytes = 0

    def known(self, text: str) -> Vector | None:
        """Give the vector of a text that was asked for lately."""
        key = _digest(text)
        vector = self._vectors.get(key)
        if vector is not None:
            self._vectors.move_to_end(key)
        return vector

    async def of(self, texts: tuple[str, ...], asking: Asking, call: Call) -> tuple[Vector, ...]:
        """Give the vectors of texts. Raises what the model's route raises."""
        missing = tuple(dict.fromkeys(text for text in texts if self.known(text) is None))
        made = {}
        if missing:
            made = dict(zip(missing, await asking.vectors(self.model, missing, call), strict=True))
            for text, vector in made.items():
                self._remember(text, vector)
        return tuple([made.get(text) or self._vectors[_digest(text)] for text in texts])

    def _remember(self, text: str, vector: Vector) -> None:
        key = _digest(text)
        if key not in self._vectors:
            self._vectors[key] = vector
            self._bytes += len(vector) + _BESIDE
        while self._bytes > MOST_BYTES and len(self._vectors) > 1:
            _, oldest = self._vectors.popitem(last=False)
            self._bytes -= len(oldest) + _BESIDE


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
