"""The reader: goes through the tokens of a question once, and notes what each does. It compares nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.cache.guards import company, grammar, numerals
from gateway.cache.guards.lexicon import Lexicon, stem
from gateway.cache.guards.tokens import NAME, NUMBER, STOP, WORD, Token
from gateway.cache.guards.word import CLAUSE, Word

_END = Token("", STOP)


class Reader:
    """What is found is in its attributes."""

    def __init__(self, tokens: Sequence[Token], words: Lexicon) -> None:
        self.tokens = tokens
        self.lexicon = words
        self.numbers: list[str] = []
        self.negations: list[str] = []
        self.owners: set[str] = set()
        self.subjects: set[str] = set()
        self.objects: list[str] = []
        self.joins: set[str] = set()
        self.stranded: set[str] = set()
        self.joined: set[int] = set()
        self.words: list[Word] = []
        self.asks = self.tense = self.modal = ""
        self.passive = self.does = False
        self._questions: list[tuple[bool, str]] = []
        self._marker = self._number = self._clause = ""
        self._cluster = self._segment = 0
        for index, token in enumerate(tokens):
            if token.kind == STOP:
                self._stop(token)
            elif token.kind == NUMBER:
                self._count(index, token)
            elif token.kind == WORD:
                self._word(index, token)
            elif token.kind == NAME:
                # Its mark keeps it from the small word that is written alike.
                self._add(index, msgspec.structs.replace(token, text=token.text + "'"), frozenset())
        self._conclude()

    def _conclude(self) -> None:
        """Settle what is asked: the first that is surely a question, else the first that may be one."""
        sure = [kind for certain, kind in self._questions if certain]
        self.asks = sure[0] if sure else next((kind for _, kind in self._questions), "")
        if self.asks in {"what", "how", "", "can"}:
            self.asks = next((kind for kind in sure if kind in {"translate", "summarize", "compare"}), self.asks)
        if self.asks in grammar.MODAL_QUESTIONS:
            self.modal, self.asks = self.asks, "yes_or_no"
        stems = {word.stem for word in self.words}
        if self.asks in {"how", "what", "whats", "which", "", "compare"} and (
            stems & {"differ", "difference"} or "vs" in self.joins
        ):
            self.asks = "compare"
            self.words = [word for word in self.words if word.stem not in {"differ", "difference"}]
        if self.asks in {"what", "how", "how_to", "", "translate"} and stems & {"translate", "translation"}:
            self.asks = "translate"
            self.words = [word for word in self.words if word.stem not in {"translate", "translation"}]
        for total, *parts in self.lexicon.sums:
            if stems.issuperset(parts):
                kept = [word for word in self.words if word.stem not in parts[1:]]
                self.words = [company.summed(word, total, parts, self.lexicon) for word in kept]
                stems = {word.stem for word in self.words}
        if "born" in stems:
            self.tense = ""
        self._settle_wording(stems)
        self.words = [company.settled(word, stems, self.lexicon) for word in self.words]

    def _settle_wording(self, stems: set[str]) -> None:
        """Is eating it safe, is shipping it possible, the date of it: other words for may one, does one, when."""
        if self.asks == "yes_or_no" and any(word.verb for word in self.words):
            if "safe" in stems:
                self.modal = self.modal or "can"
                # Is it safe to eat raw eggs, is eating raw eggs safe.
                self.words.sort(key=lambda word: word.stem == "safe")
            self.words = [company.dispensable(word) if word.stem == "possible" else word for word in self.words]
            if self.modal == "can" and not stems.isdisjoint(grammar.SERVICES):
                self.modal = ""
        self._settle_time(stems)
        if not self.asks and len(self.words) > 1 and self.words[-1].text == "date":
            self.asks = "when"
            self.words = self.words[:-1]

    def _settle_time(self, stems: set[str]) -> None:
        """What year was it says when it was; what time it was, and what year it is, do not."""
        said = {"year"} if self.tense == "past" or "born" in stems else set[str]()
        said |= {"time"} if not stems.isdisjoint(grammar.OPENING) else set()
        self.words = [
            msgspec.structs.replace(word, optional=False, implied=False)
            if word.implied and word.text in {"year", "time"} - said
            else word
            for word in self.words
        ]

    def _stop(self, token: Token) -> None:
        self._clause = ""
        self._segment += 1
        if token.text == ",":
            self.joined.add(self._cluster)
        else:
            self._boundary("")

    def _count(self, index: int, token: Token) -> None:
        self.numbers.append(token.text)
        self._number = token.text
        if "units" in self.lexicon.kinds_of(self._after(index).text):
            self._boundary("#")

    def _boundary(self, marker: str) -> None:
        self._cluster += 1
        self._marker = marker

    def _after(self, index: int) -> Token:
        return self.tokens[index + 1] if index + 1 < len(self.tokens) else _END

    def _before(self, index: int) -> str:
        return self.tokens[index - 1].text if index else ""

    def _word(self, index: int, token: Token) -> None:
        text = token.text
        if text.startswith("?"):
            self._frame(text[1:].rstrip("~"))
        elif text == "'s":
            self._possessive()
        elif self._is_named(index, text):
            self._content(index, token, always=True)
        elif text in grammar.NEGATIONS:
            self._negation(index, text)
        elif text in grammar.QUESTION_WORDS:
            self._question(index, token)
        elif self._is_main(index, text):
            self._add(index, token, self.lexicon.kinds_of(text))
        elif text in grammar.AUXILIARIES and not numerals.is_month(self.tokens, index):
            self._auxiliary(index, token)
        elif text in grammar.JOINS:
            self._join(text)
        elif text in grammar.PREPOSITIONS:
            self._preposition(index, text)
        else:
            self._content(index, token)

    def _frame(self, kind: str) -> None:
        self._clause = ""
        if kind in {"now", "past"}:
            self.tense = self.tense or kind
            return
        self._questions.append((True, kind))
        self.modal = self.modal or (kind if kind in grammar.MODAL_QUESTIONS else "")
        self._boundary("")

    def _negation(self, index: int, text: str) -> None:
        scope = " all" if text == "not" and self._after(index).text in grammar.EVERYBODY else ""
        self.negations.append(grammar.NEGATIONS[text] + scope)
        if text == "cannot":
            self.modal = self.modal or "can"

    def _is_named(self, index: int, text: str) -> bool:
        """Whether a small word is spoken of: a for loop, a will."""
        if self._after(index).text in grammar.NAMED_WORDS:
            return True
        return text in grammar.NOUNS_TOO and self._before(index) in grammar.ARTICLES

    def _is_main(self, index: int, text: str) -> bool:
        """Whether a small word is the one that counts: what does a nurse do, what is Rome like, at 9 am."""
        if text == "am":
            return index > 0 and self.tokens[index - 1].kind == NUMBER
        ends = index > 0 and self._after(index).kind == STOP
        measured = any("measures" in word.kinds for word in self.words)
        if text == "like" and self.does and self.words and self._before(index) not in grammar.ALIKE and not ends:
            return not any(word.verb and not word.noun for word in self.words)
        return ends and (
            text == "like"
            or (
                text in {"do", "have"}
                and self._asks_what()
                and not measured
                and not (text == "have" and self._questions and self._questions[0][1] == "which")
            )
        )

    def _asks_what(self) -> bool:
        return next((kind for _, kind in self._questions), "") in {"what", "which", "who", ""}

    def _possessive(self) -> None:
        """The admin user's password is the password of the admin user."""
        if not self.words:
            return
        owner = self.words[-1] = msgspec.structs.replace(self.words[-1], marker="of")
        before = self.words[-2] if len(self.words) > 1 else owner
        if not before.marker and (before.cluster, before.segment) == (owner.cluster, owner.segment) and not before.verb:
            self.words[-2] = msgspec.structs.replace(before, marker="of", modifier=True)

    def _question(self, index: int, token: Token) -> None:
        after = self._after(index).text
        follows = after in grammar.AUXILIARIES or after.startswith("?")
        sure = follows or (token.first and token.text not in {"when", "where"})
        self._questions.append((sure, grammar.QUESTION_WORDS[token.text]))
        self._clause = CLAUSE if token.text == "when" and not sure else ""
        self._boundary("")

    def _auxiliary(self, index: int, token: Token) -> None:
        text = token.text
        self.does = self.does or text in {"do", "does", "did"}
        tense = grammar.TENSES.get(text, "")
        if not self.tense or tense == "future":
            self.tense = tense or self.tense
        if not self.modal:
            self.modal = grammar.MODALS.get(text, "")
        opens = token.first or self._before(index) == ","
        if opens and not self._questions and text not in {"be", "been", "being"}:
            self._questions.append((True, "yes_or_no"))
        self._boundary("")

    def _join(self, text: str) -> None:
        self._segment += 1
        self.joined.add(self._cluster)
        self.joins.add("vs" if text == "versus" else text)

    def _preposition(self, index: int, text: str) -> None:
        follows = self._after(index).text
        if (self._after(index).kind == STOP or follows in grammar.ADJUNCTS) and text not in {
            "in",
            "at",
            "of",
            "about",
            "like",
        }:
            self.stranded.add(text)
        if (
            text == "to"
            and not self._before(index).startswith("happen")
            and (follows in grammar.AUXILIARIES or "verbs" in self.lexicon.kinds_of(follows))
        ):
            self._boundary("")
            return
        near = {token.text for token in self.tokens[max(0, index - 6) : index]}
        if text == "by" and not near.isdisjoint(grammar.TO_BE):
            self.passive = True
        self._boundary(text)

    def _content(self, index: int, token: Token, *, always: bool = False) -> None:
        """Take a word that is none of the small ones: most likely one with a meaning."""
        self._person(token.text)
        if token.text in grammar.FOCUS and self._after(index).text in grammar.PEOPLE:
            self.negations.append(token.text)
        if token.text in grammar.CLAUSES:
            self._clause = CLAUSE
        if token.first and not self._questions and token.text in grammar.ORDERS:
            kind, left = grammar.ORDERS[token.text]
            self._questions.append((True, kind))
            if left:
                self._add(index, Token(left, WORD), self.lexicon.kinds_of(left.rstrip("~")))
            return
        named = always or (token.text == "a" and token.capital and not token.first)
        kinds = self.lexicon.kinds_of(token.text.rstrip("~"))
        if not named and self._is_empty(index, token, kinds):
            return
        self._task(index, token)
        self._add(index, token, kinds)

    def _person(self, text: str) -> None:
        if text in grammar.OWNERS:
            self.owners.add(grammar.OWNERS[text])
        if text in grammar.OBJECT_PRONOUNS:
            self.objects.append(text)
        if text in grammar.SUBJECTS:
            self.subjects.add(grammar.SUBJECTS[text])

    def _is_empty(self, index: int, token: Token, kinds: frozenset[str]) -> bool:
        text = token.text
        if text in grammar.ARTICLES and self._opens_phrase(index):
            self._cluster += 1
        if text in grammar.EMPTY or text in grammar.ARTICLES or "filler" in kinds:
            return True
        if self._after(index).kind != STOP:
            return False
        # How long does it last? What does it mean? These words only end the question.
        lasting = text in {"last", "lasts"} and any(word.text == "duration" for word in self.words)
        return lasting or (text in {"mean", "means"} and self.tense == "now")

    def _add(self, index: int, token: Token, kinds: frozenset[str]) -> None:
        text = token.text.rstrip("~")
        base = stem(text)
        before = self._before(index)
        if before in {"a", "an"} and text in grammar.COUNTED and self._ends_phrase(index):
            text = base = f"a {text}"
        verb = ("verbs" in kinds or (text != base and text.endswith(("ed", "ing")))) and before not in grammar.ARTICLES
        inflected = self._inflected(index, text, base)
        noun = "ambiguous" in kinds and not inflected and not (before.startswith("?") or before in grammar.BEFORE_VERBS)
        if "places" in kinds:
            self._boundary(text)
        elif verb and not noun:
            self._boundary(self._marker if before in grammar.PREPOSITIONS or self._is_place(before) else "")
        if "units" in kinds and before in grammar.ONE and self._marker not in grammar.DIRECTED:
            self._boundary("#")
        self._modifies(index)
        self.words.append(
            Word(
                text=text,
                stem=base,
                groups=self.lexicon.groups.get(text, frozenset()) | self.lexicon.groups.get(base, frozenset()),
                kinds=kinds,
                marker=self._marker or self._clause,
                modifier=False,
                number=self._number,
                cluster=self._cluster,
                segment=self._segment,
                verb=verb,
                noun=noun,
                inflected=inflected,
                done=text != base and not text.endswith(("s", "ing")) and before in grammar.TO_BE,
                optional=token.text.endswith("~")
                or ("optional" in kinds and self._may_miss(index, text))
                or (text in grammar.CATEGORIES and self._after(index).capital),
                implied=token.text.endswith("~"),
                capital=token.capital and not token.first,
            )
        )
        self._number = ""
        if verb and not noun:
            self._marker = ""

    def _modifies(self, index: int) -> None:
        """In "from a Python list" the preposition is the list's: what stands before another word only modifies."""
        last = self.words[-1] if self.words else None
        if (
            last
            and last.text == self._before(index)
            and last.marker not in {"", "#", "after", "before"}
            and last.cluster == self._cluster
        ):
            self.words[-1] = msgspec.structs.replace(last, modifier=True)

    def _may_miss(self, index: int, text: str) -> bool:
        """Whether a light word may be missing on the other side: not where the question ends with it, nor of used bikes."""
        if text == "used":
            return self._before(index) in grammar.TO_BE or self._after(index).text == "to"
        return self._after(index).kind != STOP or not self._asks_what()

    def _inflected(self, index: int, text: str, base: str) -> bool:
        if text.endswith(("ing", "tion", "ment", "al")):
            return True
        if self._before(index) == "to" and index > 1 and self.tokens[index - 2].text in grammar.EASY:
            return True
        past = text != base and not text.endswith("s")
        return past and any(token.text in grammar.TO_BE for token in self.tokens[:index])

    def _opens_phrase(self, index: int) -> bool:
        """Whether an article begins another phrase: a tomato | a fruit or a vegetable."""
        before = self._before(index)
        return bool(self.words) and before == self.words[-1].text

    def _ends_phrase(self, index: int) -> bool:
        after = self._after(index)
        return after.kind == STOP or after.text in grammar.PREPOSITIONS or after.text in grammar.AUXILIARIES

    def _is_place(self, text: str) -> bool:
        return "places" in self.lexicon.kinds.get(text, ())

    def _task(self, index: int, token: Token) -> None:
        """Note an order to do something: write a poem is not how to write one."""
        if (
            token.first
            and not self._questions
            and token.text in grammar.TASKS
            and self._after(index).text in grammar.OBJECTS
        ):
            self._questions.append((True, "task"))
