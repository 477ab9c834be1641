"""The hub that searches knowledge bases: who gets what out of which, and what it counts as. Promised by docs/knowledge.md."""

import hashlib
from types import SimpleNamespace

import pytest

from gateway.agents.knowledge_counts import KnowledgeCounts
from gateway.agents.knowledge_hub import KnowledgeHub
from gateway.agents.knowledge_tools import knowledge_tools, standing_for
from gateway.agents.rule_of_two import rule_of_two
from gateway.config.knowledge_settings import KnowledgeFile, KnowledgeFolder, KnowledgeReaders, KnowledgeSettings
from gateway.config.tool_settings import GivesSettings
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import NotFound
from gateway.core.tools import Label, Tool
from gateway.policies.authorizer import Authorizer
from gateway.retrieval.keyword_base import KeywordBase
from gateway.retrieval.library import Library
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.hub import ToolAsked, ToolWithdrawn
from gateway.tools.server_hub import ServerHub

ANYBODY = Caller(id="key_1", team="team_a")
TRUSTED, SECRET = GivesSettings(integrity="trusted"), GivesSettings(integrity="trusted", confidentiality="sensitive")
BASES = {
    "handbook": (KnowledgeSettings(folder="handbook", gives=TRUSTED), "the disk and the phone"),
    "vault": (
        KnowledgeSettings(folder="vault", gives=SECRET, readers=KnowledgeReaders(teams=("team_a",))),
        "the code of the disk",
    ),
    "wiki": (KnowledgeSettings(folder="wiki"), "a stranger's phone"),
}


def library_of(bases):
    made = {}
    for name, (_, text) in bases.items():
        file = KnowledgeFile(name="a.txt", text=text, sha256=hashlib.sha256(text.encode()).hexdigest())
        folder = KnowledgeFolder(folder=name, files={"a.txt": file}, size=len(text), digest=name.encode())
        made[name] = KeywordBase(name, folder, passage_bytes=500, now=0.0)
    return Library(settings={name: settings for name, (settings, _) in bases.items()}, bases=made)


class World:
    """A hub over these bases; `library` can be another at any time."""

    def __init__(self, bases=BASES):
        self.library = library_of(bases)
        self.authorizer = Authorizer(None, wall=lambda: 0.0)
        pins, judging = PinsInMemory(), Judging()
        tools = ServerHub(pins=pins, judging=judging, clock=SYSTEM_CLOCK, environment={})
        current = lambda: SimpleNamespace(knowledge=self.library, authorizer=self.authorizer)  # noqa: E731 - the shortest double
        self.counts = KnowledgeCounts(lambda: self.library)
        self.hub = KnowledgeHub(tools, current, self.counts, SYSTEM_CLOCK)

    async def call(self, name="search_knowledge", within=None, caller=ANYBODY, **arguments):
        tools = {tool.name: tool for tool in knowledge_tools(self.library.settings, within)}
        return await self.hub.call(ToolAsked(tool=tools[name], arguments=arguments, key="k", caller=caller))


def passages(output):
    return [passage["base"] for passage in output.structured["passages"]]


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        ({"query": "phone", "bases": ["wiki"]}, Label(source="knowledge/wiki", integrity="untrusted")),
        ({"query": "phone", "bases": ["handbook"]}, Label(source="knowledge/handbook")),
        # What strangers wrote was searched, and is not in the result.
        ({"query": "disk", "bases": ["handbook", "wiki"]}, Label(source="knowledge/handbook")),
        ({"query": "phone", "bases": ["handbook", "wiki"]}, Label(source="knowledge/search_knowledge", integrity="untrusted")),
        ({"query": "disk", "bases": ["vault"]}, Label(source="knowledge/vault", confidentiality="sensitive")),
        # That a secret base says nothing of it is a secret, too.
        ({"query": "phone", "bases": ["vault", "handbook"]}, Label(source="knowledge/handbook", confidentiality="sensitive")),
        ({"query": "zebra", "bases": ["vault"]}, Label(source="knowledge/vault", confidentiality="sensitive")),
    ],
)  # fmt: skip
async def test_a_result_counts_as_what_is_in_it_and_as_secret_as_what_was_searched(arguments, label):
    assert (await World().call(**arguments)).gives == label


