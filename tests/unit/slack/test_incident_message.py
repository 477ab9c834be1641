"""How an incident looks in Slack: what it came to is said by tools and not by the agent, and links lead where an operator allows."""

import msgspec
import pytest

from gateway.config.slack_settings import IncidentThreadSettings
from gateway.slack.incident_message import head, reply, so_far, standing
from gateway.stores.incidents import Incident, IncidentEvent
from gateway.triggers.acting import Deed
from tests.slack_double import fault_of, words

OPEN = Incident(
    id="inc_1", trigger="alerts", tenant="default", kind="alerts", key="k", title="PodDown (page)", opened_at=0.0, updated_at=0.0,
    firing=1, alerts=1, runs=1, run="resp_1",
)  # fmt: skip
SETTINGS = IncidentThreadSettings(evidence=("https://prometheus.example.com/graph",))


def changed(**incident):
    return msgspec.structs.replace(OPEN, **incident)


def event(name, **body):
    return IncidentEvent(incident="inc_1", seq=3, at=0.0, name=name, body=body)


def links(message):
    return [one["url"] for block in message["blocks"] for part in block["elements"] for one in part.get("elements", ()) if one["type"] == "link"]  # fmt: skip


@pytest.mark.parametrize(
    ("incident", "ended", "said", "done", "state"),
    [
        (changed(phase="running"), "in_progress", "", [], "Firing: an agent looks into it"),
        (changed(phase="waiting"), "waiting", "", [], "Waiting for people"),
        (OPEN, "completed", '{"status":"resolved"}', [event("action.ended", holds=True)], "Mended; the agent reports: resolved"),
        (OPEN, "completed", '{"status":"resolved"}', [event("action.ended", holds=False)], "Not mended; the agent reports: resolved"),
        (OPEN, "completed", '{"status":"resolved"}', [], "Nothing was changed; the agent reports: resolved"),
        (OPEN, "failed", "", [event("action.ended")], "The run has failed"),
        (changed(state="failed", runs=0), "", "", [], "Failed: no run could be begun"),
        (changed(state="resolved", phase="waiting"), "waiting", "", [], "Resolved"),
    ],
)  # fmt: skip
def test_how_it_stands_is_what_tools_found_and_not_what_an_agent_says(incident, ended, said, done, state):
    assert standing(incident, ended, said, done).state == state


@pytest.mark.parametrize(
    ("link", "clickable"),
    [
        ("https://prometheus.example.com/graph?g0.expr=up", True),
        ("https://prometheus.example.com/graph/1", True),
        ("https://prometheus.example.com/graphs", False),
        ("https://prometheus.example.com/graph/../login", False),
        ("https://prometheus.example.com@evil.example/graph", False),
        ("https://prometheus.example.com.evil.example/graph", False),
        ("https://prometheus.example.com\\@evil.example/graph", False),
        ("http://prometheus.example.com/graph", False),
        ("https://[/graph", False),
        ("platform:logs?workload=web", False),
        ("javascript:alert(1)", False),
    ],
)
def test_a_link_that_an_agent_names_is_a_link_only_to_servers_that_are_allowed(link, clickable):
    said = msgspec.json.encode({"evidence": [{"claim": "It is down.", "link": link}]}).decode()

    message = reply([event("run.completed", run="resp_1")], said, SETTINGS)

    assert links(message) == ([link] if clickable else [])
    assert "It is down." in words(message)
    assert clickable or link in words(message)


def test_a_summary_is_shown_by_its_fields_and_words_as_they_are():
    said = '{"cause":"a lock","action":{"tool":"platform/restart","approved":true},"post_check":null,"timeline":[{"at":"12:00","what":"fired"}]}'

    fields = words(reply([event("run.completed")], said, SETTINGS))

    assert "Cause: a lock" in fields
    assert "Action: platform/restart · true" in fields
    assert "Timeline: 12:00 · fired" in fields
    assert "Post check" not in fields
    assert "Just words." in words(reply([event("run.completed")], "Just words.", SETTINGS))
    assert "It broke." in words(reply([event("run.failed")], "It broke.", SETTINGS))


def test_what_was_done_before_a_question_is_what_was_looked_at_and_tried():
    looked = Deed(call="1", run="r", tool="platform/logs", arguments='{"workload":"web"}', state="done", effect="read")
    tried = Deed(call="2", run="r", tool="platform/restart", arguments="{}", state="done", effect="idempotent", dry_run=True, diff=("pods: a → b",))  # fmt: skip

    said = words(so_far([looked, tried], "It hangs."))

    assert said.index("It hangs.") < said.index("platform/logs") < said.index("pods: a → b")
    assert so_far([], "") is None


def test_slack_takes_the_longest_of_everything():
    long = "<&>\u202e" * 5000
    incident = changed(title=long, severity=long)
    deeds = [Deed(call="1", run="r", tool=long, arguments=long, state="done", effect="read", dry_run=True, diff=(long,) * 5)] * 50  # fmt: skip
    summary = msgspec.json.encode({f"{long}{number}": [{"claim": long, "link": long}] * 50 for number in range(50)}).decode()  # fmt: skip
    messages = [
        head(incident, [], standing(incident, "completed", '{"status":"' + "x" * 999 + '"}', []), SETTINGS),
        reply([event("run.completed")], summary, SETTINGS),
        reply([event("run.completed")], long, SETTINGS),
        reply([event("action.ended", tool=long, arguments=long, holds=False, says=long, state="done")], "", SETTINGS),
        reply([event("alerts.fired", count=9, alerts=[{"title": long}] * 20)], "", SETTINGS),
        so_far(deeds, long),
    ]

    assert [fault_of(message) for message in messages] == [""] * len(messages)
    assert all(len(message["text"]) < 4000 for message in messages)
    assert not any("<" in message["text"] for message in messages)
