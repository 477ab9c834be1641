"""The TypeScript SDK before two replicas behind a real nginx: any answers any request; one that is killed costs its client an error, and nobody a second call."""

import signal
import time

import pytest
from anyio.from_thread import start_blocking_portal

from tests.faults.mcp_replicas import KEY, two_replicas
from tests.journeys.mcp_world import answer, waiting
from tests.journeys.tool_runs_world import calls
from tests.mcp_clients.typescript import PATIENCE, Refused, typescript
from tests.nginx_server import nginx_before
from tests.servers import postgres_server
from tests.tool_world import noted

pytestmark = pytest.mark.mcp_clients
STEPS = [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
OWN_PATIENCE = 12000
"""Milliseconds that the client waits for an answer; by itself it is a minute."""


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as server:
        yield server


@pytest.fixture(name="nginx_server", scope="module")
def _nginx_server():
    return nginx_before


@pytest.fixture(scope="module")
def portal():
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgres, nginx_server, portal):
    """Two that go on living."""
    folder = tmp_path_factory.mktemp("site")
    with portal.wrap_async_context_manager(two_replicas(folder, postgres, nginx_server)) as there:
        yield there


@pytest.fixture
def mortal(tmp_path, postgres, nginx_server, portal):
    """Two of which one is to be killed."""
    with portal.wrap_async_context_manager(two_replicas(tmp_path, postgres, nginx_server)) as there:
        yield there


def by_key(site, url=""):
    key = (site.folder / "first.key").read_text().strip()
    return {"url": f"{url or site.url}/mcp", "headers": {"authorization": f"Bearer {key}"}}


def counted(site, said):
    return sum(call["arguments"] == {"text": said} for call in calls(site.folder, "count"))


def text(result):
    return result["content"][0]["text"]


def test_what_is_begun_at_one_goes_on_at_the_other(site, sdk, portal):
    with typescript(*sdk, by_key(site)) as client:
        names = [[tool["name"] for tool in client.ask("listTools", cacheMode="refresh")["tools"]] for _ in range(2)]
        echoed = [text(client.call("desk__echo", {"text": "tea"})) for _ in range(4)]
        said = "once by " + "-".join(sdk)
        told = client.call("desk__count", {"text": said})["structuredContent"]
        portal.call(answer, site.folder, site.two.url, told["approval_id"])
        done = [client.call("approval_status", {"id": told["run_id"], "wait": 20}) for _ in range(2)]

    assert site.both_answered
    assert names[0] == names[1]
    assert echoed == ["tea"] * 4
    assert text(done[0]) == text(done[1]) == said
    assert counted(site, said) == 1


def test_the_client_is_sent_to_the_approval_by_one_and_asks_the_other_again(site, portal):
    def visit(params):
        portal.call(answer, site.folder, site.one.url, params["url"].rsplit("/", 1)[1])
        return {"action": "accept"}

    asks = {"capabilities": {"elicitation": {"url": {}}}}
    with typescript("v2", "auto", {**by_key(site), **asks}, elicit=visit) as client:
        done = [text(client.call("desk__count", {"text": f"{turn}"})) for turn in range(3)]
        progressed = client.call("advance", {"word": "on"}, progress=True)
        # The SDK itself tells that it answers a question.
        steps = [one for one in client.heard("progress", 1 + len(STEPS)) if "total" in one]
        heard = [(one["progress"], one["total"], one["message"]) for one in steps]

    assert site.both_answered
    assert done == ["0", "1", "2"]
    assert [counted(site, each) for each in done] == [1, 1, 1]
    assert (text(progressed), heard) == ("advance", STEPS)


def test_a_changed_list_is_heard_at_whatever_replica_the_client_listens(site):
    with typescript("v2", "auto", by_key(site)) as client, typescript("v1", "legacy", by_key(site)) as other:
        client.ask("listen", {"promptsListChanged": True})
        other.call("change", {"word": "later"})
        changed = client.heard("changed")
        names = [prompt["name"] for prompt in client.ask("listPrompts", cacheMode="refresh")["prompts"]]

    assert changed[0]["kind"] == "prompts"
    assert "later" in names


def signalled(site, number=signal.SIGKILL):
    """Send a signal to who answers now."""
    until, found = time.monotonic() + PATIENCE, None
    while found is None:
        assert time.monotonic() < until
        found = site.busy()
    found.signal(number)


def settled(site, portal, client, name, arguments):
    """Ask for the same call again, and have a person say that it was done; give what is said then."""
    again = client.ask("callTool", {"name": name, "arguments": arguments, "_meta": KEY})["structuredContent"]
    [asked] = portal.call(waiting, site.folder, site.url)
    portal.call(lambda: answer(site.folder, site.url, asked["id"], "deny", reason="It was done."))
    assert asked["kind"] == "outcome"
    return text(client.call("approval_status", {"id": again["run_id"], "wait": 20}))


def test_a_replica_that_is_killed_in_the_midst_of_a_call_has_its_client_told_at_once_and_nothing_done_twice(
    mortal, sdk, portal
):
    with typescript(*sdk, by_key(mortal)) as client:
        number = client.begin("callTool", {"name": "desk__hang", "arguments": {}, "_meta": KEY})
        until = time.monotonic() + PATIENCE
        while not calls(mortal.folder, "hang"):
            assert time.monotonic() < until
        signalled(mortal)
        began = time.monotonic()
        with pytest.raises(Refused, match="502"):
            client.wait(number)
        took = time.monotonic() - began
        said = settled(mortal, portal, client, "desk__hang", {})

    assert took < 5
    assert "is not made again" in said
    assert len(calls(mortal.folder, "hang")) == 1


@pytest.mark.parametrize("sdk", [("v1", "legacy"), ("v2", "auto")], ids=["sdk1", "sdk2"])
def test_a_client_that_had_heard_of_progress_gives_up_in_its_own_time(mortal, sdk, portal):
    """The SDK keeps a request whose answer broke off after its beginning until its own patience is at an end."""
    with typescript(*sdk, by_key(mortal)) as client:
        params = {"name": "change", "arguments": {"word": "stall"}, "_meta": KEY}
        number = client.begin("callTool", params, progress=True, timeout=OWN_PATIENCE)
        client.heard("progress")
        signalled(mortal)
        with pytest.raises(Refused, match="timed out"):
            client.wait(number)
        said = settled(mortal, portal, client, "change", {"word": "stall"})

    assert "is not made again" in said
    assert len(noted(mortal.memos, "stalled.jsonl")) == 1


@pytest.mark.parametrize("sdk", [("v1", "legacy"), ("v2", "auto")], ids=["sdk1", "sdk2"])
def test_a_replica_that_goes_down_says_so_to_who_has_heard_of_progress_already(mortal, sdk):
    with typescript(*sdk, by_key(mortal)) as client:
        number = client.begin("callTool", {"name": "change", "arguments": {"word": "stall"}}, progress=True)
        client.heard("progress")
        signalled(mortal, signal.SIGTERM)
        with pytest.raises(Refused, match="shutting down"):
            client.wait(number, seconds=15)
        after = text(client.call("desk__echo", {"text": "on"}))

    assert after == "on"
