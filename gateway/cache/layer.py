"""The semantic layer of one model: embeds the question, finds the nearest, and lets threshold, guards, learning and verifier object.

Each of them can only refuse. What none of them refuses is served; what fails is a miss that says why. Whether a call may be cached at
all has been decided before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import msgspec
import structlog

from gateway.cache.asking import CALLER, Asking, text_of
from gateway.cache.background import Background
from gateway.cache.comparison import Comparison
from gateway.cache.embedded_texts import EmbeddedTexts
from gateway.cache.encoding import decode
from gateway.cache.model_state import ModelState
from gateway.cache.pause import Pause
from gateway.cache.recent_hits import RecentHit, RecentHits
from gateway.cache.refusals import Refusal
from gateway.cache.semantic import Found, Question
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.errors import StoreUnavailable, SwitchgearError
from gateway.stores.answers import AnswerStore, Entry
from gateway.stores.vectors import Match, Vector, VectorIndex

log = structlog.get_logger()

MOST_CANDIDATES: Final = 5
MOST_TRIES: Final = 3
MOST_VERIFIED: Final = 2
MOST_TEXT: Final = 4000
"""Characters of a question that is looked for: a longer one is seldom asked in other words, and embedding models read only its beginning."""
MOST_PENDING: Final = 1000
_MOST_ANSWER: Final = 1024 * 1024
_MOST_ASKED_AGAIN: Final = 256 * 1024
"""Bytes of a call: many wait in memory."""


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What all layers of a process use. `guard` is None in tests alone; `wall` gives seconds since 1970, `chance` numbers from 0 to 1."""

    texts: EmbeddedTexts
    index: VectorIndex
    answers: AnswerStore
    background: Background
    guard: Refusal
    wall: Callable[[], float]
    chance: Callable[[], float]
    audits: Callable[[str, str], None]
    hits: RecentHits
    pause: Pause


class _Pending(msgspec.Struct, frozen=True):
    """An entry that was near, and that nobody knows enough of to serve it: its answer is compared with the one that comes."""

    entry: Entry
    similarity: float


