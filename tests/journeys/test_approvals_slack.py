"""People answer agents in Slack: what they are shown is what is asked, a click is one vote, and one decision holds everywhere."""

import anyio
import pytest

from tests.journeys.approvals_world import NOW, approvals_world
from tests.slack_double import Sent, buttons, words


@pytest.fixture
async def world(tmp_path):
    async with approvals_world(tmp_path) as world:
        yield world


def labels(message):
    return [button["text"]["text"] for button in buttons(message)]


async def test_a_question_is_posted_once_with_its_exact_arguments_and_buttons(world):
    (asked,) = await world.asks(arguments={"host": "db-1 <!channel>", "replicas": 5})

    await world.settle()
    await world.settle()

    message = world.slack.message()
    assert '"host": "db-1 <!channel>"' in words(message)
    assert labels(message) == ["Approve", "Deny"]
    assert "<" not in message["text"]
    assert len(world.slack.named("chat.postMessage")) == 1
    assert asked.id in words(message)


async def test_a_click_decides_and_the_run_goes_on_and_the_buttons_vanish(world):
    (asked,) = await world.asks()
    await world.settle()

    answer = await world.click("Approve")

    decided = await world.found(asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert decided.state == "approved"
    assert labels(world.slack.message()) == []
    assert "Approved by ada" in words(world.slack.message())
    going_on = await world.runs.find(None, decided.continuation)
    assert (going_on.status, going_on.continues) == ("queued", asked.run)


async def test_every_answer_is_in_the_audit_log_with_who_gave_it(world):
    (asked,) = await world.asks()
    await world.settle()

    await world.click("Approve")

    (entry,) = await world.entries()
    assert entry.action == "approval.approved"
    assert (entry.object.kind, entry.object.id, entry.object.tenant) == ("approval", asked.id, "default")
    assert entry.actor.id == "slack:T0TEAM/U0ADA"
    assert entry.details | {"approver": "ada", "channel": "slack", "state": "approved"} == entry.details
    assert entry.details["arguments_sha256"] == asked.arguments_hash


async def test_who_denies_is_asked_for_a_reason_which_goes_to_the_model(world):
    (asked,) = await world.asks()
    await world.settle()

    await world.click("Deny")
    assert (await world.found(asked)).state == "pending"
    (view,) = world.slack.views
    answer = await world.deliver(world.slack.submit(view, "Not during the sale."))
    await world.settle()

    decided = await world.found(asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert decided.state == "denied"
    assert "Denied by ada" in words(world.slack.message())
    (item,) = await world.runs.items(decided.continuation, "input")
    assert (item.body["approve"], item.body["reason"]) == (False, "Not during the sale.")


async def test_a_decision_made_elsewhere_takes_the_buttons_away(world):
    (asked,) = await world.asks()
    await world.settle()

    answer = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")
    await world.settle()

    assert answer.status_code == 200
    assert labels(world.slack.message()) == []


async def test_twenty_clicks_and_votes_at_once_are_one_decision_and_one_run_that_goes_on(world):
    (asked,) = await world.asks()
    await world.settle()
    message = {"channel": "C0MAIN", **world.slack.message()}
    statuses = []

    async def click(user):
        statuses.append((await world.deliver(world.slack.click(message, "Approve", user=user))).status_code)

    async def vote(who, verdict):
        statuses.append((await world.ask(who, "POST", f"/admin/approvals/{asked.id}/{verdict}")).status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(click, ("U0ADA", "U0EVE", "U0DAN")[number % 3])
            tasks.start_soon(vote, ("ada", "eve", "root")[number % 3], ("approve", "deny")[number % 2])
    await world.told()
    await world.settle()

    votes = await world.approvals.votes(asked.id)
    runs = [run for run in await world.runs.list("default") if run.continues == asked.run]
    decided = await world.found(asked)
    assert len(statuses) == 20
    assert set(statuses) <= {200, 409}
    assert len(votes) == 1
    assert [run.id for run in runs] == [decided.continuation]
    assert labels(world.slack.message()) == []
    assert len(world.slack.ephemeral) + statuses.count(409) == 19
    counted = [entry for entry in await world.entries() if entry.action != "approval.refused"]
    assert len(counted) == 1


async def test_who_comes_too_late_is_told_who_decided_and_which_response_goes_on(world):
    (asked,) = await world.asks()
    await world.settle()
    message = {"channel": "C0MAIN", **world.slack.message()}
    await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/deny", json={"reason": "no"})

    await world.deliver(world.slack.click(message, "Approve", user="U0EVE"))
    await world.told()

    (said,) = world.slack.ephemeral
    assert said["user"] == "U0EVE"
    assert "denied by ada (admin)" in said["text"]
    assert (await world.found(asked)).continuation in said["text"]


async def test_who_is_no_approver_is_told_so_and_nothing_is_counted(world):
    (asked,) = await world.asks()
    await world.settle()

    answer = await world.click("Approve", user="U0STRANGER")

    assert answer.status_code == 200
    assert "T0TEAM/U0STRANGER" in world.slack.ephemeral[0]["text"]
    assert await world.approvals.votes(asked.id) == []
    assert labels(world.slack.message()) == ["Approve", "Deny"]


async def test_a_user_of_another_workspace_with_the_same_id_is_somebody_else(world):
    (asked,) = await world.asks()
    await world.settle()

    await world.click("Approve", user="U0ADA", team="T0OTHER")

    assert await world.approvals.votes(asked.id) == []
    assert "T0OTHER/U0ADA" in world.slack.ephemeral[0]["text"]


@pytest.mark.parametrize(
    ("user", "fields", "said"), [("U0BOB", {}, "somebody else"), ("U0DAN", {"groups": ("sre",)}, "members of sre")]
)
@pytest.mark.parametrize("label", ["Approve", "Deny"])
async def test_who_asked_and_who_is_not_of_the_group_may_not_answer(world, user, fields, said, label):
    (asked,) = await world.asks(**fields)
    await world.settle()

    await world.click(label, user=user)

    assert said in world.slack.ephemeral[0]["text"]
    assert world.slack.views == []
    assert await world.approvals.votes(asked.id) == []


async def test_a_click_that_is_replayed_is_not_counted_again(world):
    (asked,) = await world.asks(quorum=2)
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")

    answers = [await world.deliver(sent, at=NOW) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(await world.approvals.votes(asked.id)) == 1
    assert (await world.found(asked)).state == "pending"


async def test_a_click_of_more_than_five_minutes_ago_and_one_with_another_signature_are_refused(world):
    await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")
    forged = Sent(sent.payload, at=NOW, secret="another")

    late = await world.deliver(sent, at=NOW - 301)
    other = await world.http.post("/slack/interactions", content=forged.body, headers=forged.headers)

    assert (late.status_code, other.status_code) == (401, 401)
    assert world.counts.clicks.values() == {("unsigned",): 2}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"type": "block_actions"},
        {"type": "shortcut", "user": {"id": "U"}},
        {"type": "block_actions", "user": {"id": "U"}, "actions": [{"action_id": "other"}]},
    ],
)
async def test_what_nobody_asked_for_is_refused_even_when_it_is_signed(world, payload):
    assert (await world.deliver(Sent(payload))).status_code == 400


@pytest.mark.parametrize(
    "change", [lambda value: value[:-1] + "x", lambda value: "junk", lambda value: value.replace("mcpr_", "mcpr_0")]
)
async def test_a_button_that_is_none_of_ours_does_nothing(world, change):
    (asked,) = await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")
    sent.payload["actions"][0]["value"] = change(sent.payload["actions"][0]["value"])

    await world.deliver(Sent(sent.payload))
    await world.told()

    assert "out of date" in world.slack.ephemeral[0]["text"]
    assert await world.approvals.votes(asked.id) == []


async def test_a_click_on_arguments_that_were_edited_since_is_refused(world):
    (asked,) = await world.asks(quorum=2)
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve", user="U0EVE")
    edited = await world.ask(
        "ada", "POST", f"/admin/approvals/{asked.id}/edit", json={"arguments": {"replicas": 4}, "version": 1}
    )
    assert edited.status_code == 200, edited.text

    await world.deliver(sent)
    await world.told()
    await world.settle()

    assert "edited meanwhile" in world.slack.ephemeral[0]["text"]
    assert len(await world.approvals.votes(asked.id)) == 1
    assert '"replicas": 4' in words(world.slack.message())


async def test_of_two_who_are_needed_the_message_shows_the_first(world):
    (asked,) = await world.asks(quorum=2)
    await world.settle()

    await world.click("Approve")
    assert "1 of 2 have approved." in words(world.slack.message())
    assert labels(world.slack.message()) == ["Approve", "Deny"]
    await world.click("Approve", user="U0EVE")

    assert (await world.found(asked)).state == "approved"
    assert "Approved by ada and eve" in words(world.slack.message())


async def test_what_nobody_answers_expires_loses_its_buttons_and_counts_as_denied(world):
    (asked,) = await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")
    world.now += 3601

    await world.people.expiring.look()
    await world.settle()
    await world.deliver(sent)
    await world.told()

    expired = await world.found(asked)
    assert expired.state == "expired"
    assert labels(world.slack.message()) == []
    assert "expired" in world.slack.ephemeral[0]["text"]
    (item,) = await world.runs.items(expired.continuation, "input")
    assert item.body["approve"] is False


async def test_a_run_that_is_cancelled_takes_its_question_back(world):
    (asked,) = await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")

    ended = await world.ask("adm", "POST", f"/admin/runs/{asked.run}/cancel")
    await world.settle()
    await world.deliver(sent)

    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    assert (await world.found(asked)).state == "cancelled"
    assert labels(world.slack.message()) == []
    assert await world.approvals.votes(asked.id) == []


async def test_a_run_that_is_deleted_leaves_no_buttons_behind(world):
    (asked,) = await world.asks()
    await world.settle()

    await world.runs.remove("default", asked.run)
    await world.settle()

    assert labels(world.slack.message()) == []
    assert "deleted" in words(world.slack.message())
    assert await world.messages.of(asked.id) == []


async def test_another_tenants_questions_are_not_posted(world):
    await world.asks(tenant="elsewhere")

    await world.settle()

    assert world.slack.calls == []


async def test_a_form_that_comes_too_late_says_so_where_it_was_written(world):
    (asked,) = await world.asks()
    await world.settle()
    await world.click("Deny")
    (view,) = world.slack.views
    await world.ask("eve", "POST", f"/admin/approvals/{asked.id}/approve")

    answer = await world.deliver(world.slack.submit(view, "no"))

    said = answer.json()
    assert said["response_action"] == "errors"
    assert "approved by eve" in said["errors"]["reason"]


async def test_a_question_is_answered_in_words(world):
    (asked,) = await world.asks(kind="question")
    await world.settle()

    await world.click("Answer")
    (view,) = world.slack.views
    await world.deliver(world.slack.submit(view, "Use db-2."))

    (vote,) = await world.approvals.votes(asked.id)
    assert (vote.approve, vote.reason) == (True, "Use db-2.")


async def test_slack_gets_its_answer_in_time_when_the_database_does_not_give_one(world):
    (asked,) = await world.asks()
    await world.settle()
    sent = world.slack.click({"channel": "C0MAIN", **world.slack.message()}, "Approve")

    async with world.database.begin():
        with anyio.fail_after(3):
            answer = await world.deliver(sent)
    await world.told()

    assert answer.status_code == 200
    assert (await world.found(asked)).state == "approved"
    assert [said["text"] for said in world.slack.ephemeral] == ["Your answer was counted."]
