"""Messages about approvals reach Slack, in the right channels and whatever happens on the way, and end up right."""

import json

import anyio
import anyio.lowlevel
import pytest

from gateway.config.approval_settings import ApprovalSettings
from tests.journeys.approvals_world import approvals_world
from tests.slack_double import buttons


@pytest.fixture
async def world(tmp_path):
    async with approvals_world(tmp_path) as world:
        yield world


def labels(message):
    return [button["text"]["text"] for button in buttons(message)]


async def test_a_groups_questions_go_to_its_channel(tmp_path):
    async with approvals_world(tmp_path, channels={"sre": "C0SRE"}) as world:
        await world.asks(groups=("sre",))
        await world.settle()

        assert [channel for channel, _ in world.slack.messages] == ["C0SRE"]


async def test_who_waits_too_long_is_heard_by_more_people_and_all_messages_end_together(tmp_path):
    settings = ApprovalSettings(escalate_after=600)
    async with approvals_world(tmp_path, settings, escalation_channel="C0LATE") as world:
        (asked,) = await world.asks()
        await world.settle()
        assert [channel for channel, _ in world.slack.messages] == ["C0MAIN"]
        world.now += 601
        await world.settle()
        assert labels(world.slack.message("C0LATE")) == ["Approve", "Deny"]

        await world.click("Approve", channel="C0LATE", user="U0EVE")

        assert (await world.found(asked)).state == "approved"
        assert [labels(message) for message in world.slack.messages.values()] == [[], []]


async def test_what_was_answered_in_time_is_not_escalated(tmp_path):
    async with approvals_world(tmp_path, ApprovalSettings(escalate_after=600), escalation_channel="C0LATE") as world:
        await world.asks()
        await world.settle()
        await world.click("Approve")
        world.now += 601

        await world.settle()

        assert [channel for channel, _ in world.slack.messages] == ["C0MAIN"]


async def test_slack_is_left_alone_for_as_long_as_it_asks(world):
    world.slack.fail("chat.postMessage", status=429, retry_after="30")
    await world.asks()
    await world.asks()
    await world.settle()
    assert world.slack.messages == {}
    assert len(world.slack.calls) <= 2
    before = len(world.slack.calls)
    world.now += 29
    await world.settle()
    assert len(world.slack.calls) == before

    world.now += 2
    await world.settle()

    assert len(world.slack.messages) == 2


@pytest.mark.parametrize("code", ["not_in_channel", "invalid_auth", "internal_error", "token_revoked"])
async def test_what_an_operator_can_mend_is_tried_again(world, code):
    world.slack.fail("chat.postMessage", code)
    await world.asks()
    await world.settle()
    assert world.slack.messages == {}

    world.now += 400
    await world.settle()

    assert labels(world.slack.message()) == ["Approve", "Deny"]


async def test_what_slack_will_never_take_is_given_up_visibly(world, capsys):
    world.slack.channels.clear()
    await world.asks()

    await world.settle()
    world.now += 4000
    await world.settle()

    assert len(world.slack.calls) == 1
    assert world.counts.notices.values()["slack", "given_up"] == 1
    assert await world.outbox.waiting() == 0


async def test_what_a_process_took_and_did_not_send_another_sends(world):
    await world.asks()
    await world.people.sender.send_due("approval")
    (taken,) = await world.outbox.take(["slack"], now=world.now, until=world.now + 60, most=10)
    other = world.opened()
    await world.settle(other)
    assert world.slack.messages == {}

    world.now += 61
    await world.settle(other)

    assert taken.kind == "slack"
    assert labels(world.slack.message()) == ["Approve", "Deny"]
    await other.api.aclose()


async def test_a_decision_while_the_message_is_on_its_way_leaves_no_buttons(world):
    (asked,) = await world.asks()
    await world.people.sender.send_due("approval")
    world.slack.hold.clear()

    async def post():
        await world.people.sender.send_due("slack")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(post)
        with anyio.fail_after(5):
            while not await world.messages.of(asked.id):
                await anyio.lowlevel.checkpoint()
        await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")
        world.slack.hold.set()
    await world.settle()
    world.now += 5
    await world.settle()

    assert labels(world.slack.message()) == []


async def test_a_message_that_somebody_deleted_holds_nothing_up(world):
    await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")
    world.slack.messages.clear()

    await world.deliver(sent)
    await world.settle()

    assert await world.outbox.waiting() == 0
    assert ("slack", "given_up") not in world.counts.notices.values()


async def test_no_secret_of_slack_is_in_what_is_kept_or_sent(world):
    await world.asks()
    await world.settle()
    await world.click("Approve")

    assert "xoxb" not in json.dumps(world.slack.calls)
