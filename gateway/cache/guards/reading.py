"""A reading: what a question is made of, as far as the guards ask. Made once a text; it compares nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.cache.guards import grammar, numerals
from gateway.cache.guards.lexicon import Lexicon, lexicon, stem
from gateway.cache.guards.tokens import CODE, NUMBER, PLACE, SIGN, STOP, WORD, Token, cut, folded_words

MOST_CHARACTERS = 4_000


class Word(msgspec.Struct, frozen=True):
    """A word with a meaning. `marker` is the preposition before it, `cluster` and `segment` say what it is coordinated with."""

    text: str
    stem: str
    groups: frozenset[int]
    kinds: frozenset[str]
    marker: str
    cluster: int
    segment: int
    verb: bool
    optional: bool
    capital: bool


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text, read. `folded` is the text without case, punctuation and space; a text that is too long has nothing else."""

    folded: str
    long: bool = False
    language: str = "en"
    quoted: frozenset[str] = frozenset()
    code: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    asks: str = ""
    tense: str = ""
    modal: str = ""
    persons: frozenset[str] = frozenset()
    joins: frozenset[str] = frozenset()
    passive: bool = False
    joined: frozenset[int] = frozenset()
    words: tuple[Word, ...] = ()
    said: frozenset[str] = frozenset()


def read(text: str) -> Reading:
    """Read a question. Takes some 0.1 ms; a text of more than `MOST_CHARACTERS` is only folded."""
    if len(text) > MOST_CHARACTERS:
        return Reading(folded=" ".join(text.casefold().split()), long=True)
    pieces = cut(text)
    tokens = numerals.composed(_possessives(pieces.tokens))
    said = [token.text for token in tokens if token.kind != STOP]
    language = grammar.language(text, [token.text for token in tokens if token.kind == WORD])
    words = lexicon()
    reader = _Reader(_corrected(_replaced(tokens, words), words), words)
    reader.read()
    return Reading(
        folded=" ".join((*said, *pieces.code, *pieces.addresses)),
        language=language,
        quoted=pieces.quoted,
        code=(*pieces.code, *(token.text for token in tokens if token.kind in {CODE, SIGN})),
        addresses=(*pieces.addresses, *(token.text for token in tokens if token.kind == PLACE)),
        numbers=tuple(reader.numbers),
        negations=tuple(sorted(reader.negations)),
        asks=reader.asks(),
        tense=reader.tense,
        modal=reader.modal,
        persons=frozenset(reader.persons),
        joins=frozenset(reader.joins),
        passive=reader.passive,
        joined=frozenset(reader.joined),
        words=tuple(reader.words),
        said=frozenset(said),
    )


def quotes_held(quoted: str, text: Reading) -> bool:
    """Tell whether the words of a quotation stand in a text in their order, quoted or not."""
    return f" {quoted} " in f" {text.folded} "


def _possessives(tokens: Sequence[Token]) -> list[Token]:
    """Tell what's (what is) from Ann's."""
    found: list[Token] = []
    for token in tokens:
        if token.text == "'s" and found and found[-1].text in _WITH_IS:
            found.append(Token("is", WORD))
        else:
            found.append(token)
    return found


_WITH_IS = frozenset("what who where when how it that there here why which he she let".split())


