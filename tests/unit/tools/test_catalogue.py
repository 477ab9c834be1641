"""Which of a server's tools may be called: those that are named, listed, and defined as somebody accepted them."""

import pytest

from gateway.config.tool_settings import GivesSettings, StdioServerSettings, ToolSettings
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.catalogue import FIRST, Catalogue, DefinitionConflict
from gateway.tools.definitions import Listed, tool_of

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
ECHO = Listed(name="echo", schema=SCHEMA, description="Gives the text back.")
OTHER = Listed(name="echo", schema=SCHEMA, description="Gives the text to me.")
SEND = Listed(name="send", schema=SCHEMA)


class PinsAway(PinsInMemory):
    """A store that can be away."""

    away = False

    async def of_server(self, server):
        if self.away:
            raise StoreUnavailable("the database is away")
        return await super().of_server(server)


def catalogue(pins, *names):
    settings = StdioServerSettings(command="x", tools={name: ToolSettings() for name in names or ("echo", "send")})
    return Catalogue("docs", settings, pins=pins, judging=Judging(), wall=lambda: 7.0)


def names(sight):
    return [tool.name for tool in sight.tools], sorted(sight.quarantined), list(sight.missing)


async def test_what_is_there_when_a_server_is_first_seen_is_accepted_as_it_is():
    pins = PinsInMemory()
    seen = catalogue(pins)

    await seen.take([SEND, ECHO, Listed(name="uninvited", schema=SCHEMA)])

    assert names(seen.sight) == (["echo", "send"], [], [])
    assert [(pin.tool, pin.definition, pin.accepted_by) for pin in await pins.of_server("docs")] == [
        ("echo", ECHO.digest, FIRST),
        ("send", SEND.digest, FIRST),
    ]


async def test_what_comes_later_or_comes_back_different_waits():
    pins = PinsInMemory()
    await catalogue(pins).take([ECHO])
    seen = catalogue(pins)  # after a restart

    await seen.take([OTHER, SEND])

    assert names(seen.sight) == ([], ["echo", "send"], [])
    assert "description" in seen.sight.quarantined["echo"]
    assert "new" in seen.sight.quarantined["send"]


async def test_accepting_takes_the_definition_that_was_looked_at_and_no_other():
    seen = catalogue(PinsInMemory())
    await seen.take([ECHO])
    await seen.take([OTHER])

    with pytest.raises(DefinitionConflict, match=OTHER.digest):
        await seen.accept("echo", ECHO.digest, by="key_1")
    with pytest.raises(NotFound):
        await seen.accept("uninvited", ECHO.digest, by="key_1")
    await seen.accept("echo", OTHER.digest, by="key_1")

    assert names(seen.sight) == (["echo"], [], ["send"])
    assert seen.sight.pins["echo"].accepted_by == "key_1"
    await seen.take([ECHO])
    assert names(seen.sight) == ([], ["echo"], ["send"]), "the definition of before is not accepted any more"


async def test_while_the_store_is_away_what_was_accepted_stays_so():
    pins = PinsAway()
    seen = catalogue(pins, "echo")
    await seen.take([ECHO])
    pins.away = True

    await seen.take([ECHO])
    assert names(seen.sight) == (["echo"], [], [])
    await seen.take([OTHER])
    assert names(seen.sight) == ([], ["echo"], [])
    with pytest.raises(StoreUnavailable):
        await catalogue(pins, "echo").take([ECHO])


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Echo"},
        {"description": "gives the text back."},
        {"schema": {**SCHEMA, "required": ["text"]}},
        {"output_schema": {"type": "object"}},
        {"annotations": {"readOnlyHint": True}},
    ],
)
def test_a_definition_is_all_that_a_server_says_in_whatever_order(other):
    plain = {"name": "echo", "schema": SCHEMA, "description": "Gives the text back."}
    turned = {"properties": {"text": {"type": "string"}}, "type": "object"}

    assert Listed(**(plain | {"schema": turned})).digest == ECHO.digest
    assert Listed(**(plain | other)).digest != ECHO.digest


def test_a_tool_is_what_the_operator_says_and_not_what_its_server_says():
    settings = ToolSettings(
        effect="idempotent", gives=GivesSettings(integrity="trusted"), timeout=3, idempotency_argument="key"
    )
    schema = {"type": "object", "properties": {"key": {}, "a": {}}, "required": ["key", "a"]}
    listed = Listed(name="pay", schema=schema, annotations={"readOnlyHint": True})

    tool = tool_of("bank", listed, settings, timeout=60)

    assert (tool.effect, tool.outward, tool.timeout) == ("idempotent", True, 3)
    assert (tool.gives.source, tool.gives.integrity) == ("bank/pay", "trusted")
    assert tool.schema == {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert tool.definition == listed.digest
