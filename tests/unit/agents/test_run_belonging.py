"""All calls of a run belong to the session and the trace that its client named, whoever makes them, and whenever."""

import msgspec
import pytest

from gateway.agents.approving import Ballot
from tests.unit.agents.children_world import BOSS, HELPER, call_of, family
from tests.unit.agents.runs_world import Silent, draft
from tests.unit.agents.tools_world import BOB, tool_world, want

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NEVER = [{"type": "mcp", "server_label": "desk", "require_approval": "never"}]


def named(**fields):
    return msgspec.structs.replace(draft("go", tools=NEVER, **fields), session="s-1", trace=TRACE)


@pytest.mark.parametrize("background", [False, True])
async def test_each_call_of_a_run_has_its_session_and_its_trace(tmp_path, background):
    async with tool_world(tmp_path, [want("look")], "Done.") as world:
        if background:
            await world.ended(await world.desk.begin(named(background=True)))
        else:
            events = []
            await world.desk.answer(named(), _into(events), Silent())

        assert [(call.session, call.trace) for call in world.model.calls] == [("s-1", TRACE)] * 2
        assert [asked.trace for asked in world.hub.calls] == [TRACE]


async def test_what_goes_on_after_an_approval_belongs_to_them_too(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Done.") as world:
        asked = [{"type": "mcp", "server_label": "desk"}]
        run = await world.desk.begin(
            msgspec.structs.replace(
                named(background=True), fields={**named().fields, "tools": asked, "background": True}
            )
        )
        await world.ended(run)
        (approval,) = await world.approvals.of_run(run.id)
        verdict = await world.desk.approvals.vote(BOB, Ballot(approval=approval.id, approve=True), channel="admin")
        await world.ended(await world.desk.find("acme", verdict.continuation))

        assert (world.model.calls[-1].session, world.model.calls[-1].trace) == ("s-1", TRACE)


async def test_what_an_agent_that_is_called_asks_belongs_to_them_too(tmp_path):
    scripts = {"boss": [[call_of("helper", "find it")]], "helper": [[want("look")], "It is there."]}
    async with family(tmp_path, BOSS, HELPER, scripts=scripts) as world:
        asked = draft("go", model="agent/boss", background=True)
        await world.ended(await world.desk.begin(msgspec.structs.replace(asked, session="s-1", trace=TRACE)))

        assert [(call.session, call.trace) for call in world.models["helper"].calls] == [("s-1", TRACE)] * 2
        assert [asked.trace for asked in world.hub.calls] == [TRACE]


def _into(events):
    async def take(event):
        events.append(event)

    return take
