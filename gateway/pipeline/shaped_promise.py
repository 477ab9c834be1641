"""The promise about forms that no target can keep alone: schemas are checked before anybody is asked, and the answer when all have had their say.

Guardrails that change a text, kept answers, texts that were ready and models that help out come after a target's stage, or without one; what
they give is an error where it has not its form. Calls that ask for no form pass untouched.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.core.call import Call
from gateway.core.errors import UnsupportedSchema
from gateway.core.events import Event, Finished, ItemFinished, Verbatim
from gateway.core.items import Item
from gateway.core.responder import Responder, Send
from gateway.pipeline.shaped_attempt import Told, failure
from gateway.pipeline.shaped_faults import Judge, faults_in, raw_of, spoken
from gateway.pipeline.shaped_forms import refuse_unclear
from gateway.pipeline.shaped_means import Means
from gateway.pipeline.shaped_wish import Wish, param_of, schemas_of, wish_of


class Promised:
    """A Responder around a route. `last` says that its model promises what goes out in the end."""

    def __init__(self, inner: Responder, means: Means, raw_bytes: int, *, last: bool) -> None:
        self._inner = inner
        self._means = means
        self._raw_bytes = raw_bytes
        self._last = last

    def __call__(self, call: Call, send: Send) -> Awaitable[None]:
        """Answer through the inner responder. Raises InvalidRequest (or a kind of it), and InvalidOutput."""
        known = call.remembered
        if known is not None and known.formless:
            return self._inner(call, send)
        refuse_unclear(call)
        wish = wish_of(call)
        if wish is not None:
            return self._keep(call, wish, send)
        if known is not None:
            known.formless = True
        return self._inner(call, send)

    async def _keep(self, call: Call, wish: Wish, send: Send) -> None:
        for param, schema in schemas_of(call):
            try:
                await self._means.check(schema)
            except UnsupportedSchema as error:
                error.param = param
                raise
        if self._last:
            told = Told(structured="", param=param_of(call, wish), raw_bytes=self._raw_bytes)
            send = _Last(send, wish, self._means.judge, told)
        await self._inner(call, send)


class _Last:
    """A Send that judges the whole answer before its end goes out. What came as bytes was never to be judged."""

    def __init__(self, send: Send, wish: Wish, judge: Judge, told: Told) -> None:
        self._send = send
        self._wish = wish
        self._judge = judge
        self._told = told
        self._items: dict[int, Item] = {}
        self._bytes = False

    async def __call__(self, event: Event) -> None:
        """Pass it on. Raises InvalidOutput in the end's stead."""
        if isinstance(event, ItemFinished):
            self._items[event.index] = event.item
        elif isinstance(event, Verbatim):
            self._bytes = True
        elif isinstance(event, Finished) and not self._bytes:
            said = spoken([self._items[index] for index in sorted(self._items)], event)
            if faults := await faults_in(said, self._wish, self._judge):
                raise failure(self._told, faults, raw_of(said))
        await self._send(event)
