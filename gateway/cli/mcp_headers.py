"""The HTTP headers that a message of MCP has to have beside it, derived from the message. Pure, but for what tools/list was seen to say.

Source: MCP 2026-07-28, Transports, Streamable HTTP (`Mcp-Method`, `Mcp-Name`, `Mcp-Param-…`, `MCP-Protocol-Version`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN: Final = re.compile(r"[!-~]([ -~]*[!-~])?\Z")
_CODED: Final = re.compile(r"=\?base64\?.*\?=\Z")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}\Z")
_DEEP: Final = 16

Message = Mapping[str, Any]
Path = tuple[str, ...]


class Mirrored:
    """Headers of messages of the revision that says its version in each of them. `learn` takes the lists of tools that pass by."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[Path, str]] = {}

    def learn(self, result: Message) -> None:
        """Take note of the arguments that tools want in headers."""
        for tool in result.get("tools") or ():
            if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                self._asked[tool["name"]] = dict(_marked(tool.get("inputSchema"), ()))

    def of(self, message: Message) -> dict[str, str]:
        """Give the headers for a message; none for one of an older revision."""
        version = version_of(message)
        if version is None:
            return {}
        method, params = str(message.get("method", "")), message.get("params") or {}
        headers = {"mcp-protocol-version": version, "mcp-method": method}
        name = params.get(_NAMED.get(method, ""))
        if isinstance(name, str):
            headers["mcp-name"] = encoded(name)
            arguments = params.get("arguments")
            if method == "tools/call":
                for path, header in self._asked.get(name, {}).items():
                    if (said := _rendered(_at(arguments, path))) is not None:
                        headers[f"mcp-param-{header}"] = encoded(said)
        return headers


def version_of(message: Message) -> str | None:
    """Give the revision that a message says in itself, None for one that was settled at the beginning."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return version if isinstance(version, str) and _PLAIN.match(version) else None


def encoded(value: str) -> str:
    """Give a value as it may stand in a header."""
    if (not value or _PLAIN.match(value)) and not _CODED.match(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode('ascii')}?="


def _marked(schema: Any, path: Path) -> Iterator[tuple[Path, str]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) >= _DEEP:
        return
    for name, inner in properties.items():
        header = inner.get("x-mcp-header") if isinstance(inner, dict) else None
        if isinstance(header, str) and _TOKEN.match(header):
            yield (*path, name), header
        yield from _marked(inner, (*path, name))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _rendered(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
