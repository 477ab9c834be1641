"""People answer questions, fill in forms and go to pages, over the admin API and in Slack; what is no answer is told at once."""

import pytest

from gateway.core.tools import Wish
from tests.journeys.approvals_world import approvals_world
from tests.slack_double import buttons, words

SEATS = Wish(
    message="How many seats?",
    schema={
        "type": "object",
        "properties": {"replicas": {"type": "integer", "description": "From one to nine"}, "name": {"type": "string"}},
        "required": ["replicas"],
    },
    key="k",
)
PAGE = Wish(message="Pay first.", url="https://bank.example/pay?<!channel>", key="k")


@pytest.fixture
async def world(tmp_path):
    async with approvals_world(tmp_path) as world:
        yield world


def labels(shown):
    return [button["text"]["text"] for button in buttons(shown)]


async def test_a_question_is_shown_with_its_form_and_answered_over_the_admin_api(world):
    (asked,) = await world.asks(kind="question", wish=SEATS)
    shown = (await world.ask("ada", "GET", f"/admin/approvals/{asked.id}")).json()
    wrong = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve", json={"reason": "replicas: many"})
    empty = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")
    right = await world.ask(
        "ada", "POST", f"/admin/approvals/{asked.id}/approve", json={"reason": "replicas: 3\nname: Ada"}
    )

    assert shown["question"] == {"message": "How many seats?", "schema": SEATS.schema, "url": None}
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "reason")
    assert "a whole number" in wrong.json()["error"]["message"]
    assert empty.status_code == 400
    assert (right.status_code, right.json()["state"]) == (200, "approved")
    (item,) = await world.runs.items(right.json()["continuation"], "input")
    assert (item.body["approve"], item.body["reason"]) == (True, "replicas: 3\nname: Ada")


async def test_a_question_is_answered_in_slack_and_a_wrong_answer_is_told_in_the_form(world):
    (asked,) = await world.asks(kind="question", wish=SEATS)
    await world.settle()
    said = words(world.slack.message())
    await world.click("Answer")
    (view,) = world.slack.views
    wrong = await world.deliver(world.slack.submit(view, "replicas: many"))
    right = await world.deliver(world.slack.submit(view, "replicas: 3"))
    await world.settle()

    assert "How many seats?" in said
    assert "replicas: From one to nine; integer" in said
    assert "name: may be left out" in said
    assert "a whole number" in wrong.json()["errors"]["reason"]
    assert right.content == b""
    assert (await world.found(asked)).state == "approved"
    assert labels(world.slack.message()) == []


async def test_a_page_is_shown_as_text_and_who_was_there_says_so_with_one_click(world):
    """What a server calls a page may be written to deceive: nothing of it is a link or a mention."""
    (asked,) = await world.asks(kind="question", wish=PAGE)
    await world.settle()
    shown = world.slack.message()
    await world.click("Done")

    assert labels(shown) == ["Done", "Refuse"]
    assert "https://bank.example/pay?<!channel>" in words(shown)
    assert "<" not in shown["text"]
    assert (await world.found(asked)).state == "approved"


async def test_an_answer_among_several_that_says_nothing_is_refused_by_itself(world):
    (asked,) = await world.asks(kind="question", wish=SEATS)
    shown = (await world.ask("ada", "GET", "/admin/approvals?state=pending")).json()
    refused = await world.ask(
        "ada", "POST", "/admin/approvals/batch", json={"answers": [{"id": asked.id, "verdict": "approve"}]}
    )

    assert shown["data"][0]["kind"] == "question"
    assert refused.json()["data"][0]["status"] == 400
    assert (await world.found(asked)).state == "pending"
