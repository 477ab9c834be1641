"""POST /v1/responses/compact: notes of a model in the place of a long conversation, for any model. The client goes on with what it gets."""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.agents.desk import Draft, RunDesk
from gateway.api.asgi import AsgiSend, Scope
from gateway.api.attending import attend
from gateway.api.door import Asked, Door, Reading
from gateway.api.edge import Edge, Generation
from gateway.api.prompting_door import PromptingDoor
from gateway.api.run_relay import RunDocument
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, NotFound, SwitchgearError
from gateway.core.items import Json
from gateway.dialects.openai_responses import OPENAI_RESPONSES

PATH = "/v1/responses/compact"


def endpoint(edge: Edge, desk: RunDesk | None) -> Door:
    """Give the ASGI endpoint; without a desk it says that this server compacts nothing."""
    return _CompactDoor(edge, desk)


class _CompactDoor(PromptingDoor):
    def __init__(self, edge: Edge, desk: RunDesk | None) -> None:
        super().__init__(edge, OPENAI_RESPONSES)
        self._desk = desk

    def _stands_alone(self, fields: dict[str, Json]) -> bool:
        # The same body sent to /v1/responses asks for something else.
        return False

    def _answering(
        self, scope: Scope, send: AsgiSend, generation: Generation, asked: Asked, found: Reading
    ) -> Awaitable[None]:
        desk = self._desk
        if desk is None:
            msg = "This server compacts nothing: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        if asked.stream:
            msg = "Compacting gives one document and has no stream: `stream`."
            raise InvalidRequest(msg, param="stream")
        heading = found.heading
        draft = Draft(
            caller=found.caller,
            model=asked.model,
            fields=found.fields,
            received=asked.received,
            call=asked.call_id,
            session=None if heading.session is None else heading.session.decode("latin-1"),
            trace=heading.trace,
            headers=heading.passed,
            prompt=found.prompt,
        )
        call = Call(
            id=asked.call_id,
            operation="generate",
            dialect=OPENAI_RESPONSES.name,
            model=asked.model,
            stream=False,
            caller=found.caller,
            received=asked.received,
            body=found.body,
            fields=found.fields,
        )
        relay = RunDocument(call, send, self._edge.clock.monotonic)

        async def answer(call: Call, relay: RunDocument) -> None:
            del call
            try:
                document = await desk.compact(draft, relay)
            except SwitchgearError as error:
                if not relay.asked:
                    self._record_refusal(error, asked)
                raise
            await relay.answer(document)

        return attend(self._edge, scope, call, answer, relay)
