"""The plans of requests that list tools of this server (`{"type": "mcp", "server_label": …}`). It asks the hub, and calls nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import msgspec

from gateway.agents.builtin_tools import READ_RESULT
from gateway.agents.plan import ApprovalWish, Granted, Listed, Plan, Planner
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.core.tools import SERVER, Tool, model_name
from gateway.dialects.openai_responses.reader import Reader
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import tool as tool_resource
from gateway.stores.runs import Limits
from gateway.tools.hub import Hub, ServerInfo, ToolNotReached

_ELSEWHERE: Final = ("server_url", "connector_id", "tunnel_id")
"""Fields that say where a server is: one that is not configured here may be an upstream's business."""
_CREDENTIALS: Final = ("headers", "authorization")
_NEAR: Final = 3

Fields = dict[str, Json]


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools of a server are meant; None is no condition."""

    names: frozenset[str] | None = None
    read_only: bool | None = None

    def takes(self, tool: Tool) -> bool:
        """Whether a tool is meant."""
        if self.names is not None and tool.name not in self.names:
            return False
        return self.read_only is None or (tool.effect == "read") == self.read_only


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `tools` that names a server of ours, and its path."""

    path: str
    server: str
    allowed: Pick
    always: Pick | None
    never: Pick | None
    otherwise: ApprovalWish

    def wish(self, tool: Tool) -> ApprovalWish:
        """Give what the client asks for a tool: where it says both, people are asked."""
        if self.always is not None and self.always.takes(tool):
            return "always"
        if self.never is not None and self.never.takes(tool):
            return "never"
        return self.otherwise


class RequestPlanner:
    """A Planner. `authorizer` gives that of the present generation."""

    def __init__(self, hub: Hub, authorizer: Callable[[], Authorizer]) -> None:
        self._hub = hub
        self._authorizer = authorizer

    def is_ours(self, entry: Json) -> bool:
        """Whether an entry of `tools` names a server of this configuration."""
        if not isinstance(entry, dict) or entry.get("type") != "mcp":
            return False
        label = entry.get("server_label")
        return isinstance(label, str) and self._hub.server(label) is not None

    async def plan(
        self, caller: Caller, model: str, fields: Fields, *, version: str = "", agent: str = ""
    ) -> Plan | None:
        """Give the plan of a request; None for one without tools of this server. Raises InvalidRequest with the path of the fault."""
        del version, agent  # a request has none
        listed = fields.get("tools")
        if not isinstance(listed, list):
            return None
        requests = self._requests(caller, listed)
        if not requests:
            return None
        own = [entry for entry in listed if not self.is_ours(entry)]
        found = [await self._list(request, caller) for request in requests]
        granted: dict[str, Granted] = {}
        for request, listing in zip(requests, found, strict=True):
            for tool in listing.tools:
                name = model_name(tool.server, tool.name)
                granted[name] = Granted(name=name, tool=tool, wish=self._wish(request, tool, caller))
        if granted:
            granted[READ_RESULT.name] = READ_RESULT
        _refuse_collisions(listed, granted)
        return Plan(
            model=model,
            fields=_fields(fields, own, granted),
            granted=granted,
            listed=tuple(found),
            limits=Limits(tool_calls=fields.get("max_tool_calls")),
            parallel=fields.get("parallel_tool_calls") is not False,
        )

    def _requests(self, caller: Caller, listed: Sequence[Json]) -> Sequence[Request]:
        requests: dict[str, Request] = {}
        for number, entry in enumerate(listed):
            if not isinstance(entry, dict) or entry.get("type") != "mcp":
                continue
            path = f"tools[{number}]"
            info = self._server(caller, entry, path)
            if info is None:
                continue
            if info.name in requests:
                refuse(f"{path}.server_label", f"names the server {info.name!r} for the second time.")
            requests[info.name] = read_request(Reader(entry, path), info.name, path)
        return tuple(requests.values())

    def _server(self, caller: Caller, entry: Fields, path: str) -> ServerInfo | None:
        """Give the server that an entry names; None where it is for an upstream to run."""
        label = Reader(entry, path).needed_string("server_label")
        info = None if label == SERVER else self._hub.server(label)
        if info is None:
            if any(entry.get(name) is not None for name in _ELSEWHERE):
                return None
            refuse(
                f"{path}.server_label", f"names no server of tools here: {label[:100]!r}.{self._near(label, caller)}"
            )
        check_place(entry, info, path)
        return info

    def _near(self, label: str, caller: Caller) -> str:
        # A hint must not name what the caller may not use.
        names = [info.name for info in self._hub.servers() if any(self._may_use(caller, tool) for tool in info.tools)]
        near = difflib.get_close_matches(label, names, _NEAR, 0.6)
        return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""

    async def _list(self, request: Request, caller: Caller) -> Listed:
        try:
            known = await self._hub.tools(request.server)
        except ToolNotReached as error:
            return Listed(server=request.server, error=error.message)
        usable = [tool for tool in known if self._may_use(caller, tool)]
        self._refuse_unknown(request, usable)
        return Listed(server=request.server, tools=tuple(tool for tool in usable if request.allowed.takes(tool)))

    def _refuse_unknown(self, request: Request, usable: Sequence[Tool]) -> None:
        info = self._hub.server(request.server)
        names = {tool.name for tool in usable}
        absent = set(info.quarantined) | set(info.missing) if info is not None else set()
        for name in sorted((request.allowed.names or frozenset()) - names - absent):
            near = difflib.get_close_matches(name, sorted(names), _NEAR, 0.6)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            refuse(f"{request.path}.allowed_tools", f"names no tool of {request.server!r}: {name[:128]!r}.{hint}")

    def _may_use(self, caller: Caller, tool: Tool) -> bool:
        decided = self._authorizer().decide(caller, "use_tool", tool_resource(tool.server, tool.name))
        return decided.effect != "deny"

    def _wish(self, request: Request, tool: Tool, caller: Caller) -> ApprovalWish:
        decided = self._authorizer().decide(caller, "use_tool", tool_resource(tool.server, tool.name))
        return "always" if decided.effect == "ask" else request.wish(tool)


