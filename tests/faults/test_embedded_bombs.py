"""Schemas made to hold up the embedded model get a clear error at once; who asks beside them is answered, and memory stays bounded."""

import json
import time
from pathlib import Path

import anyio
import httpx2
import pytest

from gateway.providers.embedded.launch import chat_command, chat_model
from gateway.providers.supervisor import ChildSupervisor

pytestmark = pytest.mark.embedded

INTEGER = {"type": "integer"}
PLAIN = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
SECONDS = 5
GROWN = 512 * 1024
"""KiB."""


def counted(number, items=INTEGER):
    return {"type": "array", "items": items, "minItems": number}


BOMBS = {
    "elements": counted(10**8),
    "elements by reference": {"$defs": {"a": INTEGER}, **counted(2 * 10**7, {"$ref": "#/$defs/a"})},
    "elements of elements": counted(1000, counted(1000)),
    "elements in a branch": {"anyOf": [{"type": "null"}, counted(10**8)]},
    "letters": {"type": "string", "minLength": 10**9},
    "members": {"type": "object", "additionalProperties": INTEGER, "minProperties": 10**8},
    "repetitions": {"type": "string", "pattern": "^(a{1000}){1000}$"},
    "divisors": {"type": "object", "properties": {f"p{n}": {"type": "integer", "multipleOf": 99_991 - 2 * n} for n in range(10)}},
    "optional members": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(900)}},
    "a branch of branches": {"allOf": [{"anyOf": [{"properties": {f"a{i}_{j}": INTEGER}} for j in range(8)]} for i in range(6)]},
}  # fmt: skip
HARMLESS = {
    "most elements": {"type": "array", "items": INTEGER, "maxItems": 10**9},
    "most elements of elements": {**counted(1, {**counted(1), "maxItems": 10**8}), "maxItems": 10**8},
    "most letters": {"type": "string", "maxLength": 10**12},
    "most members": {"type": "object", "additionalProperties": INTEGER, "minProperties": 1, "maxProperties": 10**8},
    "many values": {"enum": [f"v{n:06}" for n in range(9_999)]},
}


class World:
    def __init__(self, child, http):
        self.child, self.http = child, http

    async def ask(self, schema=None):
        """Give the status, what is wrong, and the seconds that it took."""
        form = {} if schema is None else {"structured_outputs": {"json": schema}}
        begun = time.perf_counter()
        answer = await self.http.post(f"{self.child.address}/v1/chat/completions", json={**PLAIN, **form})
        return answer.status_code, json.loads(answer.text).get("error"), time.perf_counter() - begun

    def memory(self):
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
async def world():
    command = chat_command(chat_model(None, cores=2, slots=2, context=2048))
    child = ChildSupervisor("chat", command)
    headers = {"Authorization": f"Bearer {command.first_line}"}
    async with anyio.create_task_group() as tasks, httpx2.AsyncClient(headers=headers, timeout=60) as http:
        tasks.start_soon(child.run)
        await child.ensure_ready()
        world = World(child, http)
        # The compiling child starts with the first that needs it.
        await world.ask({"type": "string", "pattern": "^a$"})
        yield world
        tasks.cancel_scope.cancel()


async def beside(world, schema):
    """Ask for `schema`, and for plain text all the while; give what came of it, and the longest that plain text took."""
    longest = 0.0
    over = anyio.Event()
    answer = ()

    async def plain():
        nonlocal longest
        while not over.is_set():
            status, _, seconds = await world.ask()
            assert status == 200
            longest = max(longest, seconds)

    async def hostile():
        nonlocal answer
        answer = await world.ask(schema)
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(plain)
        tasks.start_soon(hostile)
    return answer, longest


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_a_clear_error_and_holds_up_nobody(world, name):
    before, restarts = world.memory(), world.child.restarts
    (status, error, seconds), longest = await beside(world, BOMBS[name])

    assert (status, error["code"]) == (400, "unsupported_schema")
    assert seconds < SECONDS
    assert longest < SECONDS
    assert world.memory() < before + GROWN
    assert world.child.restarts == restarts


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_only_permits_much_is_answered(world, name):
    before = world.memory()
    (status, error, _), longest = await beside(world, HARMLESS[name])

    assert (status, error) == (200, None)
    assert longest < SECONDS
    assert world.memory() < before + GROWN
