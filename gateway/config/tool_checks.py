"""Rules between the settings of tools that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.settings import Settings
from gateway.config.tool_settings import (
    RESERVED,
    HttpServerSettings,
    McpSettings,
    StdioServerSettings,
    ToolHubSettings,
    ToolServerSettings,
)


def hub_findings(settings: ToolHubSettings) -> Iterator[Finding]:
    """Yield servers with a name that stands for what runs have by themselves."""
    for name in settings.servers:
        if name in RESERVED:
            message = f"{shown(name)} is the name of {RESERVED[name]}: choose another"
            yield Finding(path=("servers", name), needs=("servers",), message=message)


def tool_findings(settings: ToolServerSettings) -> Iterator[Finding]:
    """Yield servers of which nothing can be used, and tools that are said to be two things at once."""
    if isinstance(settings, McpSettings) and not (
        settings.tools or settings.resources or settings.resource_templates or settings.prompts
    ):
        message = (
            "nothing of a server can be used that is not named: write tools, resources, resource_templates or prompts"
        )
        yield Finding(path=("tools",), needs=("tools",), message=message)
    for name, tool in settings.tools.items():
        if tool.effect == "read" and tool.idempotency_argument:
            message = "a tool that only reads needs no idempotency key: remove it, or say what its effect is"
            yield Finding(path=("tools", name, "idempotency_argument"), needs=("tools",), message=message)


def oauth_findings(settings: HttpServerSettings) -> Iterator[Finding]:
    """Yield an authorization that is one by two ways, or by none."""
    if settings.credentials == "user" and (settings.oauth is None or settings.oauth.grant != "authorization_code"):
        message = (
            "people connect accounts of their own by an authorization: write oauth, with the grant authorization_code"
        )
        yield Finding(path=("credentials",), needs=("credentials", "oauth"), message=message)
    if settings.oauth is None:
        return
    if any(name.lower() == "authorization" for name in settings.headers):
        message = "the header authorization is set by the authorization of oauth: remove one of the two"
        yield Finding(path=("headers",), needs=("headers", "oauth"), message=message)
    if settings.oauth.grant == "client_credentials" and not (settings.oauth.client_id and settings.oauth.client_secret):
        message = "client_credentials need the client_id and the client_secret that the authorization server gives out"
        yield Finding(path=("oauth", "grant"), needs=("oauth",), message=message)


def grant_findings(settings: Settings) -> Iterator[Finding]:
    """Yield authorizations by people that could not be kept, or from which nobody could come back."""
    for name, server in settings.tools.servers.items():
        if not isinstance(server, HttpServerSettings) or server.oauth is None:
            continue
        if server.oauth.grant == "client_credentials":
            continue
        path = ("tools", "servers", name, "oauth")
        if settings.database is None or settings.secrets.master_key is None:
            message = "what people authorize is kept, encrypted: write the section database, and secrets.master_key"
            yield Finding(path=path, needs=("tools", "database", "secrets"), message=message)
        if settings.tools.public_url is None:
            message = (
                "the authorization server sends people back: write tools.public_url, where browsers reach this gateway"
            )
            yield Finding(path=path, needs=("tools",), message=message)


def command_findings(settings: StdioServerSettings) -> Iterator[Finding]:
    """Yield a working directory that is none."""
    if settings.cwd is not None and not (Path(settings.cwd).is_absolute() and Path(settings.cwd).is_dir()):
        message = f"there is no directory {shown(settings.cwd)} (its path is written in full)"
        yield Finding(path=("cwd",), needs=("cwd",), message=message)
