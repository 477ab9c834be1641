"""An incident is one message in Slack, and all that follows is in its thread: what was looked at, the question, what came of it. Promised by docs/slack.md."""

import json

import anyio
import pytest

from tests.journeys.incident_threads_world import CHANNEL, incident_threads
from tests.journeys.triggers_world import PATIENCE, alert, payload
from tests.slack_double import buttons, words

ACTS = {"summary": "count the pods"}


@pytest.fixture
async def threads(tmp_path):
    async with incident_threads(tmp_path) as threads:
        yield threads


def ends_in_order(said, *parts):
    """Each part is said in a message of its own, in this order."""
    at = [next(place for place, text in enumerate(said) if part in text) for part in parts]
    assert at == sorted(at), said


async def test_an_incident_is_one_thread_from_the_alert_to_its_end(threads):
    fired = alert("PodDown", pod="web-1", **ACTS)
    await threads.world.fire(payload(fired))
    await threads.until("State: Waiting for people", "asks for leave to call desk/count")

    await threads.click("Approve")
    await threads.until("desk/count: done", "The agent's summary", "State: Changed")
    await threads.world.fire(payload({**fired, "status": "resolved"}))
    said = await threads.until("State: Resolved", "All alerts are resolved.")

    heads = [message for message in threads.slack.messages.values() if not message.get("thread_ts")]
    assert [message["channel"] for message in heads] == [CHANNEL]
    assert "PodDown (page)" in said[0]
    assert "pod: web-1" in said[0]
    ends_in_order(said, "PodDown (page)", "An agent looks into it", "asks for leave", "desk/count: done", "The agent's summary", "All alerts are")  # fmt: skip
    assert threads.slack.open_questions() == []
    assert any("Approved by ada" in text for text in said)
    assert len(threads.slack.named("chat.postMessage")) == len(said)


async def test_text_of_a_label_is_text_in_slack(threads):
    hostile = "<!channel> <https://evil.example|click> @here *bold* \u202egnp"
    await threads.world.fire(payload(alert("<!everyone>", note=hostile, summary="x")))
    await threads.until("The agent's summary")

    for message in threads.slack.named("chat.postMessage"):
        assert "<!" not in message["text"]
        assert message["parse"] == "none"
        assert message["link_names"] is False
    first = threads.slack.thread(CHANNEL)[0]
    kinds = [one["type"] for block in first["blocks"] for part in block["elements"] for one in part.get("elements", ())]
    urls = [one["url"] for block in first["blocks"] for part in block["elements"] for one in part.get("elements", ()) if "url" in one]  # fmt: skip
    assert set(kinds) == {"text", "link"}
    assert [url.partition("inc_")[0] for url in urls] == ["https://gateway.example.com/console/incidents/"]
    assert "click" in words(first)
    assert "\u202e" not in json.dumps(first, ensure_ascii=False)


async def test_slack_that_is_away_or_asks_for_patience_loses_nothing_and_holds_nobody_up(threads):
    threads.slack.fail("chat.postMessage", status=503, times=2)
    threads.slack.fail("chat.postMessage", status=429, retry_after="1")

    answer = await threads.world.fire(payload(alert("PodDown", pod="web-1", summary="quiet")))
    found = await threads.world.until(answer.json()["incident"], lambda one: one["runs"] and not one["run_phase"])
    said = await threads.until("The agent's summary", "State: Nothing was changed")

    assert found["run"]
    ends_in_order(said, "PodDown", "An agent looks into it", "The agent's summary")
    assert len(said) == 3


async def test_a_denied_question_ends_in_the_thread_and_says_by_whom(threads):
    await threads.world.fire(payload(alert("PodDown", pod="web-1", **ACTS)))
    await threads.until("asks for leave")

    await threads.click("Deny")
    with anyio.fail_after(PATIENCE):
        while not threads.slack.views:
            await anyio.sleep(0.02)
    sent = threads.slack.submit(threads.slack.views.pop(), "Not on a Friday.")
    await threads.world.outside.post("/slack/interactions", content=sent.body, headers=sent.headers)
    said = await threads.until("Denied by ada", "State: Nothing was changed")

    assert not any("desk/count: done" in text for text in said)
    assert all(not buttons(message) for message in threads.slack.messages.values())


async def test_what_a_storm_leaves_over_has_no_threads_of_its_own(tmp_path):
    more = "storm: {per_minute: 2, at_once: 2, gather: 0, quiet: 600, catch_up: 0}"
    async with incident_threads(tmp_path, more=more) as threads:
        for number in range(12):
            await threads.world.fire(payload(alert("PodDown", pod=f"web-{number}"), group=f"group {number}"))
        await threads.until("More than may begin", "More incidents came than runs may begin")
        with anyio.fail_after(PATIENCE):
            while await threads.world.gateway.application.governance.kept.outbox.waiting():
                await anyio.sleep(0.02)

        heads = [words(one) for one in threads.slack.messages.values() if not one.get("thread_ts")]
        assert len(heads) == 3
        assert sum("More than may begin" in text for text in heads) == 1
