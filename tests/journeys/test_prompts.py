"""The official openai client names a prompt of this server, as it would one of OpenAI's: kept or not, streamed, in the background, for every model."""

import json

import anyio
import openai
import pytest

from tests.journeys.prompts_world import PATIENCE, prompts_world

VALUES = {"company": "Acme", "question": "What is {{company}}?"}
PROMPT = {"id": "support", "variables": VALUES}
ECHO = {"id": "support", "version": "2", "variables": VALUES}
SAID = "Ada asks: What is {{company}}?"
OLD = {"id": "support", "version": "1", "variables": {"company": "Acme"}}


@pytest.fixture
async def world(tmp_path):
    async with prompts_world(tmp_path) as world:
        yield world


def shown(response):
    return response.prompt.to_dict(), response.instructions, response.output_text


async def test_a_prompt_says_everything_of_a_request_that_is_kept(world):
    made = await world.client.responses.create(prompt=PROMPT)

    found = await world.client.responses.retrieve(made.id)

    assert shown(made) == shown(found) == (ECHO, "Answer for Acme.", f"You said: {SAID}")
    assert (made.model, made.store) == ("talker", True)
    assert await world.inputs(made.id) == [SAID]


async def test_a_version_is_served_as_it_is_named_and_kept_or_not_it_is_the_same(world):
    for store in (True, False):
        made = await world.client.responses.create(model="talker", prompt=OLD, input="Hello", store=store)

        assert shown(made) == (OLD, "Old words for Acme.", "You said: Hello")


async def test_the_requests_own_words_go_before_the_prompts(world):
    made = await world.client.responses.create(model="relayed", prompt=PROMPT, input="Now.", instructions="Mine.")

    assert (made.instructions, made.model) == ("Mine.", "relayed")
    (sent,) = world.upstream.sent
    assert sent["instructions"] == "Mine."
    assert await world.inputs(made.id) == [SAID, "Now."]


@pytest.mark.parametrize("store", [True, False])
async def test_an_upstream_of_the_same_api_hears_of_no_template(world, store):
    made = await world.client.responses.create(model="relayed", prompt=PROMPT, store=store)

    (sent,) = world.upstream.sent
    assert "prompt" not in sent
    assert sent["instructions"] == "Answer for Acme."
    assert SAID in json.dumps(sent["input"])
    assert shown(made) == (ECHO, "Answer for Acme.", "From upstream.")


@pytest.mark.parametrize(
    ("model", "store"),
    [("talker", True), ("talker", False), ("relayed", True), ("relayed", False), ("agent/desk", True)],
)
async def test_every_event_of_a_stream_that_has_the_response_names_the_prompt(world, model, store):
    events = [
        event
        async for event in await world.client.responses.create(model=model, prompt=PROMPT, store=store, stream=True)
    ]

    named = [event.response.prompt.to_dict() for event in events if hasattr(event, "response")]
    assert named == [ECHO] * 3
    assert events[-1].type == "response.completed"


async def test_an_agent_is_told_the_prompts_instructions_after_its_own(world):
    made = await world.client.responses.create(model="agent/desk", prompt=PROMPT)

    assert shown(made) == (ECHO, "Answer for Acme.", "From upstream.")
    assert world.upstream.sent[0]["instructions"] == "Be the desk.\n\nAnswer for Acme."
    assert await world.inputs(made.id) == [SAID]


async def test_a_prompt_may_be_for_an_agent_and_one_that_there_is_not_is_told_without_a_model_too(world):
    world.write("1", "model: agent/desk\nmessages: [{text: Hello.}]\n", "desk")
    await world.reload()

    assert (await world.client.responses.create(prompt={"id": "desk"})).model == "agent/desk"
    with pytest.raises(openai.NotFoundError, match="There is no prompt 'nope' here"):
        await world.client.responses.create(prompt={"id": "nope"})


async def test_what_was_rendered_is_what_a_background_run_is_made_of(world):
    made = await world.client.responses.create(prompt=PROMPT, background=True)
    found = await world.ended(made.id)

    assert made.status == "queued"
    assert made.prompt.to_dict() == ECHO
    assert shown(found) == (ECHO, "Answer for Acme.", f"You said: {SAID}")


async def test_messages_are_gone_on_from_and_instructions_are_not(world):
    first = await world.client.responses.create(model="relayed", prompt=PROMPT)
    then = await world.client.responses.create(model="relayed", input="Why?", previous_response_id=first.id)

    assert (then.prompt, then.instructions) == (None, None)
    sent = world.upstream.sent[-1]
    assert "instructions" not in sent
    assert SAID in json.dumps(sent["input"])


async def test_a_conversation_has_the_messages_where_the_prompt_was_sent(world):
    conversation = await world.client.conversations.create(items=[{"role": "user", "content": "Before."}])
    await world.client.responses.create(model="talker", prompt=PROMPT, input="Now.", conversation=conversation.id)

    items = await world.client.conversations.items.list(conversation.id, order="asc")

    assert [item.content[0].text for item in items.data] == ["Before.", SAID, "Now.", "You said: Now."]


