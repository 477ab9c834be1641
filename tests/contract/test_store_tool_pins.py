"""Pins on every database: the first definition stays until somebody puts another in its place."""

import anyio
import pytest

from gateway.stores.tool_pins import Pin
from gateway.stores.tool_pins_sql import SqlPins


@pytest.fixture
def pins(database):
    return SqlPins(database)


def pin(tool="scale", definition="def_1", server="platform", by="first", at=1.5):
    body = {"description": "Größe \0 \U0001f44b", "z": 1, "inputSchema": {"b": 1, "a": 2.5}}
    return Pin(server=server, tool=tool, definition=definition, body=body, accepted_by=by, accepted_at=at)


async def test_pins_come_back_as_they_were_given_by_name(pins):
    given = [pin("b"), pin("B"), pin("a-c"), pin("a_c"), pin("ä"), pin("x", server="wiki")]
    await pins.add(given)

    kept = await pins.of_server("platform")
    assert kept == sorted(given[:5], key=lambda one: one.tool)
    assert list(kept[0].body) == ["description", "z", "inputSchema"]
    assert list(await pins.of_server("nobody")) == []
    await pins.add([])


async def test_a_pin_that_is_there_stays(pins):
    await pins.add([pin()])
    await pins.add([pin(definition="def_2"), pin("drop")])
    assert [(one.tool, one.definition) for one in await pins.of_server("platform")] == [
        ("drop", "def_1"),
        ("scale", "def_1"),
    ]


async def test_another_takes_the_place_of_the_one_that_was_seen(pins):
    await pins.add([pin()])
    new = pin(definition="def_2", by="ada", at=9.0)

    assert not await pins.replace(new, before="")
    assert not await pins.replace(new, before="def_0")
    assert await pins.replace(new, before="def_1")
    assert not await pins.replace(new, before="def_1")
    assert await pins.of_server("platform") == [new]


async def test_one_of_a_tool_that_has_none_is_put_where_none_is(pins):
    assert not await pins.replace(pin(), before="def_0")
    assert await pins.replace(pin(), before="")
    assert await pins.of_server("platform") == [pin()]


async def test_a_pin_is_forgotten_once(pins):
    await pins.add([pin(), pin("drop")])
    assert await pins.remove("platform", "scale")
    assert not await pins.remove("platform", "scale")
    assert not await pins.remove("wiki", "drop")
    assert [one.tool for one in await pins.of_server("platform")] == ["drop"]


async def test_of_many_who_accept_at_once_one_does(pins):
    await pins.add([pin()])
    accepted = []

    async def accept(number: int) -> None:
        if await pins.replace(pin(definition=f"def_{number}", by=f"person_{number}"), before="def_1"):
            accepted.append(f"person_{number}")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(2, 12):
                tasks.start_soon(accept, number)
    assert [one.accepted_by for one in await pins.of_server("platform")] == accepted


async def test_replicas_that_see_a_server_first_at_once_keep_the_same_definitions(pins):
    async def see(number: int) -> None:
        names = [f"tool_{each}" for each in range(10)]
        await pins.add([pin(name, definition=f"def_{number}") for name in (names if number % 2 else reversed(names))])

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(see, number)
    assert len(await pins.of_server("platform")) == 10
