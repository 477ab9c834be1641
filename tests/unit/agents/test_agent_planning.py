"""The plan of an agent: its definition, what its caller may use, and what a client may say to it. Promised by docs/agents.md."""

import pytest

from gateway.agents.agent_planning import AgentPlanner, AgentsInForce
from gateway.agents.builtin_tools import ASK_HUMAN, READ_RESULT
from gateway.config.agent_settings import (
    AgentDefinition,
    AgentLimitSettings,
    AgentOutputSettings,
    AgentSettings,
    AskHumanSettings,
)
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, Forbidden, InvalidRequest
from gateway.policies.authorizer import Authorizer
from gateway.stores.runs import Limits
from gateway.tools.hub import ToolNotReached
from tests.unit.agents.tools_world import LOOK, SEND, CountingHub

ANYBODY = Caller(id="key_1")
MODEL = "agent/clerk"


class Versions:
    """Agent versions in memory."""

    def __init__(self):
        self.kept = {}

    async def keep(self, definition):
        self.kept[definition.version] = definition

    async def find(self, version):
        return self.kept.get(version)


class Office:
    """A planner, and what it works on: `agents` are those in force."""

    def __init__(self, **settings):
        self.hub, self.versions = CountingHub(LOOK, SEND), Versions()
        self.agents = {"clerk": definition(**settings)}
        authorizer = Authorizer(None, wall=lambda: 0.0)
        in_force = lambda: AgentsInForce(agents=self.agents, authorizer=authorizer)  # noqa: E731 - the shortest double
        self.planner = AgentPlanner(in_force, self.hub, self.versions)

    async def plan(self, caller=ANYBODY, version="", **fields):
        return await self.planner.plan(caller, MODEL, fields, version=version)


def definition(version="v1", schema=None, instructions="Be brief.", **settings):
    settings = {"model": "talker", "tools": {"desk": ("look", "send")}, **settings}
    return AgentDefinition(
        name="clerk", version=version, settings=AgentSettings(**settings), instructions=instructions, schema=schema
    )


async def test_a_plan_is_the_definition():
    limits = AgentLimitSettings(steps=3, tool_calls=4, tokens=5, cost=0.25, seconds=6.0)
    plan = await Office(limits=limits, parallel_tool_calls=False, temperature=0.5).plan()

    assert (plan.model, plan.agent, plan.version, plan.parallel) == ("talker", "clerk", "v1", False)
    assert set(plan.granted) == {"desk__look", "desk__send", READ_RESULT.name}
    assert plan.limits == Limits(steps=3, tool_calls=4, tokens=5, nano=250_000_000, seconds=6.0, handoffs=5)
    assert plan.fields["instructions"] == "Be brief."
    assert plan.fields["temperature"] == 0.5
    assert [tool["name"] for tool in plan.fields["tools"]] == sorted(plan.granted)


async def test_when_an_agent_is_compacted_its_definition_says():
    wish = [{"type": "compaction", "compact_threshold": 9000}]

    plan = await Office(compact_at=5000).plan(context_management=wish)

    assert plan.compact_at == 5000
    assert "context_management" not in plan.fields


async def test_an_agent_has_no_tool_that_its_definition_does_not_name():
    plan = await Office(tools={"desk": ("look",)}).plan()

    assert set(plan.granted) == {"desk__look", READ_RESULT.name}


async def test_without_tools_there_is_nothing_to_read_on_in():
    plan = await Office(tools={}).plan()

    assert plan.granted == {}
    assert "tools" not in plan.fields


async def test_what_always_needs_a_person_says_so():
    plan = await Office(approval={"desk/send": "always", "desk/look": "policy"}).plan()

    assert (plan.granted["desk__send"].wish, plan.granted["desk__look"].wish) == ("always", "")


async def test_a_caller_has_only_the_tools_of_its_own_list():
    plan = await Office().plan(Caller(id="key_1", tools=("desk/look",)))

    assert set(plan.granted) == {"desk__look", READ_RESULT.name}
    assert [tool.name for tool in plan.listed[0].tools] == ["look"]


async def test_a_caller_that_may_not_use_the_agent_gets_no_plan():
    with pytest.raises(Forbidden):
        await Office().plan(Caller(id="key_1", models=("talker",)))


