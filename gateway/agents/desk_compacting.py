"""Compaction on request: what a client gets for `POST /v1/responses/compact`. Nothing is kept of it."""

from __future__ import annotations

from gateway.agents.compacting import item_beside, new_name, write_notes
from gateway.agents.context import Prompted
from gateway.agents.desk import Draft, Ear
from gateway.agents.means import Means
from gateway.agents.note_asking import asks_for_notes
from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.items import Json
from gateway.dialects.openai_responses.compaction import KIND
from gateway.dialects.openai_responses.kept_items import whole_item
from gateway.dialects.openai_responses.usage import encode_usage
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route


async def compact(means: Means, draft: Draft, prompted: Prompted, model: str, ear: Ear) -> dict[str, Json]:
    """Have notes written on what a request gives, and give what goes on from there: the document of a compaction.

    `model` is who is asked. Raises NotFound where nothing can be sealed, and what the model raises.
    """
    if means.seal is None:
        msg = "This server compacts nothing: set `database` in its configuration."
        raise NotFound(msg)
    if not prompted.seen:
        msg = "There is nothing to compact: `input`."
        raise InvalidRequest(msg, param="input")
    generation = means.current()
    generation.hold()
    try:
        caller = draft.caller
        route = find_route(
            generation.routes, model, shown=lambda near: offered(generation.authorizer, caller, near.subject)
        )
        ear.asking()
        ask = asks_for_notes(route, _call(draft, prompted, model), means.new_id, first=draft.call)
        notes = await write_notes(prompted.seen, ask, route.context)
    finally:
        generation.release()
    made = item_beside(
        prompted.seen, notes.text, name=new_name(means.new_id), seal=means.seal, tenant=draft.caller.tenant
    )
    means.counts.compacted.add()
    beside: dict[str, dict[str, Json]] = {}
    for said in made.before:
        whole = whole_item(said, means.new_id, taken=beside)
        beside[whole["id"]] = whole
    return {
        "id": means.new_id("resp_"),
        "object": f"response.{KIND}",
        "created_at": int(means.clock.wall()),
        "output": [*beside.values(), made.body, *made.after],
        "usage": encode_usage(notes.usage),
    }


def _call(draft: Draft, prompted: Prompted, model: str) -> Call:
    return Call(
        id=draft.call,
        operation="generate",
        dialect="openai_responses",
        model=model,
        stream=True,
        caller=draft.caller,
        received=draft.received,
        body=prompted.body,
        fields=prompted.fields,
        content=prompted.content,
        session=draft.session,
        trace=draft.trace,
        headers=draft.headers,
        opened=True,
        prompt=draft.prompt,
    )
