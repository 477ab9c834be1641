"""What is named in an `input` is trusted as it was where it was said, and not as if its client had said it."""

from gateway.core.tools import Label
from tests.unit.agents.tools_world import a_tool, tool_world, want


async def test_a_result_of_a_stranger_stays_one_when_it_is_named(tmp_path):
    loud = a_tool("look", gives=Label(source="desk/look", integrity="untrusted", confidentiality="sensitive"))
    async with tool_world(tmp_path, [want("look")], "It rains.", [want("look", '{"n":2}')], tools=(loud,)) as world:
        first, _ = await world.ask("look")
        call = next(item for item in first.response["output"] if item["type"] == "mcp_call")
        await world.ask([{"type": "item_reference", "id": call["id"]}, {"role": "user", "content": "again"}])
        kept = await world.runs.items((await world.runs.list("acme"))[0].id, "input")

    facts = world.judge.facts[-1]
    assert (facts.taint, facts.sensitive) == (("desk/look",), ("desk/look",))
    assert kept[0].label == Label(source="desk/look", integrity="untrusted", confidentiality="sensitive")


async def test_a_models_own_words_that_are_named_stay_its_own(tmp_path):
    async with tool_world(tmp_path, "Hello.", [want("look")], "Done.") as world:
        first, _ = await world.ask("hi")
        message = first.response["output"][-1]
        await world.ask([{"type": "item_reference", "id": message["id"]}, {"role": "user", "content": "go on"}])
        brought = [{"type": "message", "role": "assistant", "content": "Hello."}, {"role": "user", "content": "go on"}]
        world.model.answers = [[want("look")], "Done."]
        await world.ask(brought)

    assert [facts.taint for facts in world.judge.facts] == [(), ("assistant",)]
