"""Runs that wait for people in a conversation that is deleted meanwhile. Promised by docs/approvals.md."""

import pytest

from gateway.agents.approving import Ballot
from gateway.core.errors import Conflict
from gateway.stores.conversations import Conversation
from tests.unit.agents.tools_world import BOB, asked_of, tool_world, want

NAME = "conv_1"


async def waiting(world):
    """A run that waits in a conversation, and what it asks."""
    await world.conversations.add(Conversation(id=NAME, tenant="acme", created_at=1.0), ())
    world.judge.by_tool["send"] = asked_of("sre")
    run, _ = await world.ask("do it", conversation=NAME)
    [approval] = await world.approvals.of_run(run.id)
    assert run.status == "waiting"
    return run, approval


@pytest.mark.parametrize("channel", ["slack", "admin"])
@pytest.mark.parametrize("approve", [True, False])
async def test_a_vote_comes_too_late_and_nothing_is_done(tmp_path, channel, approve):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        run, approval = await waiting(world)
        await world.conversations.remove("acme", NAME)
        with pytest.raises(Conflict, match="has been deleted"):
            await world.desk.approvals.vote(BOB, Ballot(approval=approval.id, approve=approve), channel=channel)
        run = await world.runs.find("acme", run.id)
        [approval] = await world.approvals.of_run(run.id)

    assert (run.status, approval.state) == ("cancelled", "cancelled")
    assert world.hub.calls == []


async def test_who_may_not_answer_ends_nothing_by_trying(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        run, approval = await waiting(world)
        await world.conversations.remove("acme", NAME)
        stranger = BOB.__class__(id="eve", tenant="acme")
        with pytest.raises(Exception, match="Only members of sre"):
            await world.desk.approvals.vote(stranger, Ballot(approval=approval.id, approve=True), channel="slack")
        run = await world.runs.find("acme", run.id)

    assert run.status == "waiting"


async def test_what_expires_there_is_cancelled_with_it(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        run, approval = await waiting(world)
        await world.conversations.remove("acme", NAME)
        await world.desk.approvals.expired(await world.approvals.expire(approval.expires_at + 1))
        run = await world.runs.find("acme", run.id)

    assert run.status == "cancelled"
    assert len(world.model.calls) == 1


async def test_a_call_that_was_agreed_to_is_not_made_when_the_conversation_goes_before_it_is(tmp_path):
    async with tool_world(tmp_path, [want("send")], "Sent.") as world:
        _, approval = await waiting(world)
        world.executor._leaving = True
        verdict = await world.desk.approvals.vote(BOB, Ballot(approval=approval.id, approve=True), channel="slack")
        after = await world.runs.find("acme", verdict.continuation)
        await world.conversations.remove("acme", NAME)
        world.executor._leaving = False
        world.executor.wake()
        await world.follow(after)
        after = await world.runs.find("acme", after.id)

    assert after.status == "failed"
    assert after.response["error"]["message"] == f"There is no conversation {NAME!r} here."
    assert world.hub.calls == []
