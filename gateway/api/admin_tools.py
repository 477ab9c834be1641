"""/admin/tools: the servers of tools, how they are, what they offer, and what of it waits to be accepted. It calls no tool."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import Body, Text
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.caller import DEFAULT_TENANT
from gateway.core.errors import Forbidden
from gateway.core.tools import Tool, model_name
from gateway.tools.catalogue import Sight
from gateway.tools.hub import ServerInfo
from gateway.tools.server_hub import ServerHub

LIST_PATH: Final = "/admin/tools"
ONE_PATH: Final = "/admin/tools/{server}"
RESTART_PATH: Final = "/admin/tools/{server}/restart"
ACCEPT_PATH: Final = "/admin/tools/{tool:path}/accept"


class Acceptance(Body, frozen=True, kw_only=True):
    """The definition that is accepted: the hash that /admin/tools/{server} shows for it."""

    definition: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])", description="Its sha256, in hexadecimal.")]
    why: Annotated[Text, Meta(description="A sentence for the audit log.")] = ""


def endpoints(edge: Edge, services: Services, hub: ServerHub) -> dict[str, AsgiApp]:
    """Give the endpoints."""

    async def show_all(asked: Asked) -> Document:
        require_home(asked)
        return json_document({"object": "list", "data": [_server(info, hub) for info in hub.servers()]})

    async def show_one(asked: Asked) -> Document:
        require_home(asked)
        info = _found(hub, asked.id)
        return json_document({**_server(info, hub), "tools": _tools(info, hub)})

    async def restart(asked: Asked) -> Document:
        require_home(asked)
        info = _found(hub, asked.id)
        if services.audit is None:
            hub.restart(info.name)
        else:
            async with services.audited(asked, "tool_server.restarted", ("tool_server", info.name, "")):
                hub.restart(info.name)
        return json_document(_server(_found(hub, info.name), hub))

    async def accept(asked: Asked) -> Document:
        require_home(asked)
        body = asked.body(Acceptance)
        server, _, tool = asked.id.partition("/")
        info = _found(hub, server)
        if tool not in hub.sight(server).listed:
            raise absent("tool")
        if services.audit is None:
            await hub.accept(server, tool, body.definition, by=asked.caller.id)
        else:
            said = {"definition": body.definition, "why": body.why}
            async with services.audited(asked, "tool.accepted", ("tool", asked.id, ""), said):
                await hub.accept(server, tool, body.definition, by=asked.caller.id)
        return json_document(next(one for one in _tools(info, hub) if one["name"] == tool))

    shown, done = "server of tools", "tool"
    return {
        LIST_PATH: admin_endpoint(edge, shown, {"GET": Deed(right="read", perform=show_all)}),
        ONE_PATH: admin_endpoint(edge, shown, {"GET": Deed(right="read", perform=show_one)}),
        RESTART_PATH: admin_endpoint(edge, shown, {"POST": Deed(right="write", perform=restart)}),
        ACCEPT_PATH: admin_endpoint(edge, done, {"POST": Deed(right="write", perform=accept)}),
    }


def require_home(asked: Asked) -> None:
    """Raise Forbidden for who looks after another tenant."""
    if asked.caller.kind not in ("anonymous", "static") and asked.caller.tenant != DEFAULT_TENANT:
        msg = "Servers of tools are of all tenants: those who administer the default one may look after them."
        raise Forbidden(msg)


def _found(hub: ServerHub, name: str) -> ServerInfo:
    info = hub.server(name)
    if info is None:
        raise absent("server of tools")
    return info


def _server(info: ServerInfo, hub: ServerHub) -> dict[str, Any]:
    return {
        "object": "tool_server",
        "id": info.name,
        "kind": info.kind,
        "state": info.state,
        "reason": info.reason,
        "restarts": info.restarts,
        "listed_at": info.listed_at,
        "tools": [tool.name for tool in info.tools],
        "quarantined": info.quarantined,
        "missing": list(info.missing),
        "misfits": {tool.name: said for tool in info.tools if (said := _misfits(tool, hub))},
    }


def _tools(info: ServerInfo, hub: ServerHub) -> list[dict[str, Any]]:
    sight = hub.sight(info.name)
    callable_now = {tool.name: tool for tool in sight.tools}
    names = sorted({*sight.listed, *sight.missing})
    shown = [_tool(info.name, name, sight, callable_now.get(name)) for name in names]
    return [{**one, "misfits": _misfits(callable_now.get(one["name"]), hub)} for one in shown]


def _misfits(tool: Tool | None, hub: ServerHub) -> list[str]:
    """Say which policies do not fit a tool that may be called."""
    return [] if tool is None else [str(fault) for fault in hub.fitting.of(tool)]


def _tool(server: str, name: str, sight: Sight, tool: Tool | None) -> dict[str, Any]:
    listed, pin = sight.listed.get(name), sight.pins.get(name)
    shown: dict[str, Any] = {
        "object": "tool",
        "id": f"{server}/{name}",
        "name": name,
        "model_name": model_name(server, name),
        "state": "ready" if tool is not None else ("missing" if listed is None else "quarantined"),
        "why": sight.quarantined.get(name, ""),
        "definition": None if listed is None else listed.digest,
        "says": None if listed is None else listed.body,
        "accepted": None,
    }
    if pin is not None:
        shown["accepted"] = {"definition": pin.definition, "by": pin.accepted_by, "at": pin.accepted_at}
        if listed is not None and pin.definition != listed.digest:
            shown["accepted"]["says"] = pin.body
    if tool is not None:
        shown |= {"effect": tool.effect, "outward": tool.outward, "timeout_s": tool.timeout}
        shown["gives"] = {"integrity": tool.gives.integrity, "confidentiality": tool.gives.confidentiality}
    return shown