class Planners:
    """Several planners: the first that knows a request makes its plan."""

    def __init__(self, *planners: Planner) -> None:
        self._planners = planners

    def is_ours(self, entry: Json) -> bool:
        """Whether one of them says so."""
        return any(planner.is_ours(entry) for planner in self._planners)

    async def plan(
        self, caller: Caller, model: str, fields: Fields, *, version: str = "", agent: str = ""
    ) -> Plan | None:
        """Give the first plan."""
        for planner in self._planners:
            if (plan := await planner.plan(caller, model, fields, version=version, agent=agent)) is not None:
                return plan
        return None


def function_of(granted: Granted) -> Fields:
    """Give a tool as the function that a model knows."""
    tool = granted.tool
    return {
        "type": "function",
        "name": granted.name,
        "description": tool.description or tool.title,
        "parameters": tool.schema,
        "strict": False,
    }


def check_place(entry: Fields, info: ServerInfo, path: str) -> None:
    """Refuse credentials, and another place, for a server of this gateway. Raises InvalidRequest with the field's path."""
    for name in (*_CREDENTIALS, "connector_id", "tunnel_id"):
        if entry.get(name) is not None:
            refuse(
                f"{path}.{name}", f"is not for the server {info.name!r}: this gateway has its own credentials for it."
            )
    if entry.get("server_url") not in (None, info.url or None):
        refuse(f"{path}.server_url", f"is not where the server {info.name!r} of this gateway is: leave it out.")


def read_request(reader: Reader, server: str, path: str) -> Request:
    """Read an entry of `tools` that names a server of ours. Raises InvalidRequest with the field's path."""
    allowed = reader.take("allowed_tools")
    given = reader.take("require_approval")
    always = never = None
    otherwise: ApprovalWish = "always"
    if isinstance(given, str):
        if given not in ("always", "never"):
            refuse(f"{path}.require_approval", "must be always, never, or an object with either.")
        otherwise = "always" if given == "always" else "never"
    elif given is not None:
        inner = Reader(given, f"{path}.require_approval")
        always, never = _pick_of(inner, "always"), _pick_of(inner, "never")
    pick = _pick(allowed, f"{path}.allowed_tools") or Pick()
    return Request(path=path, server=server, allowed=pick, always=always, never=never, otherwise=otherwise)


def _pick_of(reader: Reader, name: str) -> Pick | None:
    return _pick(reader.take(name), reader.at(name))


def _pick(given: Json, path: str) -> Pick | None:
    if given is None:
        return None
    reader = Reader({"tool_names": given} if isinstance(given, list) else given, path)
    names = reader.strings("tool_names")
    return Pick(names=None if names is None else frozenset(names), read_only=reader.boolean("read_only"))


def _refuse_collisions(listed: Sequence[Json], granted: dict[str, Granted]) -> None:
    for number, entry in enumerate(listed):
        if isinstance(entry, dict) and entry.get("type") in ("function", "custom") and entry.get("name") in granted:
            known = granted[entry["name"]].tool.id
            refuse(f"tools[{number}].name", f"is the name by which models know the tool {known!r}: choose another.")


def _fields(fields: Fields, own: Sequence[Json], granted: dict[str, Granted]) -> Fields:
    """Give the fields of the request to the model: every tool of this server as a function."""
    functions = [function_of(each) for _, each in sorted(granted.items())]
    made = {name: value for name, value in fields.items() if name not in ("max_tool_calls", "tools", "tool_choice")}
    if own or functions:
        made["tools"] = [*own, *functions]
    choice = _choice(fields.get("tool_choice"), granted)
    if choice is not None and "tools" in made:
        made["tool_choice"] = choice
    return made


def _choice(given: Json, granted: dict[str, Granted]) -> Json:
    """Give `tool_choice` with the functions that stand for tools of this server."""
    if not isinstance(given, dict):
        return given
    if given.get("type") == "mcp":
        named = _named(given, granted, "tool_choice")
        return named[0] if len(named) == 1 else {"type": "allowed_tools", "mode": "required", "tools": named}
    if given.get("type") != "allowed_tools" or not isinstance(given.get("tools"), list):
        return given
    tools: list[Json] = []
    for number, entry in enumerate(given["tools"]):
        is_mcp = isinstance(entry, dict) and entry.get("type") == "mcp"
        tools += _named(entry, granted, f"tool_choice.tools[{number}]") if is_mcp else [entry]
    return {**given, "tools": tools}


def _named(entry: Fields, granted: dict[str, Granted], path: str) -> list[Fields]:
    server, name = entry.get("server_label"), entry.get("name")
    found = [
        {"type": "function", "name": each.name}
        for _, each in sorted(granted.items())
        if each.tool.server == server and name in (None, each.tool.name)
    ]
    if not found:
        refuse(path, "names no tool that the request lists.")
    return found


def refuse(param: str, what: str) -> NoReturn:
    """Raise InvalidRequest for the field `param`, saying `what` is wrong with it."""
    msg = f"`{param}` {what}"
    raise InvalidRequest(msg, param=param)