async def test_a_server_that_is_down_is_told_and_stops_nothing():
    office = Office()
    office.hub.down["desk"] = ToolNotReached("It is down.")
    plan = await office.plan()

    assert [(listed.server, listed.tools, listed.error) for listed in plan.listed] == [("desk", (), "It is down.")]
    assert plan.granted == {}


async def test_other_models_are_not_its_business():
    assert await Office().planner.plan(ANYBODY, "talker", {}) is None
    assert await Office().planner.plan(ANYBODY, "agent/nobody", {}) is None


async def test_what_a_client_says_comes_after_what_the_agent_is_told():
    plan = await Office().plan(instructions="Say please.")

    assert plan.fields["instructions"] == "Be brief.\n\nSay please."


async def test_how_it_thinks_is_not_the_clients_to_say():
    plan = await Office(temperature=0.1, max_output_tokens=100).plan(
        temperature=2.0,
        tool_choice="required",
        reasoning={"effort": "high"},
        max_output_tokens=500,
        metadata={"a": "b"},
    )

    assert plan.fields["temperature"] == 0.1
    assert plan.fields["max_output_tokens"] == 100
    assert plan.fields["metadata"] == {"a": "b"}
    assert not {"tool_choice", "reasoning"} & plan.fields.keys()


async def test_a_client_can_ask_for_less():
    plan = await Office(max_output_tokens=100).plan(max_output_tokens=50)

    assert plan.fields["max_output_tokens"] == 50


async def test_the_form_of_its_answers_is_the_definitions():
    office = Office(schema={"type": "object"}, output=AgentOutputSettings(file="a.json", name="reply"))
    plan = await office.plan(text={"format": {"type": "text"}, "verbosity": "low"})

    form = {"type": "json_schema", "name": "reply", "schema": {"type": "object"}, "strict": True}
    assert plan.fields["text"] == {"format": form, "verbosity": "low"}


async def test_a_client_adds_functions_of_its_own():
    mine = {"type": "function", "name": "mine", "parameters": {}}
    plan = await Office().plan(tools=[mine])

    assert plan.fields["tools"][-1] == mine


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"type": "web_search"}, "tools[0].type"),
        ("look", "tools[0].type"),
        ({"type": "function", "name": "desk__look"}, "tools[0].name"),
    ],
)
async def test_any_other_tool_of_a_client_is_refused(tool, param):
    with pytest.raises(InvalidRequest) as caught:
        await Office().plan(tools=[tool])

    assert caught.value.param == param


async def test_a_run_is_given_the_version_that_it_began_with():
    office = Office(instructions="Old words.")
    await office.plan()
    office.agents["clerk"] = definition("v2", instructions="New words.", tools={})

    old, new = await office.plan(version="v1"), await office.plan()

    assert (old.version, old.fields["instructions"]) == ("v1", "Old words.")
    assert "desk__send" in old.granted
    assert (new.version, new.fields["instructions"]) == ("v2", "New words.")


async def test_a_version_is_found_when_the_agent_is_gone():
    office = Office()
    await office.plan()
    office.agents.clear()

    assert (await office.plan(version="v1")).version == "v1"
    assert await office.plan() is None


async def test_a_version_that_nobody_has_is_a_conflict():
    with pytest.raises(Conflict, match="v0"):
        await Office().plan(version="v0")


async def test_a_version_that_was_forgotten_with_its_last_run_is_kept_again():
    office = Office()
    await office.plan()
    office.versions.kept.clear()

    await office.plan()

    assert office.versions.kept.keys() == {"v1"}


async def test_an_agent_that_may_ask_people_has_the_tool_for_it_and_says_whom():
    asking = AskHumanSettings(groups=("sre",), ttl=60.0)
    plan = await Office(tools={}, ask_human=asking).plan()
    silent = await Office(tools={}).plan()

    assert set(plan.granted) == {ASK_HUMAN.name}
    assert (plan.granted[ASK_HUMAN.name].people, plan.granted[ASK_HUMAN.name].ttl) == (("sre",), 60.0)
    assert [tool["name"] for tool in plan.fields["tools"]] == ["switchgear__ask_human"]
    assert silent.granted == {}
