"""A reading: what a question is made of, as far as the guards ask. Made once a text; it compares nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gateway.cache.guards import address, grammar, numerals
from gateway.cache.guards.letters import Written, layout, written
from gateway.cache.guards.lexicon import Lexicon, lexicon
from gateway.cache.guards.reader import Reader
from gateway.cache.guards.spelling import corrected
from gateway.cache.guards.tokens import CODE, NAME, NUMBER, PLACE, SIGN, STOP, WORD, Token, cut, plain
from gateway.cache.guards.word import Word

# What is longer than one of these is not cut up at all: it must be the same.
MOST_CHARACTERS = 1_000
MOST_WORDS = 120
_MOST_TOKENS = 180


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text, read. `folded` is the text without case, punctuation and space; of a text that is too long it is the text itself, and there is nothing else."""

    folded: str
    long: bool = False
    language: str = "en"
    quoted: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    asks: str = ""
    tense: str = ""
    modal: str = ""
    owners: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    objects: tuple[str, ...] = ()
    joins: frozenset[str] = frozenset()
    stranded: frozenset[str] = frozenset()
    passive: bool = False
    does: bool = False
    joined: frozenset[int] = frozenset()
    literal: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()
    written: Written = {}
    people: frozenset[str] = frozenset()
    words: tuple[Word, ...] = ()
    said: frozenset[str] = frozenset()


def read(text: str) -> Reading:
    """Read a question. Takes some 0.1 ms; a text of more than `MOST_CHARACTERS` or `MOST_WORDS` is kept as it is, and not read."""
    if len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        return _unread(text)
    # Compatibility forms may be many letters each.
    same = plain(text)
    if len(same) > MOST_CHARACTERS:
        return _unread(text)
    pieces = cut(same)
    if len(pieces.tokens) > _MOST_TOKENS:
        return _unread(text)
    tokens = address.marked(numerals.composed(_possessives(pieces.tokens)))
    said = [token.text for token in tokens if token.kind != STOP]
    language = grammar.language(text, [token.text for token in tokens if token.kind == WORD])
    words = lexicon()
    reader = Reader(_replaced(corrected(tokens, pieces.quoted), words), words)
    signs = any(token.kind in {CODE, SIGN} for token in tokens) or bool(pieces.code)
    return Reading(
        literal=pieces.literal,
        layout=layout(pieces.rest, literal=signs),
        written=written(pieces.rest),
        people=frozenset(grammar.PEOPLE[text] for text in said if text in grammar.PEOPLE),
        folded=" ".join((*said, *pieces.code, *pieces.addresses)),
        language=language,
        quoted=pieces.quoted,
        code=(*pieces.code, *_signs(tokens)),
        letters=tuple(token.text for token in tokens if _is_letter(token)),
        addresses=(*pieces.addresses, *(token.text for token in tokens if token.kind == PLACE)),
        numbers=tuple(reader.numbers),
        negations=tuple(sorted(reader.negations)),
        asks=reader.asks,
        tense=reader.tense,
        modal=reader.modal,
        owners=frozenset(reader.owners),
        subjects=frozenset(reader.subjects),
        objects=tuple(reader.objects),
        joins=frozenset(reader.joins),
        stranded=frozenset(reader.stranded),
        passive=reader.passive,
        does=reader.does,
        joined=frozenset(reader.joined),
        words=tuple(reader.words),
        said=frozenset(said),
    )


def _is_letter(token: Token) -> bool:
    """Tell whether a token is a letter that names something: x, plan b."""
    named = token.kind == NAME or (token.kind == WORD and token.text not in _SMALL)
    return named and len(token.text) == 1 and token.text.isalpha()


_SMALL = frozenset("aiustdmr")


def _signs(tokens: Sequence[Token]) -> Iterator[str]:
    """Give code, and signs with the letters and numbers on both sides of them: a? is not ?a."""
    for index, token in enumerate(tokens):
        if token.kind == CODE:
            yield token.text
        elif token.kind == SIGN:
            around = tokens[index - 1] if index else None, tokens[index + 1] if index + 1 < len(tokens) else None
            left, right = (side.text if side and (side.kind == NUMBER or _is_letter(side)) else "" for side in around)
            yield f"{left} {token.text} {right}"


