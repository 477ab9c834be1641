"""The words that the guards know: who means the same, which words are verbs, units, dates, filler. Read once, from beside this module.

`words.txt` holds a group of words of one meaning a line, `phrases.txt` what several words come to. What is not listed is a
word of its own: it only matches itself. The vocabulary of the embedding model serves as the list of words that exist.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

_HERE = Path(__file__).parent
_VOCABULARY = _HERE.parents[1] / "providers" / "embedded" / "minilm-vocab.txt"
_CHOICE = re.compile(r"\(([^()]*)\)")
_SHORTEST_STEMMED = 4
# Before the words beside which a group is one.
_BESIDE = "|"
_NO_GROUPS = frozenset(["irregular", "companions", "sums"])


class Branch(msgspec.Struct):
    """A place in the tree of phrases: what the words so far come to (None: nothing yet), and which may follow."""

    following: dict[str, Branch] = {}
    meaning: tuple[str, ...] | None = None


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words. `groups` maps a word (and its stem) to the numbers of its groups, `kinds` to the sections that it stands in.

    `beside` has, of a group that is one only in some company, the stems of which one must be there. `exact` are the groups of
    spellings and short forms. `phrases` is the tree of phrases, word by word.
    """

    groups: dict[str, frozenset[int]]
    beside: dict[int, frozenset[str]]
    exact: frozenset[int]
    kinds: dict[str, frozenset[str]]
    irregular: dict[str, str]
    companions: dict[str, frozenset[str]]
    sums: tuple[tuple[str, ...], ...]
    phrases: Branch
    known: frozenset[str]
    own: frozenset[str]

    def kinds_of(self, text: str) -> frozenset[str]:
        """Give the sections that a word or what it is a form of stands in."""
        return self.kinds.get(text, frozenset()) | self.kinds.get(stem(text), frozenset())


def _lines(name: str) -> Iterator[str]:
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines():
        text = line.split("//", 1)[0].strip()
        if text:
            yield text


def _sections() -> dict[str, list[list[str]]]:
    """Give the lines of words.txt, split at blanks, by section."""
    found: dict[str, list[list[str]]] = {}
    section: list[list[str]] = []
    for line in _lines("words.txt"):
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        else:
            section.append(line.split())
    return found


def spelled_out(pattern: str) -> list[tuple[str, ...]]:
    """Give every phrase that a pattern stands for: `how (do|can) (i|we)` is four. An empty choice may be left out."""
    parts = _CHOICE.split(pattern)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    return [tuple(" ".join(chosen).split()) for chosen in itertools.product(*choices)]


def _phrases() -> Branch:
    root = Branch()
    for line in _lines("phrases.txt"):
        left, _, right = line.partition("=")
        meaning = () if right.strip() == "-" else tuple(right.split())
        for words in spelled_out(left):
            branch = root
            for word in words:
                branch = branch.following.setdefault(word, Branch())
            if branch.meaning is None:
                branch.meaning = meaning
    return root


class _Meanings(msgspec.Struct):
    """The groups of words by number, as they are read."""

    groups: dict[str, set[int]] = {}
    beside: dict[int, frozenset[str]] = {}
    exact: set[int] = set()
    kinds: dict[str, set[str]] = {}


def _meanings(sections: dict[str, list[list[str]]], stemmer: Callable[[str], str]) -> _Meanings:
    found = _Meanings()
    lines = [(name, line) for name, lines in sections.items() if name not in _NO_GROUPS for line in lines]
    for number, (section, line) in enumerate(lines):
        group = line[: line.index(_BESIDE)] if _BESIDE in line else line
        if len(group) < len(line):
            found.beside[number] = frozenset(map(stemmer, line[len(group) + 1 :]))
        if section == "variants":
            found.exact.add(number)
        for word in group:
            # Normally says little, but a normal distribution is one.
            for form in {word} if section == "filler" else {word, stemmer(word)}:
                found.kinds.setdefault(form, set()).add(section)
                if len(group) > 1:
                    found.groups.setdefault(form, set()).add(number)
    return found


@functools.cache
def lexicon() -> Lexicon:
    """Give the words, read at the first use (some 100 ms)."""
    sections = _sections()
    irregular = {form: line[0] for line in sections["irregular"] for form in line}
    vocabulary = _VOCABULARY.read_text(encoding="utf-8").splitlines()
    known = {word for word in vocabulary if len(word) > 1 and word.isalpha()}
    known.update(word for lines in sections.values() for line in lines for word in line)
    known.update(irregular)
    own = frozenset(word for lines in sections.values() for line in lines for word in line if word != _BESIDE)
    stemmer = functools.partial(_stem, irregular=irregular, known=frozenset(known), own=own)
    companions: dict[str, set[str]] = {}
    for head, *others in sections["companions"]:
        for word in others:
            companions.setdefault(stemmer(word), set()).add(stemmer(head))
    meanings = _meanings(sections, stemmer)
    return Lexicon(
        groups={word: frozenset(numbers) for word, numbers in meanings.groups.items()},
        beside=meanings.beside,
        exact=frozenset(meanings.exact),
        kinds={word: frozenset(names) for word, names in meanings.kinds.items()},
        irregular=irregular,
        companions={word: frozenset(heads) for word, heads in companions.items()},
        sums=tuple(tuple(line) for line in sections["sums"]),
        phrases=_phrases(),
        known=frozenset(known),
        own=own,
    )


@functools.lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Give what `word` is a form of, as far as endings tell: resets, resetting and reset are one."""
    words = lexicon()
    return _stem(word, irregular=words.irregular, known=words.known, own=words.own)


def _stem(word: str, *, irregular: dict[str, str], known: frozenset[str], own: frozenset[str]) -> str:
    if word in irregular:
        return irregular[word]
    if len(word) < _SHORTEST_STEMMED:
        return word
    if word.endswith("s"):
        return _singular(word)
    if word.endswith("ied"):
        return word[:-3] + "y"
    if word.endswith("ing") and len(word) > 5:
        return _without_ending(word, word[:-3], known, own)
    if word.endswith("ed") and not word.endswith("eed"):
        return _without_ending(word, word[:-2], known, own)
    if word.endswith("ly") and len(word) > 5:
        return _without_ly(word, known)
    return word


def _singular(word: str) -> str:
    if word.endswith(("ss", "us", "is", "'s")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("sses", "xes", "ches", "shes", "zzes", "oes")):
        return word[:-2]
    return word[:-1]


def _without_ending(word: str, base: str, known: frozenset[str], own: frozenset[str]) -> str:
    """Undo -ing or -ed: hoping is hope, stopping is stop, editing is edit."""
    if len(base) > 2 and base[-1] == base[-2] and base[-1] not in "lsz":
        return base[:-1] if base[:-1] in known else word
    consonants = base[-1:] not in "aeiouwxy" and base[-2:-1] in "aeiou"
    order = (base + "e", base) if consonants else (base, base + "e")
    for words in (own, known):
        for candidate in order:
            if candidate in words:
                return candidate
    return base[:-1] if base[-2:] == "ll" and base[:-1] in known else word


def _without_ly(word: str, known: frozenset[str]) -> str:
    base = word[:-2]
    for candidate in (base, base[:-1] + "y" if base.endswith("i") else base, base + "le"):
        if candidate in known and len(candidate) > 3:
            return candidate
    return word
