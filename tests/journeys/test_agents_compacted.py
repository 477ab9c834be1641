"""An agent whose conversation grows too long goes on with notes; whoever has not to do with it finds nothing of that."""

import openai
import pytest

import tests.journeys.agents_world as world_of
from tests.journeys.agents_world import agents_world

NOTES = "NOTES: a clerk at work"
LONG = "word " * 1200
WRITES = f"""    answers:
      - when: {{contains: Write the notes}}
        say: "{NOTES}"
        usage: {{input: 50, output: 7}}
"""


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr(world_of, "SCRIPT", world_of.SCRIPT.replace("    answers:\n", WRITES, 1))
    async with agents_world(tmp_path) as world:
        yield world


async def test_an_agent_is_compacted_when_its_definition_says(world):
    world.write("talker", "model: thinker\ncompact_at: 1000\n")
    assert (await world.reload())["status"] == "applied"
    first = await world.openai.responses.create(model="agent/talker", input="hello " + LONG)
    second = await world.openai.responses.create(model="agent/talker", input="and now?", previous_response_id=first.id)
    third = await world.openai.responses.create(model="agent/talker", input="go on", previous_response_id=second.id)

    assert [item.type for item in first.output] == ["message"], "what users say stays"
    assert [item.type for item in second.output] == ["compaction", "message"]
    assert (second.output_text, second.usage.input_tokens) == ("You said: and now?", 56)
    assert third.output_text == "You said: go on"


async def test_other_dialects_see_nothing_of_it(world):
    world.write("talker", "model: thinker\ncompact_at: 1000\n")
    await world.reload()
    said = await world.openai.chat.completions.create(
        model="agent/talker",
        messages=[{"role": "assistant", "content": LONG}, {"role": "user", "content": "hello"}],
    )

    assert said.choices[0].message.content == "You said: hello"
    assert said.usage.prompt_tokens == 56


async def test_an_agents_conversation_is_compacted_by_the_model_that_it_thinks_with(world):
    kept = await world.openai.responses.create(model="agent/clerk", input="hello")
    made = await world.openai.responses.compact(model="agent/clerk", previous_response_id=kept.id)

    assert [item.type for item in made.output] == ["message", "compaction"]
    assert made.usage.input_tokens == 50
    with pytest.raises(openai.NotFoundError):
        await world.openai.responses.compact(model="agent/nobody", input="hello")


async def test_a_definition_that_says_too_little_is_refused(world):
    world.write("talker", "model: thinker\ncompact_at: 10\n")

    assert "compact_at" in str(await world.reload())
