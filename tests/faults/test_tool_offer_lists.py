"""Servers whose lists of resources and prompts break the rules: it costs those lists, or the odd entries, and never the tools."""

from pathlib import Path

import anyio
import pytest

from gateway.core.caller import ANONYMOUS
from gateway.tools.offers import OfferRefused
from tests.tool_world import allowed, call, hub_over, ready, stdio, until

RAW_OFFERS = str(Path(__file__).parents[1] / "mcp_raw_offers_double.py")
NAMED = {
    "resources": ("memo://one", "memo://two", "memo://absent"),
    "resource_templates": ("page", "bad"),
    "prompts": ("greet",),
}


def raw(folder, mode, **fields):
    return stdio(folder, program=RAW_OFFERS, mode=mode, tools=allowed("echo"), protocol="legacy", **(NAMED | fields))


@pytest.mark.parametrize(
    ("mode", "resources", "prompts"),
    [
        ("odd", ["memo://one"], ["greet"]),
        ("none", [], ["greet"]),
        ("endless", [], ["greet"]),
        ("circle", ["memo://one"], ["greet"]),
        ("wordy", ["memo://one"], ["greet"]),
        ("deep", ["memo://one"], []),
        ("silent", [], ["greet"]),
    ],
)
async def test_a_list_that_breaks_the_rules_costs_no_more_than_itself(tmp_path, mode, resources, prompts):
    # The silent one is given up after the time that a server has to start; the others take a moment of it.
    async with hub_over({"raw": raw(tmp_path, mode, start_timeout=3.0 if mode == "silent" else 30.0)}) as hub:
        await ready(hub, "raw")
        said = await call(hub, "raw", "echo")
        await until(lambda: list(hub.offers.of("raw").prompts) == prompts and hub.offers.of("raw").templates)
        offers = (await hub.offers.known())["raw"]

        assert said.text == "raw"
        assert list(offers.resources) == resources
        assert list(offers.templates) == ["page"], "a template that nobody can match is none"
        assert list(offers.prompts) == prompts
        if resources and mode == "odd":
            assert offers.resources["memo://one"].said["name"] == "one", "of two with one URI the first counts"


async def test_what_was_known_stays_when_a_server_stumbles(tmp_path):
    async with hub_over({"raw": raw(tmp_path, "forgetful", refresh=0.2)}) as hub:
        await ready(hub, "raw")
        await hub.offers.known()
        (tmp_path / "forget").write_text("")
        looked = []
        hub.changes.subscribe(looked.append)
        with anyio.move_on_after(1):
            await anyio.sleep_forever()

        assert list(hub.offers.of("raw").prompts) == ["greet"]
        assert looked == []


async def test_an_answer_that_is_none_is_an_error_of_that_read_alone(tmp_path):
    async with hub_over({"raw": raw(tmp_path, "odd")}) as hub:
        with pytest.raises(OfferRefused, match="cannot be read"):
            await hub.offers.read("raw", "memo://one", ANONYMOUS)

        assert (await call(hub, "raw", "echo")).text == "raw"
