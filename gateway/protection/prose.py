"""Gathers the texts of a call in which names may stand. It changes nothing, and looks at nothing twice."""

from __future__ import annotations

import msgspec

from gateway.core.items import Json
from gateway.protection.opaque import is_base64, is_sealed
from gateway.protection.redaction import DEEPEST_JSON_TEXT, looks_like_json

_SHORTEST = 2


class Prose:
    """A change that changes nothing: it notes every text, and what is inside of texts that are JSON documents.

    `texts` are in the order in which they were met, each once. With `spaced`, only those with a space in them: the words that
    an API's own fields hold ("auto", "user") are no prose.
    """

    def __init__(self, *, spaced: bool = False, known: dict[str, None] | None = None) -> None:
        self.texts: dict[str, None] = {} if known is None else known
        self._spaced = spaced

    def text(self, text: str, key: str = "", depth: int = 0) -> str:
        """Note a text; where it is a JSON document, what it holds."""
        del key
        if is_base64(text):
            return text
        if looks_like_json(text) and depth < DEEPEST_JSON_TEXT:
            try:
                self.json(msgspec.json.decode(text), depth=depth + 1)
            except (msgspec.DecodeError, RecursionError):
                self._note(text)
            return text
        self._note(text)
        return text

    def json(self, value: Json, key: str = "", depth: int = 0) -> Json:
        """Note every text in a decoded JSON value, and those names of fields that are more than a word."""
        if isinstance(value, str):
            self.text(value, key, depth)
        elif isinstance(value, dict):
            for name, item in value.items():
                if " " in name:
                    self._note(name)
                if not is_sealed(value, name):
                    self.json(item, name, depth)
        elif isinstance(value, list):
            for item in value:
                self.json(item, key, depth)
        return value

    def _note(self, text: str) -> None:
        if len(text) < _SHORTEST or (self._spaced and " " not in text.strip()) or not any(map(str.isalpha, text)):
            return
        self.texts.setdefault(text)