async def test_tokens_are_counted_and_conversations_compacted_with_it(world):
    ours, more = world.client.responses, {"prompt": PROMPT}
    alone = await ours.input_tokens.count(model="talker", input="Now.")
    filled = await ours.input_tokens.count(model="talker", input="Now.", extra_body=more)
    compacted = await ours.compact(model="talker", input="Now.", extra_body=more)

    assert filled.input_tokens > alone.input_tokens
    assert [item.content[0].text for item in compacted.output if item.type == "message"] == [SAID, "Now."]


async def test_lines_of_a_batch_are_filled_in(world):
    body = {"model": "talker", "prompt": PROMPT}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    file = await world.client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = await world.client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    with anyio.fail_after(PATIENCE):
        while batch.status not in ("completed", "failed"):
            await anyio.sleep(0.02)
            batch = await world.client.batches.retrieve(batch.id)

    answer = json.loads((await world.client.files.content(batch.output_file_id)).content)
    assert answer["response"]["body"]["prompt"] == ECHO
    assert answer["response"]["body"]["output"][0]["content"][0]["text"] == f"You said: {SAID}"


async def turn(socket, **asked):
    await socket.response.create(**asked)
    with anyio.fail_after(PATIENCE):
        while True:
            event = await socket.recv()
            if event.type in ("response.completed", "error"):
                return event


@pytest.mark.parametrize("store", [True, False])
async def test_a_websocket_remembers_what_was_rendered_where_it_was_said(world, store):
    async with world.client.responses.connect() as socket:
        first = (await turn(socket, model="relayed", prompt=PROMPT, store=store)).response
        again = await turn(
            socket, model="relayed", prompt=PROMPT, input="Now.", previous_response_id=first.id, store=store
        )

    assert shown(first) == shown(again.response) == (ECHO, "Answer for Acme.", "From upstream.")
    said = [item["content"] for item in world.upstream.sent[-1]["input"]]
    texts = [content if isinstance(content, str) else content[0]["text"] for content in said]
    assert texts == [SAID, "From upstream.", SAID, "Now."]


async def test_a_websocket_is_warmed_up_with_it(world):
    async with world.client.responses.connect() as socket:
        await socket.send({"type": "response.create", "prompt": PROMPT, "generate": False, "store": False})
        with anyio.fail_after(PATIENCE):
            while (warm := await socket.recv()).type != "response.completed":
                pass
        then = await turn(socket, model="relayed", input="Now.", previous_response_id=warm.response.id, store=False)

    assert warm.response.prompt.to_dict() == ECHO
    assert then.response.output_text == "From upstream."
    assert SAID in json.dumps(world.upstream.sent[-1]["input"])


async def test_a_websocket_is_told_what_is_wrong_with_it(world):
    async with world.client.responses.connect() as socket:
        missing = await turn(socket, model="talker", prompt={"id": "support"}, store=False)
        unknown = await turn(socket, model="talker", prompt={"id": "nope"}, input="x", store=False)

    assert (missing.status, missing.error.param) == (400, "prompt.variables.company")
    assert (unknown.status, unknown.error.param) == (404, "prompt.id")


BAD = (
    ({"id": "nope"}, 404, "prompt.id"),
    ({"id": "support", "version": "9"}, 404, "prompt.version"),
    ({"id": "support"}, 400, "prompt.variables.company"),
    ({"id": "support", "variables": {**VALUES, "x": "y"}}, 400, "prompt.variables.x"),
    ({"id": "support", "variables": {**VALUES, "customer": 5}}, 400, "prompt.variables.customer"),
    ({"id": "support", "variables": VALUES, "more": 1}, 400, "prompt.more"),
    ({"variables": VALUES}, 400, "prompt.id"),
    ({"id": ["support"]}, 400, "prompt.id"),
    ("support", 400, "prompt"),
)


@pytest.mark.parametrize(("prompt", "status", "param"), BAD)
async def test_what_is_wrong_with_a_prompt_is_said_before_anything_is_done(world, prompt, status, param):
    ways = [{}, {"store": False}, {"background": True}, {"stream": True}]
    for model, more in [*(("talker", way) for way in ways), ("agent/desk", {})]:
        with pytest.raises(openai.APIStatusError) as refused:
            await world.client.responses.create(model=model, prompt=prompt, input="Hello", **more)

        assert (refused.value.status_code, refused.value.body["param"]) == (status, param)
    assert world.upstream.sent == []


async def test_a_prompt_that_would_be_too_large_is_refused(world):
    world.write("1", f"instructions: '{'{{a}}' * 100}'\nvariables: {{a: {{}}}}\n", "long")
    await world.reload()

    with pytest.raises(openai.APIStatusError) as refused:
        await world.client.responses.create(model="talker", prompt={"id": "long", "variables": {"a": "x" * 1000}})

    assert (refused.value.status_code, refused.value.body["param"]) == (413, "prompt.variables")


