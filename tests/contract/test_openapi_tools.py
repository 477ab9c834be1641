"""An HTTP service with an OpenAPI document is a server of tools like any other: listed, pinned, checked, called."""

import asyncio
import json
from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.config.tool_settings import OpenApiServerSettings, ToolHubSettings, ToolSettings
from gateway.core.caller import ANONYMOUS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.schemas.worker import Judging
from gateway.stores.tool_pins_memory import PinsInMemory
from gateway.tools.hub import ToolAsked, ToolNotReached
from gateway.tools.server_hub import ServerHub
from tests.unit.tools.openapi.pets import PETS

pytestmark = pytest.mark.anyio


class Pets:
    """The service."""

    def __init__(self):
        self.requests = []

    async def __call__(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = (await reader.readexactly(length)).decode()
        self.requests.append((head.split(" HTTP")[0], body))
        said = json.dumps({"asked": head.split(" ")[1]}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + said)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def pets_hub(tmp_path, *names, document=PETS):
    """Give the hub with the operations of these names, the service behind it, and the document's file."""
    path = tmp_path / "pets.json"
    path.write_text(json.dumps(document))
    service, judging = Pets(), Judging()
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    hub = ServerHub(pins=PinsInMemory(), judging=judging, clock=SYSTEM_CLOCK, environment={})
    settings = OpenApiServerSettings(
        document=path,
        url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api",
        tools={name: ToolSettings() for name in names},
        refresh=0.05,
    )
    hub.configure(ToolHubSettings(servers={"pets": settings}))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.run)
            yield hub, service, path
            tasks.cancel_scope.cancel()
    server.close()
    await judging.aclose()


async def call(hub, name, **arguments):
    tool = next(tool for tool in await hub.tools("pets") if tool.name == name)
    return await hub.call(ToolAsked(tool=tool, arguments=arguments, key="k", caller=ANONYMOUS))


async def test_only_the_listed_operations_are_there_with_the_effects_of_their_methods(tmp_path):
    async with pets_hub(tmp_path, "getPet", "replacePet", "addPet", "ghost") as (hub, _, _):
        tools = await hub.tools("pets")

        assert [(tool.name, tool.effect) for tool in tools] == [
            ("addPet", "once"), ("getPet", "read"), ("replacePet", "idempotent"),
        ]  # fmt: skip
        assert hub.server("pets").missing == ("ghost",)


async def test_a_call_is_a_request_below_the_configured_address(tmp_path):
    async with pets_hub(tmp_path, "getPet", "replacePet") as (hub, service, _):
        read = await call(hub, "getPet", pet="a/b")
        await call(hub, "replacePet", pet="7", body={"name": "Rex"})

        assert read.structured == {"asked": "/api/pets/a%2Fb"}
        assert service.requests == [("GET /api/pets/a%2Fb", ""), ("PUT /api/pets/7", '{"name":"Rex"}')]


@pytest.mark.parametrize("arguments", [{}, {"pet": 7}, {"pet": "1", "extra": 1}, {"pet": ".."}])
async def test_wrong_arguments_are_told_to_the_model_and_nothing_is_sent(tmp_path, arguments):
    async with pets_hub(tmp_path, "getPet") as (hub, service, _):
        output = await call(hub, "getPet", **arguments)

        assert output.is_error
        assert service.requests == []


async def test_an_operation_that_moves_waits_to_be_accepted(tmp_path):
    async with pets_hub(tmp_path, "getPet") as (hub, service, path):
        tool = (await hub.tools("pets"))[0]
        document = json.loads(json.dumps(PETS).replace("/pets/{pet}", "/admin/pets/{pet}"))
        path.write_text(json.dumps(document))
        while not hub.server("pets").quarantined:
            await anyio.sleep(0.02)

        with pytest.raises(ToolNotReached, match="definition has changed"):
            await hub.call(ToolAsked(tool=tool, arguments={"pet": "1"}, key="k", caller=ANONYMOUS))
        assert service.requests == []


async def test_a_document_that_breaks_says_where(tmp_path):
    async with pets_hub(tmp_path, "getPet", document={"openapi": "3.1.0", "paths": []}) as (hub, _, _):
        while hub.server("pets").state == "starting":
            await anyio.sleep(0.02)

        assert "paths: must be an object" in hub.server("pets").reason
