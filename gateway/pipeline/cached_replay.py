"""Gives an answer again: as events in sensible pieces and at a bearable pace, or as the bytes of a document made once."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.core.answer import Answer, replay
from gateway.core.call import Call
from gateway.core.events import (
    ArgumentsDelta,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Verbatim,
)
from gateway.core.responder import Send
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_chat.wire import wants_usage
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.pipeline.shadowed_answer import DIALECTS

_Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta
TICK: Final = 0.025
"""Seconds between two pieces: what a person sees as flowing."""
_LEAST_PIECE: Final = 12
_JOINERS: Final = "\u200d\ufe0f"
_MODIFIERS: Final = ("\u0300", "\u036f"), ("\U0001f3fb", "\U0001f3ff")
_FREE_OF_THE_CALL: Final = frozenset({OPENAI_CHAT.name, OPENAI_COMPLETIONS.name, ANTHROPIC_MESSAGES.name})
"""Dialects whose answers show nothing of the call but its id: another call with the same key gets the same bytes."""
_STREAMED: Final = " stream"
_WITH_USAGE: Final = " stream usage"


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How fast texts go out: `pace` in characters a second, 0 for all at once. `now` is the steady clock."""

    pace: float
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


_JSON: Final = "application/json"
_STREAM: Final = "text/event-stream"
_PREFIX: Final = "call_"
_TEMPLATE_BYTES: Final = 1500
"""What a document that is known costs beside its own bytes."""

_FORMS: Final = tuple(dialect + form for dialect in _FREE_OF_THE_CALL for form in ("", _STREAMED, _WITH_USAGE))

Document = tuple[Started, Verbatim, Finished]
"""The events of an answer that is written already."""


async def stream(answer: Answer, send: Send, pacing: Pacing) -> None:
    """Send the events of an answer, its texts in pieces that end with words."""
    if not pacing.pace:
        for event in replay(answer):
            await send(event)
        return
    began, said = pacing.now(), 0
    size = max(_LEAST_PIECE, int(pacing.pace * TICK))
    for event in replay(answer):
        if not isinstance(event, _Delta):
            await send(event)
            continue
        for piece in pieces(event.text, size):
            wait = began + said / pacing.pace - pacing.now()
            if wait > 0 and said:
                await pacing.sleep(wait)
            await send(msgspec.structs.replace(event, text=piece))
            said += len(piece)


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces of about `size` characters, behind spaces where there are some, and never within one sign."""
    start = 0
    while len(text) - start > size:
        end = text.rfind(" ", start, start + size) + 1
        if end <= start + size // 4:
            end = start + size
        while end < len(text) and _belongs_before(text, end):
            end += 1
        yield text[start:end]
        start = end
    if start < len(text) or not text:
        yield text[start:]


def _belongs_before(text: str, place: int) -> bool:
    """Whether the sign at `place` goes on with the one before it, as an accent or the second half of an emoji."""
    sign = text[place]
    if sign in _JOINERS or text[place - 1] == _JOINERS[0]:
        return True
    return any(first <= sign <= last for first, last in _MODIFIERS)


def streams(call: Call) -> bool:
    """Whether the answer to a call is a stream."""
    return call.stream and call.operation == "generate"


def form_of(call: Call, pacing: Pacing) -> str | None:
    """Name the form in which an answer goes out as it was written for another call; None where it must be made of its events.

    That is where somebody looks inside, or where it is given piece by piece.
    """
    dialect = call.dialect
    if call.opened or dialect not in DIALECTS:
        return None
    if not call.stream or call.operation != "generate":
        return dialect
    # What was decoded is judged by its events where it is a stream.
    if pacing.pace or call.content is not None or dialect not in _FREE_OF_THE_CALL:
        return None
    return dialect + (_WITH_USAGE if wants_usage(call) else _STREAMED)


class Documents:
    """Answers as they were written once, up to so many bytes, the least used go first.

    Ids and times are of each call: they are put in when a document is given.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._known: OrderedDict[tuple[str, str], _Template] = OrderedDict()

    def find(self, entry: str, form: str, call: Call, created: int) -> Document | None:
        """Give the document of an entry for a call; None where it is not known."""
        name = (entry, form)
        known = self._known.get(name)
        if known is None:
            return None
        self._known.move_to_end(name)
        return known.filled(call, created)

    def forget(self, entries: Sequence[str]) -> None:
        """Forget the documents of entries that are let go: what is removed is nowhere any more."""
        for entry in entries:
            for form in _FORMS:
                known = self._known.pop((entry, form), None)
                self._held -= 0 if known is None else known.size

    def write(self, entry: str, form: str, answer: Answer, call: Call, created: int) -> Document:
        """Write the document of an entry for a call, and know it from now on where it is the same for others."""
        if call.dialect not in _FREE_OF_THE_CALL or not call.id.startswith(_PREFIX):
            answer = dated(answer, created)
            started = msgspec.structs.replace(answer.started, content_type=_content_type(call))
            return started, Verbatim(_write(answer, call)), answer.finished
        digits, number = secrets.token_hex(12), 10**17 + secrets.randbelow(10**17)
        written = _write(dated(answer, number), msgspec.structs.replace(call, id=_PREFIX + digits))
        template = _Template(written, digits, number, answer, _content_type(call))
        self._keep((entry, form), template)
        return template.filled(call, created)

    def _keep(self, name: tuple[str, str], document: _Template) -> None:
        before = self._known.pop(name, None)
        self._held += document.size - (0 if before is None else before.size)
        self._known[name] = document
        while self._held > self._most and self._known:
            _, oldest = self._known.popitem(last=False)
            self._held -= oldest.size


def _content_type(call: Call) -> str:
    return _STREAM if streams(call) else _JSON


def _write(answer: Answer, call: Call) -> bytes:
    dialect = DIALECTS[call.dialect]
    if not streams(call):
        return dialect.encode_answer(answer, call)
    encoder = dialect.event_encoder(call)
    return b"".join(map(encoder.encode, replay(answer)))


class _Template:
    """A document with holes where a call's id and the time go."""

    __slots__ = ("_created", "_dated", "_finished", "_pieces", "_started", "size")

    def __init__(self, written: bytes, digits: str, number: int, answer: Answer, content_type: str) -> None:
        self._pieces = [piece.split(b"%d" % number) for piece in written.split(digits.encode())]
        self._started = msgspec.structs.replace(answer.started, content_type=content_type)
        self._created = -1
        self._dated: list[bytes] = []  # the pieces, as of that time
        self._finished = answer.finished
        self.size = len(written) + _TEMPLATE_BYTES

    def filled(self, call: Call, created: int) -> Document:
        if created != self._created:
            number = b"%d" % created
            self._created, self._dated = created, [number.join(pieces) for pieces in self._pieces]
            self._started = msgspec.structs.replace(self._started, created=created)
        written = call.id[len(_PREFIX) :].encode().join(self._dated)
        return msgspec.structs.replace(self._started, id=call.id), Verbatim(written), self._finished


def dated(answer: Answer, created: int) -> Answer:
    """Give the answer as one that begins now; its id is then the call's."""
    return msgspec.structs.replace(answer, started=msgspec.structs.replace(answer.started, id="", created=created))
