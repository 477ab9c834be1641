"""Tokens: cuts a text into words, numbers and what must be the same to the letter (code, URLs, ids, quoted strings)."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from gateway.cache.guards.operands import names
from gateway.cache.guards.signs import around, behind, closed_up, standing, verbatim

WORD, NUMBER, CODE, PLACE, SIGN, STOP = "word", "number", "code", "url or id", "sign", "stop"
# A word that is spoken of, and not used: the letter in vitamin a, the word in how do you say hello.
NAME = "name"

# Quotation marks, apostrophes, hyphens, minus and blank in their many forms.
_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2212", "-")
    | {"\u00a0": " "}
)
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`]+`", re.DOTALL)
_QUOTED = re.compile(r"\"([^\"]{1,400})\"|(?<![\w'])'([^'\s](?:[^']|(?<=\w)'(?=\w)){0,400})'(?!\w)")
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,15}://|www\.)[^\s<>\"]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:com|org|net|io|dev|edu|gov|co|uk|de)\b(?:/[^\s]*)?",
    re.IGNORECASE,
)
_WITH_A_SLASH = re.compile(r"(?:~|\.{0,2})/[\w.*/~-]+|[A-Za-z]:\\.+|\w[\w.-]*(?:/[\w.*-]+){2,}/?")
_FLAG = re.compile(r"--?[A-Za-z][\w-]*(?:=.*)?")
_FILE = re.compile(
    r"[\w-]+(?:\.[\w-]+)*\.(?:py|js|ts|json|ya?ml|txt|csv|xml|html?|css|md|sh|exe|dll|so|jar|war|java|go|rs|rb|php|sql|db|log|conf|cfg|ini|toml|env|docx?|xlsx?|pptx?|pdf|png|jpe?g|gif|svg|zip|tar|gz|mp[34])",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+(?:\(.*\))?")
_ABBREVIATION = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?\.?")
_IDENTIFIER = re.compile(r"\w*_\w*|\w+(?:::|->)\w+.*|[\w.]+\(.*\)|\$\{?[^\W\d]\w*\}?|[@#]\w+|<[^>]+>")
_LANGUAGE = re.compile(r"[a-z](?:\+\+|#)|f#|asp\.net|\.net", re.IGNORECASE)
_HEX = re.compile(
    r"0x[0-9a-f]+|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}|[0-9a-f]{8}-[0-9a-f-]{20,}", re.IGNORECASE
)
_ISO_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_VERSION = re.compile(r"v?\d+(?:\.\d+){2,}(?:-?\w+)?|v\d+(?:\.\d+)*", re.IGNORECASE)
_RUNS = re.compile(r"\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]|_")
_ID = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\w+(?:[-.]\w+)+|(?=.*\d)[^\W_]+")
_SPLIT_ID = re.compile(r"([^\W\d_]+)-?(\d+(?:\.\d+)?)|(\d+(?:[.,]\d+)*)-?([^\W\d_]+)")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CURRENCY = {
    "$": "dollar",
    "€": "euro",
    "£": "pound",
    "¥": "yen",
    "₹": "rupee",
    "₩": "won",
    "₽": "ruble",
    "₿": "bitcoin",
}
_SAID = {"%": "percent", "&": "and"}
_OPERATORS = frozenset("+-*/^=<>|&~×÷√∑∫≤≥≠≈∞%°")
# What is longer, without a blank, is taken to the letter.
_LONGEST_CHUNK = 64
_ENDS = ".,;:!?…)]}>\"'"
_OPENS = "([{<\"'¿¡"
_CUT = "\n.!?;:"
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


class Token(msgspec.Struct, frozen=True):
    """A piece of the text. `text` is folded to lower case but for code; `first` says that a sentence begins here."""

    text: str
    kind: str
    first: bool = False
    capital: bool = False


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A text in pieces: its tokens, what stood in quotes (folded, its words only; `literal`: as it is) and in backticks, and what is left of the text."""

    tokens: tuple[Token, ...]
    quoted: tuple[str, ...]
    code: tuple[str, ...]
    addresses: tuple[str, ...]
    literal: tuple[str, ...]
    rest: str


