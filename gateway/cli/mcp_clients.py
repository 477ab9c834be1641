"""What well-known assistants want to have written where, so that they use /mcp. A table; nothing is written, and no key is in it.

Where a key is needed, each names it in its own way of reading the environment. One that has none gets the path of a file instead, by way of
this program (`stdio`): for a key that would have to stand in its settings, no snippet is printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Transport = Literal["http", "stdio"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("http", "stdio")

_BRIDGE: Final[dict[str, Any]] = {"command": "<command>", "args": ["mcp", "--url", "<url>"]}
_BRIDGE_BY_FILE: Final[dict[str, Any]] = {
    "command": "<command>",
    "args": ["mcp", "--url", "<url>", "--key-file", "<key_file>"],
}
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant. `root` is the key that its servers stand under; the forms are entries, with <words> that are filled in.

    `http` is with a key, `oauth` without one; None where the assistant cannot have it, or only with the key itself in its settings. `beside` is what
    stands beside `root` for a form with a key. `file` is where it goes, `then` what is to be done afterwards, and `sign_in` with OAuth.
    """

    id: str
    title: str
    file: str
    root: str
    source: str
    http: dict[str, Any] | None = None
    oauth: dict[str, Any] | None = None
    stdio: dict[str, Any] | None = None
    beside: dict[str, Any] = {}
    form: Literal["json", "toml"] = "json"
    then: str = ""
    sign_in: str = ""

    @property
    def forms(self) -> list[str]:
        """What it can have, for people."""
        return [name for name in ("http", "oauth", "stdio") if getattr(self, name) is not None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: for the gateway at `url`, by the name `name`; `variable` holds the key, or the file `key_file` does."""

    url: str
    name: str
    transport: str | None
    oauth: bool
    variable: str
    command: str
    key_file: str


_KNOWN: Final = (
    Client(
        id="claude-code",
        title="Claude Code",
        file=".mcp.json in the project, or `claude mcp add-json` for yourself",
        root="mcpServers",
        http={"type": "http", "url": "<url>", "headers": {"Authorization": "Bearer ${<variable>}"}},
        oauth={"type": "http", "url": "<url>"},
        stdio={"type": "stdio", **_BRIDGE, "env": {"<variable>": "${<variable>}"}},
        sign_in="Sign in with /mcp.",
        source="https://code.claude.com/docs/en/mcp",
    ),
    Client(
        id="claude-desktop",
        title="Claude Desktop",
        file="claude_desktop_config.json (Settings, Developer, Edit Config)",
        root="mcpServers",
        stdio=_BRIDGE_BY_FILE,
        then="Start Claude Desktop anew. A gateway that the internet reaches can instead be added under Settings, Connectors, with OAuth.",
        source="https://modelcontextprotocol.io/docs/develop/connect-local-servers",
    ),
    Client(
        id="codex",
        title="Codex",
        file="~/.codex/config.toml",
        root="mcp_servers",
        form="toml",
        http={"url": "<url>", "bearer_token_env_var": "<variable>"},
        oauth={"url": "<url>"},
        stdio={**_BRIDGE, "env_vars": ["<variable>"]},
        sign_in="Sign in with: codex mcp login <name>",
        source="https://developers.openai.com/codex/mcp",
    ),
    Client(
        id="cursor",
        title="Cursor",
        file="~/.cursor/mcp.json, or .cursor/mcp.json in the project",
        root="mcpServers",
        http={"url": "<url>", "headers": {"Authorization": "Bearer ${env:<variable>}"}},
        oauth={"url": "<url>"},
        stdio={"type": "stdio", **_BRIDGE, "env": {"<variable>": "${env:<variable>}"}},
        source="https://cursor.com/docs/mcp",
    ),
    Client(
        id="gemini",
        title="Gemini CLI",
        file="~/.gemini/settings.json, or .gemini/settings.json in the project",
        root="mcpServers",
        http={"httpUrl": "<url>", "headers": {"Authorization": "Bearer $<variable>"}},
        oauth={"httpUrl": "<url>"},
        stdio={**_BRIDGE, "env": {"<variable>": "$<variable>"}},
        sign_in="Sign in with: /mcp auth <name>",
        source="https://geminicli.com/docs/tools/mcp-server",
    ),
    Client(
        id="vscode",
        title="VS Code",
        file=".vscode/mcp.json in the project, or the command MCP: Open User Configuration",
        root="servers",
        http={"type": "http", "url": "<url>", "headers": {"Authorization": "Bearer ${input:<name>-key}"}},
        oauth={"type": "http", "url": "<url>"},
        stdio={"type": "stdio", **_BRIDGE, "env": {"<variable>": "${input:<name>-key}"}},
        beside={
            "inputs": [{"type": "promptString", "id": "<name>-key", "description": "Key for <name>", "password": True}]
        },
        then="VS Code asks for the key once, and keeps it in its own store.",
        source="https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
    ),
    Client(
        id="windsurf",
        title="Windsurf",
        file="~/.codeium/windsurf/mcp_config.json",
        root="mcpServers",
        http={"serverUrl": "<url>", "headers": {"Authorization": "Bearer ${env:<variable>}"}},
        oauth={"serverUrl": "<url>"},
        stdio={**_BRIDGE, "env": {"<variable>": "${env:<variable>}"}},
        source="https://docs.windsurf.com/windsurf/cascade/mcp",
    ),
    Client(
        id="zed",
        title="Zed",
        file="settings.json (the command zed: open settings file)",
        root="context_servers",
        oauth={"url": "<url>"},
        stdio=_BRIDGE_BY_FILE,
        source="https://zed.dev/docs/ai/mcp",
    ),
)
CLIENTS: Final[Mapping[str, Client]] = {client.id: client for client in _KNOWN}


def instructions(client: Client, asked: Asked) -> str:
    """Give what to write and where, for people. Raises ValueError for a form that the assistant does not have."""
    form = _form(client, asked)
    keyed = form != "oauth"
    snippet = encoded(client, asked, form)
    lines = [f"{client.title}: write this into {client.file}.", "", snippet.rstrip("\n"), ""]
    if keyed and asked.key_file in snippet:
        lines.append(f"The file {asked.key_file} holds the key, and nobody but you should be able to read it.")
    elif keyed and not client.beside:
        lines.append(f"The environment of {client.title} holds the key in the variable {asked.variable}.")
    lines += [_filled(told, asked) for told in (client.then, "" if keyed else client.sign_in) if told]
    lines.append(f"The format is described at {client.source}.")
    return "\n".join(lines) + "\n"


def encoded(client: Client, asked: Asked, form: str) -> str:
    """Give the text of the snippet."""
    entry = _filled(getattr(client, form), asked)
    if client.form == "toml":
        return _toml(client.root, asked.name, entry)
    beside = _filled(client.beside, asked) if form != "oauth" else {}
    whole = {**beside, client.root: {asked.name: entry}}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _form(client: Client, asked: Asked) -> str:
    wanted = "stdio" if asked.transport == "stdio" else "oauth" if asked.oauth else asked.transport or ""
    if asked.transport == "stdio" and asked.oauth:
        raise ValueError("OAuth is for assistants that speak to the gateway themselves: leave out --transport stdio.")
    form = wanted or ("http" if client.http is not None else "stdio")
    if getattr(client, form) is None:
        raise ValueError(
            f"{client.title} has no place for that which holds no key in plain text. It can have: {', '.join(client.forms)}."
        )
    return form


def _filled(value: Any, asked: Asked) -> Any:
    if isinstance(value, str):
        for word in ("command", "key_file", "name", "url", "variable"):
            value = value.replace(f"<{word}>", getattr(asked, word))
        return value
    if isinstance(value, list):
        return [_filled(one, asked) for one in value]
    if isinstance(value, dict):
        return {_filled(name, asked): _filled(one, asked) for name, one in value.items()}
    return value


def _toml(root: str, name: str, entry: Mapping[str, Any]) -> str:
    """Write one table of texts and lists of texts: their JSON is TOML, too."""
    title = name if _BARE.match(name) else msgspec.json.encode(name).decode()
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items()]
    return "\n".join([f"[{root}.{title}]", *lines]) + "\n"