class Layer:
    """Implements `SemanticLayer` for one model, or one of its versions."""

    def __init__(self, model: str, state: ModelState, asking: Asking, comparison: Comparison, shared: Shared) -> None:
        self._model = model
        self._state = state
        self._settings = state.settings
        self._asking = asking
        self._comparison = comparison
        self._shared = shared
        self._pending: OrderedDict[tuple[str, str], _Pending] = OrderedDict()
        verifier = self._settings.verifier
        # What the verifier has the last word on: where nobody refused, and what it may overrule.
        self._verifiable = frozenset() if verifier is None else {"", *(f"guard_{name}" for name in verifier.overrules)}

    async def find(self, question: Question, call: Call) -> Found:
        """Give an entry that may be served instead of an answer. Never raises: what fails is a miss that says why."""
        found = await self._find(question, call)
        self._state.count("hit" if found.entry is not None else found.why)
        return found

    def keep(self, question: Question, entry: Entry) -> None:
        """Make an entry findable. Does not wait."""
        pending = self._pending.pop((question.partition, question.text), None)
        if pending is not None:
            self._shared.background.take(lambda: self._learn(pending, question, entry))
        if not self._searched(question):
            return
        vector = self._shared.texts.known(question.text)
        if vector is None:
            self._shared.background.take(lambda: self._embed(question, entry))
        else:
            self._put(entry, vector)

    def served(self, question: Question, entry: Entry, similarity: float, call: Call) -> None:
        """An entry was served for this question: perhaps it is audited. Does not wait."""
        caller, now = call.caller, self._shared.wall()
        hit = RecentHit(
            model=self._model, entry=entry.id, caller=caller.id, tenant=caller.tenant, at=now, similarity=similarity
        )
        self._shared.hits.note(call.id, hit)
        audit = self._settings.audit
        if audit is None or self._shared.chance() >= audit.share or len(call.body) > _MOST_ASKED_AGAIN:
            return
        if not self._state.auditing.take():
            self._shared.audits(self._model, "budget")
            return
        self._state.auditing.give(None)
        if not self._shared.background.take(lambda: self._audit(question, entry, similarity, call)):
            self._shared.audits(self._model, "dropped")

    def judged(self, entry: str, *, right: bool) -> None:
        """Somebody said of an entry's answer, where it was served for another's question, whether it was right. Does not wait."""
        self._state.reported += not right
        if not right:
            self._shared.index.remove((entry,))

    async def _find(self, question: Question, call: Call) -> Found:
        if self._state.false_hits.off:
            return Found(why="switched_off")
        if not self._searched(question):
            return Found(why="too_long" if len(question.text) > MOST_TEXT else "conversation")
        try:
            with anyio.fail_after(self._settings.timeout):
                vector = await self._vector(question.text, call)
                candidates = [] if vector is None else await self._near(question, vector)
        except TimeoutError:
            return Found(why="timeout")
        except StoreUnavailable:
            return Found(why="index_unavailable")
        if vector is None:
            return Found(why="embedding_failed")
        if not candidates:
            return Found(why="nothing_similar")
        return await self._choose(question, candidates, call)

    def _searched(self, question: Question) -> bool:
        return (self._settings.conversations or not question.said) and len(question.text) <= MOST_TEXT

    async def _vector(self, text: str, call: Call) -> Vector | None:
        """Give the vector of a text; None where it cannot be had. Raises TimeoutError of who set the time."""
        texts, pause = self._shared.texts, self._shared.pause
        known = texts.known(text)
        if known is not None:
            return known
        if not pause.admits():
            return None
        worked = False
        try:
            (vector,) = await texts.of((text,), self._asking, call)
            worked = True
        except (SwitchgearError, OSError) as error:
            log.info("cache.embedding.failed", call=call.id, error=type(error).__name__)
            return None
        finally:
            # Also where the time was over: that arrives here as a cancellation. A client that left looks the same, and costs little.
            (pause.worked if worked else pause.failed)()
        return vector

    async def _near(self, question: Question, vector: Vector) -> list[tuple[Entry, float]]:
        """Give what is nearest; again, where what was nearest turned out to be gone."""
        candidates: list[tuple[Entry, float]] = []
        for _ in range(MOST_TRIES):
            matches = await self._shared.index.find(
                vector, tenant=question.tenant, partition=question.partition, most=MOST_CANDIDATES
            )
            candidates, gone = await self._candidates(question, matches)
            if candidates or not gone:
                break
        return candidates

    async def _candidates(
        self, question: Question, matches: Sequence[Match]
    ) -> tuple[list[tuple[Entry, float]], list[str]]:
        """Give the entries of matches that are still kept and fresh, and this question's to have; and the ids of those that are gone."""
        near = {match.entry: match.similarity for match in matches if _belongs(match, question)}
        if not near:
            return [], []
        kept = {entry.id: entry for entry in await self._shared.answers.entries(tuple(near))}
        gone = [entry for entry in near if entry not in kept]
        if gone:
            self._shared.index.remove(gone)
        now = self._shared.wall()
        fresh = [
            (kept[entry], similarity)
            for entry, similarity in sorted(near.items(), key=lambda one: -one[1])
            if entry in kept and _belongs(kept[entry], question) and kept[entry].fresh_until > now
        ]
        return fresh, gone

    async def _choose(self, question: Question, candidates: list[tuple[Entry, float]], call: Call) -> Found:
        """Serve the nearest that nobody refuses; what was said of the nearest is why none is."""
        why, verified = "", 0
        for entry, similarity in candidates:
            said = self._refusal(question, entry, similarity)
            if said in self._verifiable and not self._trusted(question, entry, similarity, said):
                said = (
                    await self._verified(question, entry, similarity, call)
                    if verified < MOST_VERIFIED
                    else "verifier_busy"
                )
                verified += 1
            if not said:
                return Found(entry=entry, similarity=similarity)
            why = why or said
        return Found(why=why, similarity=candidates[0][1])

    def _refusal(self, question: Question, entry: Entry, similarity: float) -> str:
        """Say who refuses, without asking anybody."""
        if similarity < max(self._settings.threshold, question.threshold or 0.0):
            return "below_threshold"
        if self._state.forbids(question.text, entry.id):
            return "found_wrong"
        if _same(question, entry):
            return ""
        if self._settings.guards and (said := self._shared.guard(question.text, entry.question)):
            return f"guard_{said.replace(' ', '_')}"
        learnt = self._state.learnt
        if learnt is not None and self._state.verifier is None and not learnt.allows(entry.id, similarity):
            self._wait_for(question, entry, similarity)
            return "learning"
        return ""

    def _trusted(self, question: Question, entry: Entry, similarity: float, said: str) -> bool:
        """Whether no verifier has to be asked, because it is known well enough."""
        if _same(question, entry):
            return True
        learnt = self._state.learnt
        return not said and learnt is not None and learnt.allows(entry.id, similarity)

    async def _verified(self, question: Question, entry: Entry, similarity: float, call: Call) -> str:
        verifier = self._state.verifier
        if verifier is None:
            return ""
        verdict = await verifier.ask(question.text, entry.question, self._asking, call)
        if verdict in ("yes", "no"):
            self._state.sample(entry.id, similarity, right=verdict == "yes")
        return "" if verdict == "yes" else f"verifier_{verdict}"

    def _wait_for(self, question: Question, entry: Entry, similarity: float) -> None:
        key = (question.partition, question.text)
        if key not in self._pending:
            self._pending[key] = _Pending(entry, similarity)
            if len(self._pending) > MOST_PENDING:
                self._pending.popitem(last=False)

    async def _learn(self, pending: _Pending, question: Question, entry: Entry) -> None:
        """Compare the answer that came with the one that might have been served."""
        call = _nobodys(entry)
        if not self._state.comparing.take():
            return
        self._state.comparing.give(None)
        said = await self._said(question, pending.entry, _told(entry), call)
        if said in ("right", "wrong"):
            self._state.sample(pending.entry.id, pending.similarity, right=said == "right")

    async def _embed(self, question: Question, entry: Entry) -> None:
        """Make an entry findable whose question nobody has looked for."""
        self._put(entry, (await self._shared.texts.of((question.text,), self._asking, _nobodys(entry)))[0])

    async def _audit(self, question: Question, entry: Entry, similarity: float, call: Call) -> None:
        outcome = "failed"
        try:
            again = await self._asking.again(call, most=_MOST_ANSWER)
            outcome = await self._said(question, entry, text_of(again.items), call)
        finally:
            self._shared.audits(self._model, outcome)
        if outcome in ("right", "wrong"):
            right = outcome == "right"
            self._state.false_hits.count(right=right)
            self._state.sample(entry.id, similarity, right=right)
            if not right:
                self._state.forbid(question.text, entry.id)

    async def _said(self, question: Question, entry: Entry, again: str | None, call: Call) -> str:
        kept = _told(entry)
        if kept is None or again is None:
            return "unclear"
        return await self._comparison.compare(question.text, kept, again, self._asking, call)

    def _put(self, entry: Entry, vector: Vector) -> None:
        self._shared.index.keep(
            entry.id, vector, tenant=entry.tenant, partition=entry.partition, until=entry.kept_until
        )


def _belongs(one: Match | Entry, question: Question) -> bool:
    """Whether it is of this tenant and partition: whoever found it was told so, and this makes sure."""
    return one.tenant == question.tenant and one.partition == question.partition


def _same(question: Question, entry: Entry) -> bool:
    """Whether it is the same text. White space inside it is part of it: code is indented, and what is quoted has blanks."""
    return _plain(question.text) == _plain(entry.question)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _nobodys(entry: Entry) -> Call:
    """Give the call beside which an entry was made, as far as it matters to who asks models on its account."""
    return Call(
        id=entry.id,
        operation="generate",
        dialect=entry.dialect,
        model=entry.model,
        stream=False,
        caller=Caller(id=CALLER, tenant=entry.tenant),
        received=0.0,
        body=b"",
        fields={},
        background=True,
    )


def _told(entry: Entry) -> str | None:
    try:
        return text_of(decode(entry.answer).items)
    except ValueError:
        return None