async def test_a_prompt_that_is_the_upstreams_goes_there_as_it_came(world):
    theirs = {"id": "pmpt_1", "version": "3", "variables": {"name": "Ada"}}
    made = await world.client.responses.create(model="relayed", prompt=theirs, input="Hello", store=False)

    assert made.output_text == "From upstream."
    assert world.upstream.sent[0]["prompt"] == theirs
    with pytest.raises(openai.NotFoundError, match="There is no prompt 'pmpt_1' here"):
        await world.client.responses.create(model="relayed", prompt=theirs, input="Hello")


async def test_a_call_names_its_prompt_in_the_ledger(world):
    await world.client.responses.create(prompt=PROMPT)
    await world.client.responses.create(model="relayed", prompt=PROMPT, store=False)
    await world.client.responses.create(model="agent/desk", prompt=OLD, input="Hello")
    await world.client.responses.create(model="talker", input="Hello")

    usage = {}
    with anyio.fail_after(PATIENCE):
        while sum(usage.values()) < 4:
            answer = (await world.http.get("/admin/usage", params={"by": "prompt"})).json()
            usage = {row["prompt"]: row["calls"] for row in answer["data"]}
            await anyio.sleep(0.02)

    assert usage == {"support@2": 2, "support@1": 1, "": 1}
    assert VALUES["question"] not in str(world.gateway.records)


async def test_a_changed_file_is_served_after_a_reload_and_what_began_before_stays(world):
    before = await world.client.responses.create(
        prompt={**PROMPT, "variables": {**VALUES, "question": "slow"}}, background=True
    )
    world.write("2", "instructions: New words.\nmessages: [{text: Anew.}]\nmodel: talker\n")

    report = await world.reload()
    after = await world.client.responses.create(prompt={"id": "support"})

    assert (report["status"], [change["path"] for change in report["changes"]]) == ("applied", ["prompts.folder"])
    assert (after.instructions, after.output_text) == ("New words.", "You said: Anew.")
    assert (await world.ended(before.id)).instructions == "Answer for Acme."
    assert await world.inputs(before.id) == ["Ada asks: slow"]


async def test_a_file_at_fault_changes_nothing_and_is_named(world):
    world.write("1", "instructions: New words.\n")
    world.write("2", "instructions: Say {{nothing}}.\n")

    report = await world.reload()
    served = await world.client.responses.create(model="talker", prompt=OLD, input="Hello")

    assert report["status"] == "refused"
    (fault,) = report["faults"]
    assert fault["file"].endswith("prompts/support/2.yaml")
    assert (fault["line"], fault["path"]) == (1, "instructions")
    assert served.instructions == "Old words for Acme."


async def test_a_new_folder_is_seen_without_being_told(world):
    world.write("1", "instructions: Seen.\n", "fresh")

    with anyio.fail_after(PATIENCE):
        while "fresh" not in world.gateway.application.live.current().prompts.documents.prompts:
            await anyio.sleep(0.02)
    world.write("1", "instructions: Seen again.\n", "fresh")
    with anyio.fail_after(PATIENCE):
        while True:
            made = await world.client.responses.create(model="talker", prompt={"id": "fresh"}, input="Hello")
            if made.instructions == "Seen again.":
                break
            await anyio.sleep(0.02)


async def test_administrators_see_what_is_in_force(world):
    listed = (await world.http.get("/admin/prompts")).json()
    one = (await world.http.get("/admin/prompts/support")).json()

    (prompt,) = listed["data"]
    assert (prompt["id"], prompt["current"], [each["version"] for each in prompt["versions"]]) == (
        "support",
        "2",
        ["1", "2"],
    )
    assert [variable["name"] for variable in prompt["versions"][1]["variables"] if variable["required"]] == [
        "company",
        "question",
    ]
    assert "instructions" not in prompt["versions"][0]
    assert one["versions"][0]["instructions"] == "Old words for {{company}}."
    assert one["versions"][1]["messages"] == [{"role": "user", "text": "{{customer}} asks: {{question}}"}]
    assert (await world.http.get("/admin/prompts/nope")).status_code == 404


async def test_the_administrators_of_other_tenants_do_not_see_prompts_but_their_callers_use_them(world):
    tenant = (await world.http.post("/admin/tenants", json={"name": "other"})).json()["id"]
    keys = {}
    for role in ("admin", None):
        made = await world.http.post(
            "/admin/keys", json={"name": f"k-{role}", "tenant": tenant, **({"role": role} if role else {})}
        )
        keys[role] = made.json()["key"]

    for path in ("/admin/prompts", "/admin/prompts/support"):
        for role, key in keys.items():
            answer = await world.http.get(path, headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == 403, role
    async with openai.AsyncOpenAI(base_url=f"{world.gateway.url}/v1", api_key=keys[None]) as theirs:
        assert (await theirs.responses.create(prompt=PROMPT)).output_text == f"You said: {SAID}"