def _replaced(tokens: list[Token], words: Lexicon) -> list[Token]:
    """Put what a phrase means in its place, the longest phrase first."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        end, meaning = _phrase_at(tokens, at, words)
        if end == at:
            found.append(token)
            at += 1
            continue
        found.extend(Token(word, WORD, token.first and not index) for index, word in enumerate(meaning))
        if token.first and not meaning and end < len(tokens):
            # What follows a greeting begins the sentence.
            tokens[end] = msgspec.structs.replace(tokens[end], first=True)
        at = end
    return found


def _phrase_at(tokens: list[Token], at: int, words: Lexicon) -> tuple[int, tuple[str, ...]]:
    """Find the longest phrase that begins at a place: where it ends (there, if there is none) and what it means."""
    branch = words.phrases
    end, meaning = at, ()
    for place in range(at, len(tokens)):
        following = None if tokens[place].kind == STOP else branch.following.get(tokens[place].text)
        if following is None:
            break
        branch = following
        if branch.meaning is not None:
            end, meaning = place + 1, branch.meaning
    return end, meaning


def _corrected(tokens: list[Token], words: Lexicon) -> list[Token]:
    return tokens


class _Reader:
    """Goes through the tokens once, and notes what each does."""

    def __init__(self, tokens: list[Token], words: Lexicon) -> None:
        self.tokens = tokens
        self.lexicon = words
        self.numbers: list[str] = []
        self.negations: list[str] = []
        self.persons: set[str] = set()
        self.joins: set[str] = set()
        self.joined: set[int] = set()
        self.words: list[Word] = []
        self.tense = self.modal = ""
        self.passive = False
        self._questions: list[tuple[bool, str]] = []
        self._marker = ""
        self._cluster = self._segment = 0

    def read(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.kind == STOP:
                self._stop(token)
            elif token.kind == NUMBER:
                self.numbers.append(token.text)
            elif token.kind == WORD:
                self._word(index, token)

    def asks(self) -> str:
        """Give the kind of the question: the first that is surely one, else the first that may be one."""
        sure = [kind for certain, kind in self._questions if certain]
        return sure[0] if sure else next((kind for _, kind in self._questions), "")

    def _stop(self, token: Token) -> None:
        self._segment += 1
        if token.text == ",":
            self.joined.add(self._cluster)
        else:
            self._boundary("")

    def _boundary(self, marker: str) -> None:
        self._cluster += 1
        self._marker = marker

    def _next(self, index: int) -> str:
        return self.tokens[index + 1].text if index + 1 < len(self.tokens) else ""

    def _before(self, index: int) -> str:
        return self.tokens[index - 1].text if index else ""

    def _word(self, index: int, token: Token) -> None:
        text = token.text
        if text.startswith("?"):
            self._questions.append((True, text[1:]))
            self._boundary("")
        elif text in grammar.NEGATIONS:
            self.negations.append(grammar.NEGATIONS[text])
            if text == "cannot":
                self.modal = self.modal or "can"
        elif text == "'s":
            self._possessive()
        elif text in grammar.QUESTION_WORDS:
            self._question(index, token)
        elif text in grammar.AUXILIARIES and not (text == "may" and numerals.is_month(self.tokens, index)):
            self._auxiliary(index, token)
        elif text in grammar.JOINS:
            self._join(text)
        elif text in grammar.PREPOSITIONS:
            self._preposition(index, text)
        else:
            self.persons.update({grammar.PERSONS[text]} if text in grammar.PERSONS else ())
            self._content(index, token)

    def _possessive(self) -> None:
        if self.words:
            self.words[-1] = msgspec.structs.replace(self.words[-1], marker="of")

    def _question(self, index: int, token: Token) -> None:
        follows = self._next(index) in grammar.AUXILIARIES
        sure = follows or (token.first and token.text not in {"when", "where"})
        if token.text == "how" and not follows and self._next(index) not in {"do", "to"}:
            sure = token.first
        self._questions.append((sure, grammar.QUESTION_WORDS[token.text]))
        self._boundary("")

    def _auxiliary(self, index: int, token: Token) -> None:
        text = token.text
        if text in grammar.TENSES and not self.tense:
            self.tense = grammar.TENSES[text]
        if text in grammar.MODALS and not self.modal:
            self.modal = grammar.MODALS[text]
        opens = token.first or self._before(index) == ","
        if opens and not self._questions and text not in {"be", "been", "being"}:
            self._questions.append((True, "yes_or_no"))
        self._boundary("")

    def _join(self, text: str) -> None:
        self._segment += 1
        self.joined.add(self._cluster)
        self.joins.add("vs" if text == "versus" else text)

    def _preposition(self, index: int, text: str) -> None:
        follows = self._next(index)
        if text == "to" and (follows in grammar.AUXILIARIES or self._is_verb(follows)):
            self._boundary("")
            return
        if text == "by" and any(token.text in _BE for token in self.tokens[:index]):
            self.passive = True
        self._boundary(text)

    def _is_verb(self, text: str) -> bool:
        return "verbs" in self.lexicon.kinds.get(stem(text), ())

    def _content(self, index: int, token: Token) -> None:
        optional = token.text.endswith("~")
        text = token.text.rstrip("~")
        base = stem(text)
        kinds = self.lexicon.kinds.get(text, frozenset()) | self.lexicon.kinds.get(base, frozenset())
        if text in grammar.EMPTY or text in grammar.ARTICLES or "filler" in kinds:
            return
        verb = "verbs" in kinds and self._before(index) not in grammar.ARTICLES
        if verb or "places" in kinds:
            self._boundary(text if "places" in kinds else "")
        groups = self.lexicon.groups.get(text, frozenset()) | self.lexicon.groups.get(base, frozenset())
        self.words.append(
            Word(
                text=text,
                stem=base,
                groups=groups,
                kinds=kinds,
                marker="" if verb else self._marker,
                cluster=self._cluster,
                segment=self._segment,
                verb=verb,
                optional=optional or "optional" in kinds,
                capital=token.capital and not token.first,
            )
        )


_BE = frozenset("is are was were be been being get gets got".split())