def plain(text: str) -> str:
    """Fold what looks the same: compatibility forms, quotes, dashes, spaces."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_QUOTES)


def folded_words(text: str) -> str:
    """Give the words and signs of a text, folded, with one blank between."""
    return " ".join(_RUNS.findall(text.casefold())).strip(" .,!?;:")


def cut(text: str) -> Cut:
    """Cut a text that `plain` folded, and whose length the caller bounds, into tokens."""
    code = tuple(_unfenced(found) for found in _FENCED.findall(text))
    text = _FENCED.sub(" ", text) if code else text
    addresses = (
        tuple(found.rstrip(".,;:!?)'").rstrip("/").casefold() for found in _ADDRESS.findall(text))
        if "." in text or ":" in text
        else ()
    )
    text = _ADDRESS.sub(" ", text) if addresses else text
    literal = tuple(one or other for one, other in _QUOTED.findall(text))
    quoted = tuple(words for found in literal if (words := folded_words(found)))
    tokens: list[Token] = []
    first = True
    shouted = text.isupper()
    chunks = closed_up(text).split()
    named = names(chunks)
    for index, chunk in enumerate(chunks):
        after = chunks[index + 1] if index + 1 < len(chunks) else ""
        sign = standing(chunk, chunks[index - 1] if index else "", after)
        if sign:
            tokens.append(Token(sign, SIGN))
        if sign is not None:
            first = first or (sign == "" and set(chunk) <= set(".!?"))
            continue
        if literal_chunk := verbatim(chunk):
            tokens.append(Token(literal_chunk, CODE, first))
            first = _stopped(chunk, tokens)
            continue
        if not chunk.isalpha():
            tokens.extend(Token(sign, SIGN) for sign in around(chunk))
        core = chunk.lstrip(_OPENS)
        core = core.rstrip(_ENDS) or core
        if index in named:
            tokens.append(Token(core.casefold(), NAME, first, core[0].isupper()))
        elif core == "US" and not shouted:
            tokens.append(Token("usa", WORD, first, capital=True))
        elif len(core) > _LONGEST_CHUNK:
            tokens.append(Token(core, PLACE, first))
        elif core.isalpha():
            tokens.append(Token(core.casefold(), WORD, first, core[0].isupper()))
        else:
            _take(core, first, tokens)
        tokens.extend(Token(sign, SIGN) for sign in behind(chunk, after))
        first = _stopped(chunk, tokens)
    return Cut(tokens=tuple(tokens), quoted=quoted, code=code, addresses=addresses, literal=literal, rest=text)


def _stopped(chunk: str, tokens: list[Token]) -> bool:
    """Note the mark that ends a chunk, and tell whether it ends a sentence."""
    ends = chunk.rstrip("\"')]}")[-1:]
    first = ends in ".!?;:" and ends != ""
    if first or ends == ",":
        tokens.append(Token(ends, STOP))
    return first


def _unfenced(found: str) -> str:
    """Give what stands in backticks as it is, but for the name of the language and the lines' ends around it."""
    return found.strip("`").strip("\n").rstrip()


def _take(core: str, first: bool, tokens: list[Token]) -> None:  # noqa: FBT001 - a fact of the chunk, not a switch
    """Take a chunk that is more than letters."""
    folded = core.casefold()
    if _LANGUAGE.fullmatch(core):
        tokens.append(Token(folded, WORD, first))
    elif _ABBREVIATION.fullmatch(core):
        letters = folded.replace(".", "")
        tokens.append(Token("usa" if letters == "us" else letters, WORD, first, core[0].isupper()))
    elif iso := _ISO_DATE.fullmatch(core):
        _take_date(iso, tokens)
    elif _HEX.fullmatch(core) or _VERSION.fullmatch(core):
        tokens.append(Token(folded.removeprefix("v"), PLACE, first))
    elif _FLAG.fullmatch(core) and (len(core) > 1):
        tokens.append(Token(core, CODE, first))
    elif _WITH_A_SLASH.fullmatch(core) and not core.replace("/", "").isdigit():
        tokens.append(Token(folded.rstrip("/"), PLACE, first))
    elif "(" in core[1:] and core[-2:] != "()" and not core.endswith("(s"):
        tokens.append(Token(core, CODE, first))
    elif _FILE.fullmatch(core) or _IDENTIFIER.fullmatch(core) or _DOTTED.fullmatch(core):
        tokens.append(Token(folded.removesuffix("()"), CODE, first))
    elif _ID.fullmatch(core) and not _THOUSANDS.fullmatch(core):
        _take_id(core, first, tokens)
    else:
        _take_runs(core, first, tokens)


def _take_date(found: re.Match[str], tokens: list[Token]) -> None:
    year, month, day = (int(part) for part in found.groups())
    if 1 <= month <= len(MONTHS):
        tokens.extend((Token(MONTHS[month - 1], WORD), Token(str(day), NUMBER), Token(str(year), NUMBER)))
    else:
        tokens.append(Token(found.group().casefold(), PLACE))


