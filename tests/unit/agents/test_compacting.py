"""Long conversations: notes of the model in the place of what was said, once, sealed for their tenant, and no more trusted than what they were made of."""

import anyio
import msgspec
import pytest

from gateway.agents.compacting import is_worthwhile, write_notes
from gateway.agents.unfolding import Room, unfold
from gateway.core.answer import Answer
from gateway.core.errors import ContextLengthExceeded, InvalidRequest, UpstreamBroken, UpstreamUnreachable
from gateway.core.events import Finished, Started
from gateway.core.items import Message, Text
from gateway.core.tools import Label, ToolOutput
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.compaction import decode_compacted
from gateway.stores.conversations import Conversation, ConversationItem
from gateway.stores.runs import RunItem
from tests.unit.agents.runs_world import ADA, EVE, SEAL, Silent, check_stream, draft, speak, world_in
from tests.unit.agents.test_context import texts
from tests.unit.agents.test_tools_taken_over import NEVER, QUICK, Mortal
from tests.unit.agents.tools_world import a_tool, kinds, tool_world, want

WANTED = [{"type": "compaction", "compact_threshold": 1000}]
LONG = "word " * 1200
NOTES = "It is about relays."


def asks_for_notes(call):
    last = call.content.items[-1]
    return isinstance(last, Message) and last.parts[0].text.endswith("Write the notes.")


def with_notes(model, notes=NOTES):
    """Have a model write notes where it is asked for them, and speak as before where not. Gives the calls that asked."""
    asked = []

    async def say(call, send):
        if asks_for_notes(call):
            asked.append(call)
            await speak(call, send, [notes])
        else:
            await model.echo(call, send)

    model.say = say
    return asked


def sealed_in(document, tenant="acme"):
    """What the compaction items of a response hold."""
    held = [item["encrypted_content"] for item in document["output"] if item["type"] == "compaction"]
    return [decode_compacted(SEAL.open(each, tenant)) for each in held]


def item(body, number=0, label=None):
    return RunItem(id=body.get("id", f"i{number}"), place="input", index=number, body=body, label=label)


def user(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text):
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


async def test_a_response_that_grows_too_long_goes_on_with_notes(tmp_path):
    async with world_in(tmp_path) as world:
        asked = with_notes(world.model)
        first, _ = await world.answer(
            [{"role": "user", "content": "about relays"}, {"role": "assistant", "content": LONG}]
        )
        second, events = await world.answer("and now?", previous_response_id=first.id, context_management=WANTED)
        third, _ = await world.answer("go on", previous_response_id=second.id, context_management=WANTED)

    assert len(asked) == 1, "what was compacted is not compacted again"
    assert LONG.strip() in asked[0].content.items[-1].parts[0].text
    document = check_stream(events)
    assert [each["type"] for each in document["output"]] == ["compaction", "message"]
    [held] = sealed_in(document)
    assert (held.notes, [each.body["content"][0]["text"] for each in held.before]) == (NOTES, ["about relays"])
    answered, after = world.model.calls[2], world.model.calls[3]
    assert texts(answered)[0] == ("user", "about relays")
    assert NOTES in texts(answered)[1][1]
    assert texts(answered)[2] == ("user", "and now?"), "the question stays the last"
    assert [role for role, _ in texts(after)] == ["user", "user", "user", "assistant", "user"]
    assert LONG not in str(texts(after))
    assert third.status == "completed"


async def test_what_it_costs_is_counted(tmp_path):
    async with world_in(tmp_path) as world:
        with_notes(world.model)
        run, events = await world.answer(
            [{"role": "assistant", "content": LONG}, {"role": "user", "content": "now"}], context_management=WANTED
        )

    assert check_stream(events)["usage"]["input_tokens"] == 6, "three for the notes, three for the answer"
    assert run.spent.steps == 1
    assert [call.run for call in world.model.calls] == [run.id, run.id]
    assert len({call.id for call in world.model.calls}) == 2


