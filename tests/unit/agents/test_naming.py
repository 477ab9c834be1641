"""A client may name the servers of an agent, as OpenAI's Agents SDK has to, and ask for less of them. Promised by docs/agents.md."""

import pytest

from gateway.agents.builtin_tools import READ_RESULT
from gateway.core.errors import InvalidRequest
from tests.unit.agents.test_agent_planning import Office

DESK = {"type": "mcp", "server_label": "desk"}


def wishes(plan):
    return {name: one.wish for name, one in plan.granted.items() if one is not READ_RESULT}


async def test_a_server_that_is_only_named_is_as_its_definition_says():
    """OpenAI's default, to ask for each call, is the definition's business here."""
    office = Office(approval={"desk/send": "always"})

    assert await office.plan(tools=[DESK]) == await office.plan()


@pytest.mark.parametrize("allowed", [["look"], {"tool_names": ["look"]}, {"read_only": True}])
async def test_a_client_can_ask_for_fewer_tools(allowed):
    plan = await Office().plan(tools=[{**DESK, "allowed_tools": allowed}])

    assert set(plan.granted) == {"desk__look", READ_RESULT.name}
    assert [[tool.name for tool in listed.tools] for listed in plan.listed] == [["look"]]
    assert [tool["name"] for tool in plan.fields["tools"]] == ["desk__look", READ_RESULT.name]


async def test_without_any_tool_there_is_nothing_to_read_on_in():
    plan = await Office().plan(tools=[{**DESK, "allowed_tools": []}])

    assert plan.granted == {}
    assert "tools" not in plan.fields


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("always", {"desk__look": "always", "desk__send": "always"}),
        ("never", {"desk__look": "", "desk__send": "always"}),
        ({"always": {"tool_names": ["look"]}}, {"desk__look": "always", "desk__send": "always"}),
        ({"never": {"tool_names": ["look", "send"]}}, {"desk__look": "", "desk__send": "always"}),
    ],
)
async def test_a_client_can_want_more_approvals_and_never_fewer(asked, wanted):
    plan = await Office(approval={"desk/send": "always"}).plan(tools=[{**DESK, "require_approval": asked}])

    assert wishes(plan) == wanted


async def test_beside_a_server_a_client_has_functions_of_its_own():
    mine = {"type": "function", "name": "mine", "parameters": {}}
    plan = await Office().plan(tools=[DESK, mine])

    assert [tool["name"] for tool in plan.fields["tools"]] == ["desk__look", "desk__send", READ_RESULT.name, "mine"]


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "mcp"}], "tools[0].server_label"),
        ([{**DESK, "server_label": "cellar"}], "tools[0].server_label"),
        ([DESK, DESK], "tools[1].server_label"),
        ([{**DESK, "allowed_tools": ["burn"]}], "tools[0].allowed_tools"),
        ([{**DESK, "require_approval": "sometimes"}], "tools[0].require_approval"),
        ([{**DESK, "server_url": "https://elsewhere.example"}], "tools[0].server_url"),
        ([{**DESK, "authorization": "a token"}], "tools[0].authorization"),
    ],
    ids=["no label", "not its own", "twice", "unknown tool", "odd approval", "elsewhere", "credentials"],
)
async def test_what_cannot_be_said_of_a_server_is_refused_by_its_field(tools, param):
    with pytest.raises(InvalidRequest) as caught:
        await Office().plan(tools=tools)

    assert caught.value.param == param
