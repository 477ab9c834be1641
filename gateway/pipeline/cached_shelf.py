"""One model's place in the cache: by which keys its answers are found, how long they are good, and how they are kept. It answers nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from gateway.cache.encoding import decode, encode
from gateway.cache.key import Depends, Keys
from gateway.cache.questions import asked, is_conversation
from gateway.cache.semantic import Question, SemanticLayer
from gateway.config.cache_settings import ModelCacheSettings
from gateway.core.answer import Answer
from gateway.core.cached import CacheWish
from gateway.core.call import Call
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.core.usage import Usage
from gateway.routing.choosing.said import last_words
from gateway.stores.answers import AnswerStore, Entry

ENTRY_PREFIX: Final = "entry_"
MOST_QUESTION: Final = 512
"""Characters that are kept of a question that no similar one is looked for by."""
UNWISHED: Final = CacheWish()

Age = Literal["fresh", "stale", "old", "gone"]
"""stale: may be served while a new one is made. old: may be served where none can be made."""


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """What a model (or one of its versions) keeps. `wall` gives seconds since 1970, `chance` numbers from 0 to 1.

    `touched` says of a call, by its id, whether data protection has changed or stopped something of it. `semantic` is the layer of
    similar questions, None where there is none. `embedding` is the revision of what embeds questions. `remembers` says whether calls in the Responses API go out as they came. `peek` finds at once what `store` would find, where all of it is in this process.
    """

    store: AnswerStore
    depends: Depends
    settings: ModelCacheSettings
    keys: Keys
    targets: frozenset[str]
    entry_bytes: int
    wall: Callable[[], float]
    chance: Callable[[], float]
    new_id: NewId
    touched: Callable[[str], bool]
    remembers: bool = False
    embedding: str = ""
    semantic: SemanticLayer | None = None
    peek: Callable[[str], Entry | None] | None = None

    async def find(self, key: str, call: Call) -> Entry | None:
        """Give what is kept under a key, if it is this tenant's and this model's: the key says so already, and this makes sure."""
        return self.own(await self.store.find(key) if self.peek is None else self.peek(key), call)

    def own(self, entry: Entry | None, call: Call) -> Entry | None:
        """Give an entry that was found for a call, if it is this tenant's and this model's."""
        if entry is None or entry.tenant != call.caller.tenant or entry.model != self.depends.model:
            return None
        return entry

    def age(self, entry: Entry, wish: CacheWish) -> Age:
        """Tell what may be done with an entry now."""
        now = self.wall()
        if wish.max_age is not None and now - entry.made > wish.max_age:
            return "gone"
        if now < entry.fresh_until:
            return "fresh"
        settings = self.settings
        if now < entry.fresh_until + settings.stale_while_revalidate:
            return "stale"
        return "old" if now < entry.fresh_until + settings.stale_if_error else "gone"

    def question(self, call: Call, wish: CacheWish) -> Question | None:
        """Give what is asked, where there is somebody who looks for similar questions."""
        if self.semantic is None or call.operation != "generate":
            return None
        found = asked(call.fields, conversations=self.settings.semantic.conversations)
        if found is None:
            return None
        rest = self.keys.key(call, found.rest, wish.namespace)
        return Question(
            partition=self.keys.part(rest, self.embedding) if self.embedding else rest,
            text=found.text,
            said=found.said,
            tenant=call.caller.tenant,
            model=self.depends.model,
            threshold=wish.threshold,
        )

    def unasked(self, call: Call) -> str:
        """Give why similar questions are not looked for where `question` gave none, as far as there is a word for it."""
        if self.semantic is None or call.operation != "generate":
            return ""
        return "conversation" if is_conversation(call.fields) else ""

    def keep(
        self,
        call: Call,
        key: str,
        answer: Answer,
        *,
        entry: str,
        wish: CacheWish = UNWISHED,
        question: Question | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Keep an answer under a key, as the entry of that id. Nothing is kept of what data protection has touched, or what is too large."""
        if self.touched(call.id):
            return
        try:
            written = encode(answer)
        except ValueError:
            return
        if len(written) > self.entry_bytes:
            return
        settings, depends, now = self.settings, self.depends, self.wall()
        ttl = (wish.ttl or settings.ttl) * (1 - settings.jitter * self.chance())
        longer = max(settings.stale_while_revalidate, settings.stale_if_error)
        kept = Entry(
            id=entry,
            key=key,
            partition="" if question is None else question.partition,
            question=_asked_in(call) if question is None else question.text,
            tenant=call.caller.tenant,
            model=depends.model,
            version=depends.version,
            namespace=wish.namespace,
            tags=tuple(f"{name}={value}" for name, value in call.caller.tags),
            dialect=call.dialect,
            operation=call.operation,
            target=answer.started.target,
            made=now,
            fresh_until=now + ttl,
            kept_until=now + ttl + longer,
            usage=usage or answer.finished.usage or answer.finished.estimate,
            answer=written,
        )
        self.store.keep(kept)
        if question is not None and self.semantic is not None:
            self.semantic.keep(question, kept)

    def key(self, call: Call, fields: Mapping[str, Json], wish: CacheWish) -> str:
        """Give the key of a call with these fields. Raises ValueError for what has none."""
        return self.keys.key(call, fields, wish.namespace)


def _asked_in(call: Call) -> str:
    """Give how the last words of a user begin, for people who look for an entry; empty for what is no question."""
    if call.operation != "generate":
        return ""
    # Half a surrogate pair is no text to other stores.
    return last_words(call)[:MOST_QUESTION].encode("utf-8", "replace").decode()


def read(entry: Entry) -> Answer | None:
    """Give the answer of an entry; None where it cannot be read."""
    try:
        return decode(entry.answer)
    except ValueError:
        return None