@pytest.mark.parametrize(
    "given",
    ["short", [{"role": "user", "content": LONG}, {"role": "user", "content": "now"}]],
    ids=["little", "only what would stay"],
)
async def test_nothing_is_compacted_where_that_would_help_nobody(tmp_path, given):
    async with world_in(tmp_path) as world:
        asked = with_notes(world.model)
        run, _ = await world.answer(given, context_management=WANTED)

    assert (asked, [each["type"] for each in run.response["output"]]) == ([], ["message"])


async def test_a_model_that_writes_no_notes_answers_all_the_same(tmp_path):
    async with world_in(tmp_path) as world:

        async def say(call, send):
            if asks_for_notes(call):
                raise UpstreamUnreachable("The line is dead.")
            await world.model.echo(call, send)

        world.model.say = say
        run, events = await world.answer(
            [{"role": "assistant", "content": LONG}, {"role": "user", "content": "now"}], context_management=WANTED
        )

    check_stream(events)
    assert (run.status, [each["type"] for each in run.response["output"]]) == ("completed", ["message"])


async def test_without_a_number_the_models_context_says_when(tmp_path):
    async with world_in(tmp_path) as world:
        asked = with_notes(world.model)
        route = world.means.current().routes["talker"]
        given = [{"role": "assistant", "content": LONG}, {"role": "user", "content": "now"}]
        await world.answer(given, context_management=[{"type": "compaction"}])
        assert asked == [], "nobody knows how much the model takes"
        route.context = 1500
        await world.answer(given, context_management=[{"type": "compaction"}])

    assert asked[0].fields["max_output_tokens"] == 375, "a small context has room for short notes"


async def test_the_wish_is_for_us_and_not_for_the_model(tmp_path):
    async with world_in(tmp_path) as world:
        await world.answer("hello", context_management=WANTED)

    assert "context_management" not in world.model.calls[0].fields


async def test_a_run_with_tools_is_compacted_between_its_steps(tmp_path):
    loud = a_tool("look", gives=Label(source="desk/look", integrity="untrusted", confidentiality="sensitive"))
    answers = [[want("look")], NOTES, [want("look", '{"n":2}')], "Done."]
    async with tool_world(tmp_path, *answers, tools=(loud,), result_bytes=8192) as world:
        world.hub.act = lambda asked: long_result()
        run, events = await world.ask("do it", context_management=[{"type": "compaction", "compact_threshold": 1500}])

    check_stream(events)
    assert kinds(run)[:3] == ["mcp_list_tools", "mcp_call", "compaction"]
    assert kinds(run).count("mcp_list_tools") == 1
    assert world.model.told(2) == [("user", "do it"), ("user", world.model.told(2)[1][1])]
    assert NOTES in world.model.told(2)[1][1]
    facts = world.judge.facts[-1]
    assert (facts.taint, facts.sensitive) == (("model",), ("model",)), (
        "notes on what strangers wrote are no more trusted"
    )
    [held] = sealed_in(run.response)[:1]
    assert held.label == Label(source="model", integrity="untrusted", confidentiality="sensitive")


async def test_a_long_result_can_be_read_on_in_when_only_notes_on_it_are_left(tmp_path):
    secret = a_tool("look", gives=Label(source="desk/look", confidentiality="sensitive"))

    async def read_on(call, send):
        [ran] = await world.tool_calls.calls((await world.runs.list("acme"))[0].id)
        arguments = {"ref": f"{ran.run}.{ran.id}", "offset": 4096}
        await world.model.ask(
            call, send, [want("read_result", msgspec.json.encode(arguments).decode(), server="switchgear")]
        )

    async with tool_world(
        tmp_path, [want("look")], NOTES, read_on, "Done.", tools=(secret,), result_bytes=6000
    ) as world:
        world.hub.act = lambda asked: long_result()
        run, _ = await world.ask("do it", context_management=[{"type": "compaction", "compact_threshold": 1200}])
        kept = await world.runs.items(run.id, "output")

    assert kinds(run)[1:4] == ["mcp_call", "compaction", "mcp_call"]
    read = next(each for each in kept if each.body.get("name") == "read_result")
    assert read.body["output"].endswith("rain ")
    assert read.label.confidentiality == "sensitive"


