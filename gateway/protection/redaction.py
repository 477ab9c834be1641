"""Redaction: takes out of texts and JSON values what must not be seen, by the action that each kind has. It sends nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Literal, TypeAlias

import msgspec

from gateway.core.items import Json
from gateway.protection.detect import detect
from gateway.protection.finding import Finding, settled
from gateway.protection.known_names import NO_NAMES, KnownNames
from gateway.protection.opaque import is_base64, is_sealed
from gateway.protection.placeholders import LITERAL, LOOKS_LIKE_ONE, OPEN, Placeholders

Action: TypeAlias = Literal["report", "placeholder", "redact", "block"]

STRICTNESS: Final[Mapping[Action, int]] = {"report": 0, "placeholder": 1, "redact": 2, "block": 3}
_JSON_BEGINS: Final = re.compile(r'[ \t\r\n]*+[{\["]')
_SHORTEST_NUMBER: Final = 100_000_000
_SEED: Final = "seed"
"""The one parameter of a call that may be a long number of any digits."""
DEEPEST_JSON_TEXT: Final = 3
_MOST_ROUNDS: Final = 4


class Redactor:
    """Redacts everything that one call says, with placeholders that agree with each other.

    `names` are those that a model found in the texts of the call, if one was asked.
    `counts` are the findings by kind, `changed` whether anything was taken out, `blocked` the kinds that may not pass.
    `seen` are the texts that were looked at; those of `clean` need not be looked at again.
    """

    def __init__(
        self,
        actions: Mapping[str, Action],
        placeholders: Placeholders,
        names: KnownNames = NO_NAMES,
        *,
        clean: AbstractSet[str] = frozenset(),
    ) -> None:
        self._actions = actions
        self._clean = clean
        self.seen: set[str] = set()
        self._names = names
        self._kinds = frozenset(actions)
        self._placeholders = placeholders
        self._reversible = "placeholder" in actions.values()
        self.counts: Counter[str] = Counter()
        self.blocked: set[str] = set()
        self.changed = False

    def text(self, text: str, key: str = "", depth: int = 0) -> str:
        """Redact one text; where it is a JSON document, inside its values, so that it stays one."""
        if text in self._clean:
            return text
        self.seen.add(text)
        if is_base64(text):
            return text
        if looks_like_json(text) and depth < DEEPEST_JSON_TEXT:
            document = self._document(text, depth + 1)
            if document is not text:
                # What looks like a placeholder in it now is one.
                return self._flat(document, key, literals=False)
        return self._flat(text, key, literals=self._reversible)

    def json(self, value: Json, key: str = "", depth: int = 0) -> Json:
        """Redact every text in a decoded JSON value, the names of fields too; the same object where nothing changes."""
        if isinstance(value, str):
            return self.text(value, key, depth)
        if isinstance(value, dict):
            fields = {
                self._flat(name, "", literals=self._reversible): item
                if is_sealed(value, name)
                else self.json(item, name, depth)
                for name, item in value.items()
            }
            same = fields.keys() == value.keys() and all(fields[name] is value[name] for name in value)
            return value if same else fields
        if isinstance(value, list):
            items = [self.json(item, key, depth) for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, (int, float)) and abs(value) >= _SHORTEST_NUMBER and (depth or key != _SEED):
            return self._number(value, key)
        return value

    def _number(self, value: float, key: str) -> Json:
        """Redact a number by its digits; those of a whole one, however it was written."""
        whole = int(value) if isinstance(value, int) or value.is_integer() else value
        digits = str(abs(whole))
        redacted = self._flat(digits, key, literals=False)
        return value if redacted == digits else redacted

    def _document(self, text: str, depth: int) -> str:
        try:
            value = msgspec.json.decode(text)
            redacted = self.json(value, "", depth)
        except (msgspec.DecodeError, RecursionError):
            return text
        return text if redacted is value else msgspec.json.encode(redacted).decode()

    def _flat(self, text: str, key: str, *, literals: bool) -> str:
        findings = detect(text, self._kinds, key=key)
        if names := self._names.find(text, self._kinds):
            findings = settled((*findings, *(_outside_placeholders(text, names) if self._reversible else names)))
        if literals and (OPEN in text or "\\u27" in text):
            findings = _with_literals(text, findings)
        rounds = 0
        while findings and rounds < _MOST_ROUNDS:
            before, text = text, self._without(text, findings)
            # What was glued to a value may be one itself, now that it stands alone. Placeholders are not looked into.
            again = [] if text == before else detect(text, self._kinds, key=key)
            findings = [
                found
                for found in again
                if self._actions[found.kind] != "report" and OPEN not in text[found.start : found.end]
            ]
            rounds += 1
        return text

    def _without(self, text: str, findings: list[Finding]) -> str:
        pieces: list[str] = []
        done = 0
        for kind, start, end in findings:
            pieces += (text[done:start], self._instead(kind, text[start:end]))
            done = end
        return "".join((*pieces, text[done:]))

    def _instead(self, kind: str, value: str) -> str:
        action = self._actions.get(kind, "placeholder")
        if kind != LITERAL:
            self.counts[kind] += 1
        if action == "report":
            return value
        self.changed = True
        if action == "placeholder":
            return self._placeholders.place(kind, value)
        if action == "block":
            self.blocked.add(kind)
        return f"[{kind.upper()}]"


def looks_like_json(text: str) -> bool:
    """Whether a text begins as a JSON document does that may hold texts."""
    return _JSON_BEGINS.match(text) is not None


def _with_literals(text: str, findings: list[Finding]) -> list[Finding]:
    """Add what looks like a placeholder and is the user's own text. What overlaps a finding is inside of it, or cut off by it."""
    taken = [(start, end) for _, start, end in findings]
    literals = [
        Finding(LITERAL, match.start(), match.end())
        for match in LOOKS_LIKE_ONE.finditer(text)
        if all(match.end() <= start or end <= match.start() for start, end in taken)
    ]
    return sorted((*findings, *literals), key=lambda found: found.start)


def _outside_placeholders(text: str, names: list[Finding]) -> list[Finding]:
    """Leave out what stands within a placeholder, or within what looks like one: that is dealt with whole."""
    if OPEN not in text and "\\u27" not in text:
        return names
    spans = [match.span() for match in LOOKS_LIKE_ONE.finditer(text)]
    return [name for name in names if all(name.end <= start or end <= name.start for start, end in spans)]


def find_path(
    value: Json, kinds: frozenset[str], path: str = "", key: str = "", names: KnownNames = NO_NAMES
) -> str | None:
    """Give the path ("messages[2].content") of the first text of a request that holds one of the kinds."""
    if isinstance(value, (str, int, float)):
        probe = Redactor(dict.fromkeys(kinds, "report"), Placeholders(), names)
        probe.json(value, key)
        return path if probe.counts else None
    children: list[tuple[str, str, Json]] = []
    if isinstance(value, dict):
        children = [
            (f"{path}.{name}" if path else name, name, item)
            for name, item in value.items()
            if not is_sealed(value, name)
        ]
    elif isinstance(value, list):
        children = [(f"{path}[{index}]", key, item) for index, item in enumerate(value)]
    found = (find_path(item, kinds, where, name, names) for where, name, item in children)
    return next((where for where in found if where is not None), None)