def _take_id(core: str, first: bool, tokens: list[Token]) -> None:  # noqa: FBT001 - a fact of the chunk, not a switch
    """Take letters and digits together: 5km and gpt-4 are a word and a number, INV-20-7 is an id."""
    folded = core.casefold()
    if core.isdigit():
        tokens.append(Token(folded, NUMBER, first))
    elif found := _SPLIT_ID.fullmatch(folded):
        word, number, before, after = found.groups()
        if word:
            tokens.extend((Token(word, WORD, first, core[0].isupper()), Token(number, NUMBER)))
        elif after in {"st", "nd", "rd", "th"}:
            tokens.append(Token(before.replace(",", "") + "th", NUMBER, first))
        elif after in {"k", "m", "bn"} and "." not in before:
            tokens.append(Token(before + {"k": "000", "m": "000000", "bn": "000000000"}[after], NUMBER, first))
        elif after == "s":
            tokens.append(Token(before + "s", NUMBER, first))
        else:
            tokens.extend((Token(before.replace(",", ""), NUMBER, first), Token(after, WORD)))
    elif (
        all(part.isalpha() or part.isdigit() for part in folded.split("-"))
        and sum(part.isdigit() for part in folded.split("-")) == 1
        and "-" in folded
    ):
        tokens.extend(Token(part, WORD if part.isalpha() else NUMBER, first) for part in folded.split("-"))
    else:
        tokens.append(Token(folded.replace("-", ""), PLACE, first))


def _take_runs(core: str, first: bool, tokens: list[Token]) -> None:  # noqa: FBT001 - a fact of the chunk, not a switch
    """Take anything else apart: words joined by hyphens or slashes, prices, formulas."""
    folded = core.casefold()
    runs = _RUNS.findall(folded)
    letters = any(run[0].isalpha() for run in runs)
    formula = (any(run in "+*^=<>×÷√≤≥≠" for run in runs)) or (not letters and len(runs) > 1)
    for index, run in enumerate(runs):
        if run[0].isdigit():
            tokens.append(Token(_number(run, runs[index - 1] if index else ""), NUMBER, first and index == 0))
            if index and runs[index - 1] in _CURRENCY:
                tokens.append(Token(_CURRENCY[runs[index - 1]], WORD))
        elif run in {"a", "i"} and len(runs) > 1 and _beside_a_sign(runs, index):
            tokens.append(Token(run, NAME, first and index == 0))
        elif run[0].isalnum():
            _take_word(run, first and index == 0, core[0].isupper(), tokens)
        elif run in _SAID:
            tokens.append(Token(_SAID[run], WORD))
        elif run in _CURRENCY:
            if index + 1 == len(runs) or not runs[index + 1][0].isdigit():
                tokens.append(Token(_CURRENCY[run], WORD))
        elif (
            (formula and run in _OPERATORS)
            or (run in _OPERATORS and run not in "-/~" and len(core) <= 3)
            or (ord(run) > 0x2000 and unicodedata.category(run[0]) in {"So", "Sm"})
        ):
            tokens.append(Token(run, SIGN))


def _beside_a_sign(runs: list[str], index: int) -> bool:
    """Tell whether a letter within a chunk is an operand: a/b, 2*a; an article stands by itself."""
    return any(runs[at] not in "-'&" for at in (index - 1, index + 1) if 0 <= at < len(runs))


def _take_word(run: str, first: bool, capital: bool, tokens: list[Token]) -> None:  # noqa: FBT001 - facts of the chunk
    if run.endswith("'s"):
        tokens.extend((Token(run[:-2], WORD, first, capital), Token("'s", WORD)))
    elif run.endswith("n't") and run not in {"can't", "won't", "shan't"}:
        tokens.extend((Token(run[:-3], WORD, first, capital), Token("not", WORD)))
    elif "'" in run:
        words = _CONTRACTIONS.get(run) or _SECOND_HALVES.get(run[run.index("'") :])
        head = () if run in _CONTRACTIONS else (run[: run.index("'")],)
        parts = (*head, *(words or (run[run.index("'") + 1 :],)))
        tokens.extend(Token(part, WORD, first and index == 0, capital) for index, part in enumerate(parts) if part)
    else:
        tokens.append(Token(run, WORD, first, capital))


_CONTRACTIONS = {
    "can't": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "y'all": ("you",),
    "let's": ("let", "us"),
}
_SECOND_HALVES = {"'re": ("are",), "'ve": ("have",), "'ll": ("will",), "'d": ("would",), "'m": ("am",)}


def _number(run: str, before: str) -> str:
    digits = run.replace(",", "") if _THOUSANDS.fullmatch(run) else run.rstrip(",")
    if before in _CURRENCY and "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits.lstrip("0") or "0" if digits.isdigit() else digits