async def test_what_a_client_brings_back_is_trusted_no_more_than_when_it_was_sealed(tmp_path):
    async with tool_world(tmp_path, NOTES, [want("look")], "Done.") as world:
        made = await world.desk.compact(draft([user("hello"), said("do as I say")]), Silent())
        await world.ask([*made["output"], user("go on")])

    assert world.judge.facts[-1].taint == ("model",), (
        "what a client says that the model said, it may have from anywhere"
    )


async def long_result():
    return ToolOutput(text="rain " * 1500)


@pytest.mark.parametrize(
    ("agents", "clients", "compacted"), [(1500, 100_000, 1), (None, 100_000, 0), (100_000, 1500, 1)]
)
async def test_the_least_that_a_definition_and_a_client_say_holds(tmp_path, agents, clients, compacted):
    async with tool_world(tmp_path, [want("look")], NOTES, "Done.", result_bytes=8192) as world:
        world.hub.act = lambda asked: long_result()
        plan = world.means.tools.planner.plan

        async def planned(*args, **fields):
            return msgspec.structs.replace(await plan(*args, **fields), compact_at=agents)

        world.means.tools.planner.plan = planned
        wish = [{"type": "compaction", "compact_threshold": clients}]
        run, _ = await world.ask("do it", context_management=wish)

    assert kinds(run).count("compaction") == compacted


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
async def test_a_holder_may_die_at_every_write_and_what_is_compacted_is_so_once(tmp_path, at, after):
    async def script(call, send):
        if asks_for_notes(call):
            await speak(call, send, [NOTES], name=f"msg_{call.id}")
        elif any(kind == "result" or NOTES in text for kind, text in world.model.told()):
            await speak(call, send, ["Done."])
        else:
            await world.model.ask(call, send, [want("look")])

    async with tool_world(tmp_path, *[script] * 12, result_bytes=8192, **QUICK) as world:
        world.hub.act = lambda asked: long_result()
        msgspec.structs.force_setattr(world.means, "runs", Mortal(world.runs, at, after=after))
        run = await world.desk.begin(
            draft(
                "go",
                tools=NEVER,
                background=True,
                context_management=[{"type": "compaction", "compact_threshold": 1500}],
            )
        )
        with anyio.fail_after(20):
            events = await world.follow(run)
        run = await world.desk.find("acme", run.id)
        kept = await world.runs.items(run.id, "output")

    check_stream(events)
    assert run.status == "completed"
    assert kinds(run).count("compaction") == 1
    assert [each.body["type"] for each in kept].count("compaction") == 1


async def test_two_responses_on_a_conversation_lose_nothing_of_each_other(tmp_path):
    """A compaction stands for what its response has seen, and not for what another said meanwhile."""
    async with world_in(tmp_path) as world:
        store = world.conversations
        await store.add(Conversation(id="conv_1", tenant="acme", created_at=0.0, metadata={}), [])
        old = ConversationItem(id="msg_old", place=0, body=said(LONG))
        await store.append("acme", "conv_1", [old], most=100)

        async def say(call, send):
            if asks_for_notes(call):
                meanwhile = [ConversationItem(id="msg_new", place=0, body=user("the key is 7"), run="resp_other")]
                await store.append("acme", "conv_1", meanwhile, most=100)
                await speak(call, send, [NOTES])
            else:
                await world.model.echo(call, send)

        world.model.say = say
        await world.answer("first", conversation="conv_1", context_management=WANTED)
        await world.answer("second", conversation="conv_1")

    last = [text for _, text in texts(world.model.calls[-1])]
    assert "the key is 7" in last
    assert LONG not in last
    assert any(NOTES in text for text in last)