async def test_reading_counts_as_the_base_also_where_there_is_no_such_document():
    world = World()

    assert (await world.call("read_knowledge", base="wiki", file="a.txt")).gives.integrity == "untrusted"
    absent = await world.call("read_knowledge", base="vault", file="b.txt")
    assert (absent.is_error, absent.gives.confidentiality) == (True, "sensitive")


async def test_a_bound_tool_reaches_its_bases_alone_and_no_more_passages_than_it_says():
    world = World()

    assert passages(await world.call(within={"wiki": 1}, query="phone disk")) == ["wiki"]
    assert (await world.call(within={"wiki": 1}, query="phone", bases=["handbook"])).is_error
    assert (await world.call("read_knowledge", within={"wiki": 1}, base="handbook", file="a.txt")).is_error


async def test_rights_are_those_of_the_moment_of_the_call():
    world, other = World(), Caller(id="key_2", team="team_b")

    assert "vault" in passages(await world.call(query="disk"))
    assert "vault" not in passages(await world.call(query="disk", caller=other))
    refused = await world.call(query="disk", bases=["vault"], caller=other)
    assert (refused.is_error, "code" in refused.text) == (True, False)


async def test_who_may_read_nothing_is_told_that_nothing_was_done():
    with pytest.raises(ToolWithdrawn):
        await World().call(query="disk", within={"vault": 5}, caller=Caller(id="key_2"))


async def test_without_bases_there_is_no_server_for_them():
    world = World({})

    assert world.hub.server("knowledge") is None
    assert list(world.hub.servers()) == []
    with pytest.raises(NotFound):
        await world.hub.tools("knowledge")


async def test_the_servers_tools_name_no_base_to_who_asks_for_all():
    world = World()
    (search, read) = await world.hub.tools("knowledge")

    assert world.hub.servers()[0].name == "knowledge"
    assert all(
        name not in str((search.schema, read.schema, search.description)) for name in ("handbook", "vault", "wiki")
    )
    # Until a result says better, it may be anything.
    assert (search.gives.integrity, search.gives.confidentiality) == ("untrusted", "sensitive")


async def test_a_search_sees_the_bases_that_are_in_force_when_it_is_made():
    world = World()
    tool, _ = knowledge_tools(world.library.settings, {"handbook": 5})
    world.library = library_of({"handbook": (BASES["handbook"][0], "a zebra")})

    output = await world.hub.call(ToolAsked(tool=tool, arguments={"query": "zebra"}, key="k", caller=ANYBODY))

    assert passages(output) == ["handbook"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": ""},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": "5"},
        {"query": "x", "bases": [1]},
        {"query": "x", "y": 1},
    ],
)
async def test_arguments_that_nobody_checked_before_are_checked(arguments):
    output = await World().call(**arguments)

    assert output.is_error
    assert "The arguments are not what the tool takes" in output.text


async def test_calls_are_counted_by_how_they_ended():
    world = World()
    await world.call(query="disk")
    await world.call(query="zebra")
    await world.call(query="disk", bases=["none"])
    with pytest.raises(ToolWithdrawn):
        await world.call(query="disk", within={"vault": 5}, caller=Caller(id="key_2"))

    text = "\n".join(line for metric in world.counts.metrics for line in metric.render())
    for outcome in ("found", "nothing", "invalid", "error"):
        assert f'switchgear_knowledge_calls_total{{tool="search_knowledge",outcome="{outcome}"}} 1' in text


def test_another_description_of_a_base_is_another_tool_and_the_same_is_the_same():
    settings = {name: written for name, (written, _) in BASES.items()}
    one, same = knowledge_tools(settings, {"wiki": 5}), knowledge_tools(settings, {"wiki": 5})
    other = knowledge_tools({**settings, "wiki": KnowledgeSettings(folder="wiki", description="New.")}, {"wiki": 5})

    assert [tool.definition for tool in one] == [tool.definition for tool in same]
    assert one[0].definition != other[0].definition


def test_bases_count_for_the_rule_of_two_as_what_they_hold():
    settings = {name: written for name, (written, _) in BASES.items()}
    send = Tool(server="desk", name="send", schema={}, definition="", gives=Label(source="desk/send"))

    refused = rule_of_two([*standing_for(["wiki", "vault"], settings), send], lambda tool: True)
    allowed = rule_of_two([*standing_for(["handbook", "vault"], settings), send], lambda tool: True)

    assert "knowledge/wiki" in refused
    assert "knowledge/vault" in refused
    assert allowed == ""
