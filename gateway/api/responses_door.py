"""The door of responses that are kept: what asks for nothing to be kept goes the way of all calls, everything else to the desk."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import msgspec

from gateway.agents.desk import Draft, RunDesk, not_kept
from gateway.api.asgi import AsgiSend, Scope
from gateway.api.attending import attend
from gateway.api.door import Asked, Reading
from gateway.api.edge import Edge, Generation
from gateway.api.opening_door import OpeningDoor
from gateway.api.responses_envelope import CONTEXT_MANAGEMENT, Envelope, is_stateless, read_envelope
from gateway.api.run_relay import RunDocument, RunStream
from gateway.cache.wishes import wish_of
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.core.events import Event
from gateway.core.items import Json
from gateway.core.responder import NOTHING, Send
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline.authorized import Authorized, offered
from gateway.pipeline.lookup import find_route


class ResponsesDoor(OpeningDoor):
    """The ASGI endpoint where a desk keeps responses."""

    def __init__(self, edge: Edge, desk: RunDesk) -> None:
        super().__init__(edge, OPENAI_RESPONSES)
        self._desk = desk

    def _stands_alone(self, fields: dict[str, Json]) -> bool:
        # What is to be kept goes by the desk, each time: nothing that was known before may lead it past.
        return self._opens(fields) and not _is_shortened(fields) and not self._desk.own_tools(fields)

    def _opens(self, fields: dict[str, Json]) -> bool:
        # What is kept is kept as it came.
        return is_stateless(fields)

    def _answering(
        self, scope: Scope, send: AsgiSend, generation: Generation, asked: Asked, found: Reading
    ) -> Awaitable[None]:
        envelope = read_envelope(found.fields)
        own = self._own_tools(found.fields, envelope)
        if envelope.stateless and not self._shortens(generation, asked, found):
            return super()._answering(scope, send, generation, asked, found)
        draft, call = self._draft(generation, asked, found, envelope, own)
        return self._keep(scope, send, asked, draft, call)

    def _shortens(self, generation: Generation, asked: Asked, found: Reading) -> bool:
        """Whether a request wants compaction or truncation that no upstream can do: the desk does it, and keeps nothing."""
        if not _is_shortened(found.fields):
            return False
        route = generation.routes.get(asked.model)
        return route is not None and not route.relays(OPENAI_RESPONSES.name)

    def _own_tools(self, fields: dict[str, Json], envelope: Envelope) -> Sequence[int]:
        """Give the places of the tools that this server runs itself. Raises InvalidRequest where that is not to be kept."""
        own = self._desk.own_tools(fields)
        if own and not envelope.store:
            raise not_kept()
        return own

    def _draft(
        self, generation: Generation, asked: Asked, found: Reading, envelope: Envelope, own: Sequence[int]
    ) -> tuple[Draft, Call]:
        """Make a draft, and the call that stands for it here. Raises ModelNotFound; Forbidden, where nobody would wait for it later."""
        caller, heading, authorizer = found.caller, found.heading, generation.authorizer
        fields = dict(found.fields)
        wish = wish_of(heading.cache or {}, fields.pop("cache", None))
        if wish is not None:
            given = msgspec.structs.asdict(wish)
            fields["cache"] = {name: value for name, value in given.items() if value not in (None, "")}
        route = find_route(generation.routes, asked.model, shown=lambda near: offered(authorizer, caller, near.subject))
        session = None if heading.session is None else heading.session.decode("latin-1")
        call = Call(
            id=asked.call_id,
            operation="generate",
            dialect=OPENAI_RESPONSES.name,
            model=asked.model,
            stream=asked.stream,
            caller=caller,
            received=asked.received,
            body=found.body,
            fields=fields,
            background=envelope.background,
        )
        if envelope.background:
            # Whether the caller may use the tools that this server runs is asked when they are planned.
            listed = [tool for number, tool in enumerate(fields.get("tools") or ()) if number not in own]
            asking = msgspec.structs.replace(call, fields={**fields, "tools": listed}) if own else call
            Authorized(_nobody, authorizer=authorizer, subject=route.subject)(asking, _nowhere)
        draft = Draft(
            caller=caller,
            model=asked.model,
            fields=fields,
            received=asked.received,
            call=asked.call_id,
            session=session,
            trace=heading.trace,
            headers=heading.passed,
            prompt=found.prompt,
        )
        return draft, call

    async def _keep(self, scope: Scope, send: AsgiSend, asked: Asked, draft: Draft, call: Call) -> None:
        now = self._edge.clock.monotonic
        relay = RunStream(call, send, now) if call.stream else RunDocument(call, send, now)

        async def answer(call: Call, relay: RunDocument | RunStream) -> None:
            try:
                run = await (
                    self._desk.begin(draft) if call.background else self._desk.answer(draft, relay.take, relay)
                )
            except SwitchgearError as error:
                if not relay.asked:
                    self._record_refusal(error, asked)
                raise
            if isinstance(relay, RunDocument):
                await relay.answer(await self._desk.document(run))
                return
            if call.background:
                await self._desk.follow(run.tenant, run.id, relay.take)
            await relay.end()

        await attend(self._edge, scope, call, answer, relay)


def _is_shortened(fields: dict[str, Json]) -> bool:
    """Whether a request wants that a model is not given all of it."""
    return bool(fields.get(CONTEXT_MANAGEMENT)) or fields.get("truncation") == "auto"


def _nobody(call: Call, send: Send) -> Awaitable[None]:
    """Answer nothing: only whether somebody may ask is asked."""
    del call, send
    return NOTHING


def _nowhere(event: Event) -> Awaitable[None]:
    """Take nothing in."""
    del event
    return NOTHING
