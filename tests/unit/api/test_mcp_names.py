"""Names of tools as MCP clients know them: one for each tool and none for two, whatever servers call theirs."""

import itertools
import re

import pytest

from gateway.api.mcp.names import agent_name, table_of, tool_name
from gateway.config.mcp_settings import McpEndpointSettings
from gateway.core.tools import MOST_OF_A_NAME

FIT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
SERVERS = ("a", "a-b", "agent", "approval", "x" * 32)
PREFIXES = ("", "a", "a_", "_a", "a__b", "agent", "x" * 32)
TOOLS = (
    "b",
    "_b",
    "b__c",
    "b.c",
    "b_c",
    "__",
    ".",
    "a__b",
    "agent_a",
    "approval_status",
    "agent_status",
    "y" * 128,
    "y" * 127 + ".",
)


def test_a_plain_name_is_prefix_and_tool():
    assert tool_name("github", "github", "create_issue") == "github__create_issue"
    assert tool_name("", "github", "create_issue") == "create_issue"
    assert agent_name("triage") == "agent_triage"


def test_every_name_fits_a_model():
    names = [tool_name(prefix, server, tool) for prefix in PREFIXES for server in SERVERS for tool in TOOLS]

    assert [name for name in names if not FIT.match(name)] == []


@pytest.mark.parametrize("prefixes", list(itertools.permutations(PREFIXES, 2)))
def test_no_two_tools_of_two_servers_have_one_name(prefixes):
    settings = McpEndpointSettings(
        servers={"one": TOOLS, "two": TOOLS},
        prefixes=dict(zip(("one", "two"), prefixes, strict=True)),
        agents=("a", "b--c", "z" * 40),
    )

    table = table_of(settings)

    assert len(table) == 2 * len(TOOLS) + 3 + 2
    assert list(table) == sorted(table)
    assert all(named.name == name for name, named in table.items())


def test_a_name_depends_on_no_other_tool_and_on_no_order():
    alone = table_of(McpEndpointSettings(servers={"one": ("b.c",)}))
    among = table_of(McpEndpointSettings(servers={"two": ("b_c",), "one": ("z", "b.c", "b_c")}))
    turned = table_of(McpEndpointSettings(servers={"one": ("b_c", "b.c", "z"), "two": ("b_c",)}))

    assert set(alone) <= set(among)
    assert among == turned


def test_a_long_name_is_cut_and_marked():
    name = tool_name("github", "github", "y" * 128)

    assert len(name) == MOST_OF_A_NAME
    assert re.fullmatch(r"github__y+__[0-9a-f]{12}", name)


def test_nothing_is_offered_where_nothing_is_written():
    assert table_of(McpEndpointSettings()) == {}
