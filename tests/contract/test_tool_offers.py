"""What servers of tools offer besides tools: by stdio and by HTTP, in the newest revision of MCP and with its handshake.

The servers are real ones, written with the official package (facts of the protocol: the specifications 2025-11-25 and 2026-07-28).
"""

import anyio
import pytest

from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.tools.hub import ToolNotReached
from gateway.tools.offers import OfferRefused
from tests.tool_world import OFFERING, allowed, call, free_port, http, hub_over, noted, ready, stdio, until, web

LINKS = ("stdio-auto", "stdio-legacy", "http-auto", "http-legacy")
ADA = Caller(id="ada")
NAMED = {
    "resources": ("memo://two", "memo://one", "memo://picture", "memo://hang", "memo://broken", "memo://huge", "memo://unlisted"),
    "resource_templates": ("note", "file"),
    "prompts": ("greet", "later"),
}  # fmt: skip


OUTSIDE = (
    "memo://zeta", "memo://hidden/7", "memo://notes/7/more", "memo://files/../secret", "memo://files/a/%2e%2e/%2E%2E/secret",
    "memo://files/%252e%252e/secret", "memo://notes/..%2Fsecret", "memo://notes/..%5Csecret", "memo://files/a%00b", "file:///etc/passwd", "",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The double behind HTTP; its folder and its port."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    with web(folder, port, program=OFFERING):
        yield folder, port


@pytest.fixture(params=LINKS)
def link(request, tmp_path, site):
    """Makes the settings of one server, and says where it takes notes."""
    kind, _, protocol = request.param.partition("-")
    folder, port = (tmp_path, 0) if kind == "stdio" else site
    for notes in folder.iterdir():
        notes.unlink()

    def server(**fields):
        own = {"protocol": protocol, "tools": allowed("advance", "change", "link")} | NAMED | fields
        return stdio(folder, program=OFFERING, **own) if kind == "stdio" else http(port, **own)

    server.folder = folder
    return server


async def test_what_the_operator_has_named_is_known_over_all_pages_and_nothing_else(link):
    async with hub_over({"docs": link()}) as hub:
        await ready(hub, "docs")
        offers = (await hub.offers.known())["docs"]

        assert list(offers.resources) == ["memo://broken", "memo://hang", "memo://huge", "memo://one", "memo://picture", "memo://two"]  # fmt: skip
        assert offers.resources["memo://one"].said == {"uri": "memo://one", "name": "one", "mimeType": "text/plain"}
        assert list(offers.templates) == ["file", "note"]
        assert list(offers.prompts) == ["greet"]
        assert offers.prompts["greet"].said["arguments"] == [{"name": "name", "required": True}]


async def test_a_server_of_which_nothing_is_named_is_asked_for_nothing(link):
    async with hub_over({"docs": link(resources=(), resource_templates=(), prompts=())}) as hub:
        await ready(hub, "docs")
        offers = (await hub.offers.known())["docs"]

        assert (dict(offers.resources), dict(offers.templates), dict(offers.prompts)) == ({}, {}, {})
        with pytest.raises(NotFound):
            await hub.offers.read("docs", "memo://one", ADA)
        with pytest.raises(NotFound):
            await hub.offers.prompt("docs", "greet", ADA, more={})
        with pytest.raises(NotFound):
            await hub.offers.complete("docs", {"type": "ref/prompt", "name": "greet"}, ADA, more={})
        assert noted(link.folder, "asked.jsonl") == []


async def test_what_is_named_can_be_read_listed_or_not_and_through_a_template(link):
    async with hub_over({"docs": link()}) as hub:
        for uri in ("memo://one", "memo://unlisted", "memo://notes/7", "memo://files/a/b.txt"):
            result = await hub.offers.read("docs", uri, ADA)

            assert result["contents"] == [{"uri": uri, "text": f"this is {uri}"}]
        picture = await hub.offers.read("docs", "memo://picture", ADA)

        assert picture["contents"][0]["blob"] == "AAAA"
        assert hub.counts.asked.values() == {("docs", "resources/read", "ok"): 5}


async def test_what_is_not_named_reaches_no_server(link):
    """A template's resources are those below it: what climbs out is refused here, however it is written."""
    async with hub_over({"docs": link()}) as hub:
        await ready(hub, "docs")
        for uri in OUTSIDE:
            with pytest.raises(NotFound):
                await hub.offers.read("docs", uri, ADA)
        with pytest.raises(NotFound):
            await hub.offers.read("others", "memo://one", ADA)

        assert noted(link.folder, "asked.jsonl") == []


async def test_a_prompt_is_given_and_what_it_lacks_is_said(link):
    async with hub_over({"docs": link()}) as hub:
        result = await hub.offers.prompt("docs", "greet", ADA, more={"arguments": {"name": "Bob"}})

        assert result["messages"][0]["content"]["text"] == "Greet Bob."
        with pytest.raises(OfferRefused, match="'name' is missing") as refused:
            await hub.offers.prompt("docs", "greet", ADA, more={"arguments": {}})
        assert refused.value.rpc == -32602
        with pytest.raises(NotFound):
            await hub.offers.prompt("docs", "hidden", ADA, more={"arguments": {"name": "Bob"}})


async def test_arguments_of_prompts_and_templates_are_completed(link):
    async with hub_over({"docs": link()}) as hub:
        more = {"argument": {"name": "name", "value": "par"}}
        for ref in ({"type": "ref/prompt", "name": "greet"}, {"type": "ref/resource", "uri": "memo://notes/{id}"}):
            result = await hub.offers.complete("docs", ref, ADA, more=more)

            assert result["completion"]["values"] == ["paris", "park", "party"]
        with pytest.raises(NotFound):
            await hub.offers.complete("docs", {"type": "ref/resource", "uri": "memo://hidden/{id}"}, ADA, more=more)


async def test_a_server_that_tells_of_a_change_is_listed_again_at_once(link):
    """`refresh` is five minutes: only the notification can be the reason."""
    async with hub_over({"docs": link()}) as hub:
        heard = []
        await ready(hub, "docs")
        await hub.offers.known()
        hub.changes.subscribe(heard.append)
        await call(hub, "docs", "change", {"word": "later"})

        await until(lambda: "later" in hub.offers.of("docs").prompts, seconds=20)
        assert heard == ["prompts"]


async def test_a_read_that_takes_too_long_ends_and_the_server_is_told(link):
    async with hub_over({"docs": link(timeout=1.0)}) as hub:
        await ready(hub, "docs")
        with pytest.raises(ToolNotReached, match="within its time"):
            await hub.offers.read("docs", "memo://hang", ADA)

        await until(lambda: noted(link.folder, "cancelled.jsonl"), seconds=5)
        assert hub.counts.asked.values() == {("docs", "resources/read", "not_reached"): 1}


async def test_a_cancelled_read_reaches_the_server_within_a_second(link):
    async with hub_over({"docs": link()}) as hub, anyio.create_task_group() as tasks:
        await ready(hub, "docs")
        tasks.start_soon(hub.offers.read, "docs", "memo://hang", ADA)
        await until(lambda: noted(link.folder, "asked.jsonl"), seconds=20)
        tasks.cancel_scope.cancel()

        with anyio.CancelScope(shield=True):
            await until(lambda: noted(link.folder, "cancelled.jsonl"), seconds=1)


async def test_more_than_the_limit_is_not_read_and_what_a_server_raises_is_no_crash(link):
    async with hub_over({"docs": link(result_bytes=100_000)}) as hub:
        with pytest.raises(OfferRefused, match="too large"):
            await hub.offers.read("docs", "memo://huge", ADA)
        with pytest.raises(OfferRefused):
            await hub.offers.read("docs", "memo://broken", ADA)

        assert (await hub.offers.read("docs", "memo://one", ADA))["contents"]


async def test_how_far_a_call_is_reaches_who_asked_for_it(link):
    heard = []

    async def advancing(progress, total, message):
        heard.append((progress, total, message))

    async with hub_over({"docs": link()}) as hub:
        await call(hub, "docs", "advance", progress=advancing)

    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


async def test_who_listens_and_fails_does_not_harm_the_call(link):
    async def gone(progress, total, message):
        raise anyio.BrokenResourceError

    async with hub_over({"docs": link()}) as hub:
        assert (await call(hub, "docs", "advance", progress=gone)).text == "advance"


async def test_a_server_that_is_down_hides_no_other_and_holds_up_nobody(tmp_path):
    down = stdio(tmp_path, program="/no/such/program", **NAMED)
    async with hub_over(
        {"docs": stdio(tmp_path, program=OFFERING, **NAMED, tools=allowed("link")), "down": down}
    ) as hub:
        await ready(hub, "docs")
        await until(lambda: hub.server("down").state != "starting")
        with anyio.fail_after(3):
            known = await hub.offers.known()

        assert list(known["docs"].prompts) == ["greet"]
        assert not known["down"].prompts