def _unread(text: str) -> Reading:
    return Reading(folded=text.strip("\n").rstrip(), long=True)


def quotes_held(quoted: str, text: Reading) -> bool:
    """Tell whether the words of a quotation stand in a text in their order, quoted or not."""
    return f" {quoted} " in f" {text.folded} "


def _possessives(tokens: Sequence[Token]) -> list[Token]:
    """Tell what's (what is) from Ann's, and write out what is written short."""
    found: list[Token] = []
    for token in tokens:
        if token.text == "'s" and found and found[-1].text in _WITH_IS:
            found.append(Token("is", WORD))
        elif token.text in _SHORT and token.kind == WORD:
            first, *rest = _SHORT[token.text]
            found.append(Token(first, WORD, token.first, token.capital))
            found.extend(Token(word, WORD) for word in rest)
        else:
            found.append(token)
    return found


_WITH_IS = frozenset(
    ["what", "who", "where", "when", "how", "it", "that", "there", "here", "why", "which", "he", "she", "let"]
)
_SHORT = {f"{word}s": (word, "is") for word in ("what", "where", "when", "how", "who", "that")} | {
    "whos": ("who", "is"), "im": ("i", "am"), "ive": ("i", "have"), "u": ("you",), "ur": ("your",), "pls": ("please",),
    "youre": ("you", "are"), "gonna": ("going", "to"), "wanna": ("want", "to"), "gotta": ("have", "to"), "wats": ("what", "is"),
    "wat": ("what",), "teh": ("the",), "hte": ("the",), "waht": ("what",), "whta": ("what",), "hwo": ("how",), "ohw": ("how",),
    "adn": ("and",), "nad": ("and",), "fo": ("of",), "fro": ("for",), "si": ("is",), "taht": ("that",), "wiht": ("with",),
    "cna": ("can",), "woudl": ("would",), "shoud": ("should",), "thier": ("their",), "yuo": ("you",),
    "wich": ("which",), "whitch": ("which",), "wen": ("when",), "wher": ("where",), "hwat": ("what",), "whos's": ("who", "is"),
    "dont": ("do", "not"), "doesnt": ("does", "not"), "didnt": ("did", "not"), "cant": ("can", "not"), "wont": ("will", "not"),
    "isnt": ("is", "not"), "arent": ("are", "not"), "wasnt": ("was", "not"), "shouldnt": ("should", "not"),
    "couldnt": ("could", "not"), "wouldnt": ("would", "not"), "hasnt": ("has", "not"), "havent": ("have", "not"),
}  # fmt: skip


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
        if meaning and meaning[0] in _TIMED:
            found.extend(Token(f"?{tense}", WORD) for tense in _tense(tokens[at:end]))
        if token.first and not meaning and end < len(tokens):
            # What follows a greeting begins the sentence.
            tokens[end] = msgspec.structs.replace(tokens[end], first=True)
        at = end
    return found


# What a phrase of these kinds says of the time counts: how old was it, how old is it.
_TIMED = frozenset(["?what", "?whats", "?how_many", "?how_much"])


def _tense(tokens: Sequence[Token]) -> list[str]:
    said = {grammar.TENSES.get(token.text, "") for token in tokens if token.text not in {"do", "have"}}
    return sorted(said & {"past", "now"}, reverse=True)[:1]


def _phrase_at(tokens: list[Token], at: int, words: Lexicon) -> tuple[int, tuple[str, ...]]:
    """Find the longest phrase that begins at a place: where it ends (there, if there is none) and what it means."""
    branch = words.phrases
    end = at
    meaning: tuple[str, ...] = ()
    for place in range(at, len(tokens)):
        following = None if tokens[place].kind in {NAME, STOP} else branch.following.get(tokens[place].text)
        if following is None:
            break
        branch = following
        if branch.meaning is not None:
            end, meaning = place + 1, branch.meaning
    return end, meaning