async def test_compacting_on_request_gives_what_goes_on(tmp_path):
    async with world_in(tmp_path) as world:
        with_notes(world.model)
        first, _ = await world.answer("about relays")
        made = await world.desk.compact(
            draft([{"role": "user", "content": "and fuses"}], previous_response_id=first.id, instructions="Be kind."),
            Silent(),
        )
        again, _ = await world.answer([*made["output"], {"role": "user", "content": "go on"}])
        other = await world.desk.compact(draft([*made["output"], {"role": "user", "content": "more"}]), Silent())
        runs = await world.runs.list(None)

    assert (made["object"], [each["type"] for each in made["output"]]) == (
        "response.compaction",
        ["message", "message", "compaction"],
    )
    assert [each["content"][0]["text"] for each in made["output"][:2]] == ["about relays", "and fuses"]
    assert all(each["id"] for each in made["output"])
    assert made["usage"]["input_tokens"] == 3
    given = [text for _, text in texts(world.model.calls[2])]
    assert (given[:2], given[3]) == (["about relays", "and fuses"], "go on")
    assert NOTES in given[2]
    assert [each["type"] for each in other["output"]] == ["message"] * 3 + ["compaction"], "one compaction at a time"
    assert NOTES in world.model.calls[3].content.items[-1].parts[0].text, "earlier notes are taken over"
    assert {run.id for run in runs} == {first.id, again.id}, "nothing is kept of it"


async def test_a_call_that_waits_for_its_result_stays(tmp_path):
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
    async with world_in(tmp_path) as world:
        with_notes(world.model)
        made = await world.desk.compact(draft([user("hello"), said("hm"), call]), Silent())
        await world.answer([*made["output"], {"type": "function_call_output", "call_id": "c1", "output": "rain"}])

    assert [each["type"] for each in made["output"]] == ["message", "compaction", "function_call"]
    kinds_given = [type(each).__name__ for each in world.model.calls[-1].content.items]
    assert kinds_given == ["Message", "Message", "ToolCall", "ToolResult"]


@pytest.mark.parametrize("how", ["changed", "another's"])
async def test_what_cannot_be_opened_is_refused_before_anything_begins(tmp_path, how):
    async with world_in(tmp_path) as world:
        with_notes(world.model)
        made = await world.desk.compact(draft([user("hello"), said("hm")]), Silent())
        item = made["output"][-1]
        if how == "changed":
            item = {**item, "encrypted_content": item["encrypted_content"][:-6] + "AAAAAA"}
        asked = len(world.model.calls)

        one = draft([user("x"), item], EVE if how == "another's" else ADA)
        for begin in (world.desk.begin, lambda one: world.desk.answer(one, anyio.sleep, Silent())):
            with pytest.raises(InvalidRequest) as refused:
                await begin(one)
            assert refused.value.param == "input[1].encrypted_content"
        assert len(world.model.calls) == asked


async def ask_with(answers, calls):
    async def ask(words):
        calls.append(words)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(
            started=Started(id="x", model="m", created=0, target="t"),
            items=(Message(role="assistant", parts=(Text(text=answer),)),),
            finished=Finished(usage=Usage(input=10, output=1)),
        )

    return ask


async def test_what_does_not_fit_is_read_in_pieces():
    calls = []
    ask = await ask_with([ContextLengthExceeded("Too long."), "half", "whole"], calls)

    notes = await write_notes([item(said("abcdef " * 100))], ask, None)

    assert (notes.text, notes.usage.input, len(calls)) == ("whole", 20, 3)
    assert "Part 1 of 2" in calls[1]
    assert "The notes so far:\n\nhalf" in calls[2]


async def test_a_known_context_says_how_long_a_piece_may_be():
    calls = []
    ask = await ask_with(["one", "two", "three", "four"], calls)

    await write_notes([item(said("abcdef " * 800))], ask, 1000)

    assert len(calls) == 4
    assert max(map(len, calls)) < 3000


async def test_a_model_without_words_has_written_no_notes():
    with pytest.raises(UpstreamBroken):
        await write_notes([item(said("hm"))], await ask_with(["  "], []), None)


async def test_what_fits_nowhere_is_given_up():
    with pytest.raises(ContextLengthExceeded):
        await write_notes([item(said("x " * 5000))], await ask_with([ContextLengthExceeded("no")] * 100, []), None)


def test_notes_do_not_make_a_compaction_worthwhile():
    notes = [item({**user(LONG), "id": "cmp_1"}), item(user("short"), 1), item(said("short"), 2)]

    assert not is_worthwhile(notes)
    assert is_worthwhile([*notes, item(said(LONG), 3)])


def test_an_item_of_another_maker_stays_as_it_is():
    assert unfold(item({"type": "compaction", "encrypted_content": "gAAAA"}), SEAL, "acme", Room()) is None
