"""Where each argument of a call came from: its value is looked for in what the model had read. Pure, bounded in time, never sure by guess.

A value is trusted when nothing untrusted was read, or when it stands by itself, whole, in what a trusted source said and nothing untrusted that
carries words has it, too. Everything else is untrusted: made up, put together, encoded, too short to tell, beyond the bounds.
What is found of it in an untrusted source, decoded or in pieces, only names that source.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from gateway.agents.provenance import MODEL, Context, Seen, declared_names
from gateway.core.items import Json
from gateway.core.tools import Label, Tool

MOST_LEAVES: Final = 1000
"""Arguments beyond that many are all of one unknown origin, under the path of the whole."""
MOST_WORK: Final = 20_000_000
"""Characters that are searched for one call, at most: about 50 ms where they are written to hold up the search."""
LONGEST_VALUE: Final = 16_384
SHORTEST: Final = 3
"""Characters of a text that can be found at all."""
_WINDOW: Final = 12
_WINDOWS: Final = 8
_DEEPEST: Final = 64
_LARGEST: Final = 10**18
_BEFORE: Final = frozenset(" \"'`([{<,;:=«„“‘$€£#")  # noqa: RUF001 - quotation marks that people write
_AFTER: Final = frozenset(" \"'`)]}>,;:!?»”’%€")  # noqa: RUF001 - quotation marks that people write
_HIDDEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_BLANKS: Final = "\t\n\r\v\f\u00a0\u2028\u2029"
_WORD: Final = re.compile(r"[\w@.+-]+")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){4,}\Z")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}\Z")

Leaf = tuple[str, Json]


def origins(tool: Tool, arguments: dict[str, Json], context: Context) -> dict[str, Label]:
    """Give a label for every value of the arguments by its path (`to[0].address`); it raises nothing."""
    search = _Search(context)
    known = declared_names((tool.schema,))
    found: dict[str, Label] = {}
    for number, (path, value) in enumerate(_leaves(arguments, known)):
        if number >= MOST_LEAVES:
            found["…"] = search.unknown
            break
        found[path] = search.origin(value)
    return found


class _Search:
    """Looks for values in a context, each text of which it reads once."""

    def __init__(self, context: Context) -> None:
        self._suspect = context.suspect
        self._secret = bool(context.sensitive)
        self._left = MOST_WORK
        self._cut = context.cut and context.suspect
        self._trusted = [(one, *_plain(one.text)) for one in context.seen if one.text and not one.untrusted]
        self._untrusted = [(one, _bare(one.text)) for one in context.seen if one.text and one.untrusted]
        self._secrets = [_bare(one.text) for one in context.seen if one.text and _is_secret(one)]

    @property
    def unknown(self) -> Label:
        """The label of what is found nowhere: the model made it, of all that it had read."""
        return self._label(MODEL, untrusted=self._suspect, secret=self._secret)

    def origin(self, value: Json) -> Label:
        if value is None or isinstance(value, bool | dict | list) or value == "":
            # They stand in no text, and mean something all the same.
            return self.unknown
        forms = _forms(value)
        if not forms or self._left <= 0:
            return self.unknown
        home = self._at_home(forms, short=isinstance(value, str) and len(value.strip()) < SHORTEST)
        culprit = self._culprit(forms)
        sure = self._left > 0 and not self._cut
        if home is not None and sure and (culprit is None or culprit.symbols is not None):
            return self._label(home.label, untrusted=False, secret=self._is_secret_value(home, forms))
        if culprit is not None:
            return self._label(culprit.label, untrusted=True, secret=self._secret)
        return self.unknown

    def _label(self, source: Label, *, untrusted: bool, secret: bool) -> Label:
        return msgspec.structs.replace(
            source,
            integrity="untrusted" if untrusted else "trusted",
            confidentiality="sensitive" if secret else "internal",
        )

    def _is_secret_value(self, home: Seen, forms: Sequence[str]) -> bool:
        if _is_secret(home):
            return True
        return any(self._within(_bare(form), text) for form in forms for text in self._secrets)

    def _at_home(self, forms: Sequence[str], *, short: bool) -> Seen | None:
        if short:
            return None
        for form in forms:
            plain, lower = _plain(form)
            for one, whole, low in self._trusted:
                # Only in plain letters are two cases surely the same word.
                needle, hay = (lower, low) if plain.isascii() else (plain, whole)
                if self._stands_in(needle, hay):
                    return one
        return None

    def _stands_in(self, needle: str, hay: str) -> bool:
        at = -1
        while needle and self._left > 0:
            begin = at + 1
            at = hay.find(needle, begin)
            self._left -= (len(hay) if at < 0 else at + 1) - begin + 1
            if at < 0:
                return False
            end = at + len(needle)
            if (at == 0 or hay[at - 1] in _BEFORE) and _ends(hay, end):
                return True
        return False

    def _within(self, needle: str, hay: str) -> bool:
        self._left -= len(hay)
        return len(needle) > 0 and needle in hay

    def _culprit(self, forms: Sequence[str]) -> Seen | None:
        """Give who has it whole or in part: one with words before one without."""
        mute: Seen | None = None
        for form in forms:
            for needle in _pieces(form):
                for one, text in self._untrusted:
                    if self._left <= 0:
                        return mute
                    if self._within(needle, text):
                        if one.symbols is None:
                            return one
                        mute = mute or one
        return mute


def _is_secret(one: Seen) -> bool:
    return one.label.confidentiality == "sensitive"


def _ends(hay: str, end: int) -> bool:
    if end == len(hay) or hay[end] in _AFTER:
        return True
    return hay[end] == "." and (end + 1 == len(hay) or hay[end + 1] in _AFTER)


def _plain(text: str) -> tuple[str, str]:
    """Give a text with every stretch of blanks as one, as it is and in small letters."""
    whole = _spaced(text)
    return whole, whole.lower()


def _spaced(text: str) -> str:
    """Give a text with one blank for every stretch of them: what `" ".join(text.split())` does, at a tenth of the time."""
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip()


def _bare(text: str) -> str:
    """Give a text as it reads: no blanks doubled, no hidden characters, no other forms of the same letters."""
    if not text.isascii():
        text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    return _spaced(text).casefold()


def _forms(value: Json) -> list[str]:
    """Give the texts that a value may stand as; none for one that is too long to be looked for."""
    if isinstance(value, str):
        return [value] if len(value) <= LONGEST_VALUE else []
    if not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        return []
    return _number_forms(value)


def _number_forms(value: float) -> list[str]:
    """Give how people write a number. A point between thousands is none of them: it would be another number elsewhere."""
    if not float(value).is_integer():
        return [repr(value), f"{value:.2f}"] if round(value, 2) == value else [repr(value)]
    value = int(value)
    return [f"{value}", f"{value:,}", f"{value:_}".replace("_", " "), f"{value}.00", f"{value:,}.00"]


def _pieces(text: str) -> Iterator[str]:
    """Give a value whole, what it decodes to, its words, and stretches of it, as they may stand in a source."""
    for form in (text, *_decoded(text)):
        bare = _bare(form)
        yield bare
        if len(bare) <= SHORTEST:
            continue
        words = sorted({word for word in _WORD.findall(bare) if len(word) > 4}, key=len, reverse=True)
        yield from words[:_WINDOWS]
        step = max(1, (len(bare) - _WINDOW) // _WINDOWS)
        if len(bare) > _WINDOW:
            yield from (bare[at : at + _WINDOW] for at in range(0, len(bare) - _WINDOW + 1, step))


def _decoded(text: str) -> Iterator[str]:
    if "%" in text or "+" in text:
        yield unquote_plus(text, errors="replace")
    if _HEX.match(text):
        yield bytes.fromhex(text).decode("utf-8", "replace")
    if _BASE64.match(text):
        try:
            raw = base64.b64decode(
                text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_" if set(text) & set("-_") else None
            )
        except (binascii.Error, ValueError):
            return
        yield raw.decode("utf-8", "replace")


def _leaves(arguments: dict[str, Json], known: frozenset[str]) -> Iterator[Leaf]:
    """Give every value that holds no other, and every name that no definition writes out, by path."""
    waiting: list[tuple[str, Json, int]] = [("", arguments, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > _DEEPEST or not isinstance(value, dict | list) or (not value and path):
            # What is too deep to look into is a value that is found nowhere.
            yield path, value
        elif isinstance(value, dict):
            for name, inner in reversed(value.items()):
                under = f"{path}.{name}" if path else name
                waiting.append((under, inner, depth + 1))
                if name not in known:
                    yield f"{under} (name)", name
        else:
            waiting.extend((f"{path}[{at}]", value[at], depth + 1) for at in range(len(value) - 1, -1, -1))
