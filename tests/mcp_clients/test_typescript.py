"""The official TypeScript SDK, in both lines, as a client of /mcp: tools, what else there is, progress, cancellation, questions, approvals, agents."""

import time

import pytest

from tests.mcp_clients.typescript import PATIENCE, Refused, typescript

pytestmark = pytest.mark.mcp_clients
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28"}
ASKS = {"capabilities": {"elicitation": {"form": {}, "url": {}}}}
STEPS = [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@pytest.fixture
def client(world, sdk):
    with typescript(*sdk, world.by_key) as connected:
        yield connected


def text(result):
    return result["content"][0]["text"]


def steps(client):
    return [(one["progress"], one["total"], one["message"]) for one in client.heard("progress", len(STEPS))]


def eventually(holds):
    """Wait until something holds, and tell how many seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE
    return time.monotonic() - began


def test_it_connects_in_its_revision_and_reads_what_there_is(client, sdk):
    about = client.ask("about")

    assert client.version == VERSIONS[sdk[1]]
    assert about["server"]["name"] == "switchgear"
    assert about["instructions"] == "Ask before you count."
    assert about["capabilities"]["tools"]["listChanged"]


def test_it_reads_the_list_of_tools_to_its_end(client):
    names, page = [], client.ask("listTools")
    while True:
        names += [tool["name"] for tool in page["tools"]]
        if "nextCursor" not in page:
            break
        page = client.ask("listTools", {"cursor": page["nextCursor"]})

    assert names == sorted(names)
    assert {"agent_clerk", "approval_status", "desk__echo", "echo", "memos__advance", "office__book"} < set(names)
    assert len(names) > 10


def test_tools_behind_stdio_and_behind_http_are_called(client):
    assert text(client.call("desk__echo", {"text": "grün"})) == "grün"
    assert text(client.call("echo", {"text": "from afar"})) == "from afar"


def test_results_come_through_as_the_tool_gave_them(client):
    client.ask("listTools")
    structured = client.call("desk__structured")
    blocks = client.call("desk__blocks")["content"]
    failed = client.call("desk__fail")
    link = client.call("memos__link")["content"][0]

    assert structured["structuredContent"] == {"n": 3}
    assert [block["type"] for block in blocks] == ["text", "image", "resource_link"]
    assert (blocks[1]["mimeType"], blocks[1]["data"]) == ("image/png", "A" * 4000)
    assert failed["isError"] is True
    assert link["uri"] == "switchgear://memos/memo://notes/7"


def test_what_goes_wrong_is_a_result_or_an_error_as_the_protocol_has_it(client):
    wrong = client.call("desk__echo", {"text": 3})
    raised = client.call("desk__raise")
    with pytest.raises(Refused) as unknown:
        client.call("nothing")

    assert wrong["isError"] is True
    assert 'not of type "string"' in text(wrong)
    assert "the secret of the house" not in text(raised)
    assert unknown.value.error["code"] == -32602


def test_it_hears_how_far_a_call_is(client):
    client.call("memos__advance", {"word": "on"}, progress=True)

    assert steps(client) == STEPS


def test_a_call_that_it_gives_up_is_cancelled_at_the_tools_server(world, client):
    calls, ended = len(hanging(world)), len(world.noted("desk", "cancelled.jsonl"))
    number = client.begin("callTool", {"name": "desk__hang", "arguments": {}})
    eventually(lambda: len(hanging(world)) > calls)
    client.abort(number)
    with pytest.raises(Refused, match="given up"):
        client.wait(number)
    took = eventually(lambda: len(world.noted("desk", "cancelled.jsonl")) > ended)

    assert took < 2
    assert text(client.call("desk__echo", {"text": "on"})) == "on"


def hanging(world):
    return [call for call in world.noted("desk") if call["tool"] == "hang"]


def test_resources_and_templates_are_listed_and_read(client):
    resources = [one["uri"] for one in client.ask("listResources")["resources"]]
    [template] = client.ask("listResourceTemplates")["resourceTemplates"]
    note = client.ask("readResource", {"uri": template["uriTemplate"].replace("{id}", "7")})
    picture = client.ask("readResource", {"uri": resources[1]})
    with pytest.raises(Refused) as none:
        client.ask("readResource", {"uri": "switchgear://memos/memo://hidden/7"})

    assert resources == [f"switchgear://memos/memo://{name}" for name in ("one", "picture", "two")]
    assert note["contents"][0]["text"] == "this is memo://notes/7"
    assert picture["contents"][0]["blob"] == "AAAA"
    assert none.value.error["code"] in (-32602, -32002)


def test_prompts_are_listed_rendered_and_completed(client):
    names = [prompt["name"] for prompt in client.ask("listPrompts")["prompts"]]
    prompt = client.ask("getPrompt", {"name": "memos__greet", "arguments": {"name": "Ada"}})
    ref = {"type": "ref/prompt", "name": "memos__greet"}
    completed = client.ask("complete", {"ref": ref, "argument": {"name": "name", "value": "pa"}})

    assert "memos__greet" in names
    assert prompt["messages"][0]["content"]["text"] == "Greet Ada."
    assert prompt["messages"][1]["content"]["resource"]["uri"] == "switchgear://memos/memo://one"
    assert completed["completion"]["values"] == ["paris", "park", "party"]


def test_a_call_that_waits_for_people_is_asked_for_later(world, client, sdk):
    said = "later " + "-".join(sdk)
    told = client.call("desk__count", {"text": said})["structuredContent"]
    again = client.call("desk__count", {"text": said})["structuredContent"]
    before = world.count(said)
    world.agree(told["approval_id"])
    done = client.call("approval_status", {"id": told["approval_id"], "wait": 20})

    assert (told["status"], before) == ("waiting_for_approval", 0)
    assert again["approval_id"] == told["approval_id"]
    assert done["structuredContent"]["status"] == "completed"
    assert text(done) == said
    assert world.count(said) == 1


def test_a_client_that_can_ask_its_user_sends_him_to_the_approval_and_fills_in_forms(world, sdk):
    """2025-11-25 without sessions has no way back to the client: there the call waits."""
    said = "visited " + "-".join(sdk)

    def elicit(params):
        if "/admin/approvals/" in params.get("url", ""):
            world.agree(params["url"].rsplit("/", 1)[1])
        return {"action": "accept", **({} if params.get("mode") == "url" else {"content": {"seats": 2}})}

    with typescript(*sdk, {**world.by_key, **ASKS}, elicit=elicit) as client:
        counted = client.call("desk__count", {"text": said})
        asked = [one["params"]["mode"] for one in client.events if one["event"] == "elicit"]
        if sdk[1] == "auto":
            booked, paid = client.call("office__book"), client.call("office__pay")

    if sdk[1] == "auto":
        assert (text(counted), asked) == (said, ["url"])
        assert text(booked) == 'booked {"seats": 2}'
        assert text(paid) == "paid"
    else:
        assert (counted["structuredContent"]["status"], asked) == ("waiting_for_approval", [])


def test_a_user_who_declines_has_the_call_given_up(world):
    with typescript("v2", "auto", {**world.by_key, **ASKS}, elicit=lambda params: {"action": "decline"}) as client:
        declined = client.call("desk__count", {"text": "declined"})

    assert declined["isError"] is True
    assert "declined" in text(declined)
    assert world.count("declined") == 0


def test_an_agent_tells_how_it_gets_on_and_answers(client):
    answered = client.call("agent_clerk", {"input": "slowly"}, progress=True)
    grown = [one["message"] for one in client.events if one["event"] == "progress"]

    assert text(answered) == "one two three four five six"
    assert len(grown) > 1
    assert "".join(grown) == "one two three four five six"


def test_an_agent_in_the_background_is_asked_for_later(client):
    begun = client.call("agent_clerk", {"input": "slowly", "background": True})["structuredContent"]
    done = client.call("agent_status", {"id": begun["run_id"], "wait": 20})

    assert begun["status"] == "running"
    assert text(done) == "one two three four five six"


def test_what_an_agent_needs_people_for_is_told(world, client):
    before = world.count("by an agent")
    told = client.call("agent_clerk", {"input": "please count"})["structuredContent"]
    world.agree(told["approval_id"])
    done = client.call("approval_status", {"id": told["approval_id"], "wait": 20})

    assert told["tool"] == "desk/count"
    assert text(done) == "The tool said: by an agent"
    assert world.count("by an agent") == before + 1


def test_it_hears_of_changed_lists_where_its_revision_knows_of_that(world):
    with typescript("v2", "auto", world.by_key) as client:
        honored = client.ask("listen", {"promptsListChanged": True, "toolsListChanged": True})
        client.call("memos__change", {"word": "extra"})
        [changed] = client.heard("changed")
        names = [one["name"] for one in client.ask("listPrompts", cacheMode="refresh")["prompts"]]

    assert honored == {"promptsListChanged": True, "toolsListChanged": True}
    assert changed["kind"] == "prompts"
    assert "memos__extra" in names


def test_the_command_is_a_server_as_any_other(world, sdk):
    with typescript(*sdk, world.by_command) as client:
        tools = client.ask("listTools")["tools"]
        client.call("memos__advance", {"word": "on"}, progress=True)
        heard = steps(client)
        calls, ended = len(hanging(world)), len(world.noted("desk", "cancelled.jsonl"))
        number = client.begin("callTool", {"name": "desk__hang", "arguments": {}})
        eventually(lambda: len(hanging(world)) > calls)
        client.abort(number)
        eventually(lambda: len(world.noted("desk", "cancelled.jsonl")) > ended)
        told = client.call("desk__count", {"text": "by the command " + "-".join(sdk)})["structuredContent"]

    assert tools[0]["name"] == "agent_clerk"
    assert heard == STEPS
    assert told["status"] == "waiting_for_approval"
