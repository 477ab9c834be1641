"""What a decision is made from, besides the caller: what is asked for, and how. It decides nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.config.policy_settings import ResourceKind

BY_PROVIDER = "provider"
"""Stands for the server of a tool that the upstream itself runs."""


class Resource(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """What is asked for. `tenant` is the owner's id, empty for what belongs to the installation.

    The `id` of a tool is its server's name, a slash and its own name (see `tool`), and so is that of a prompt; of a resource its URI follows the slash. `providers` are the names of the providers
    that may answer for a model.
    """

    kind: ResourceKind
    id: str
    tenant: str = ""
    providers: tuple[str, ...] = ()


class Situation(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """How it is asked for: `operation`, `dialect` and `stream` of a call; `section` of the administration."""

    operation: str = ""
    dialect: str = ""
    stream: bool = False
    section: str = ""


NO_SITUATION = Situation()


def model(name: str, providers: tuple[str, ...] = ()) -> Resource:
    """Give the resource behind a model's name: a model, or the agent of `agent/<name>`."""
    if name.startswith("agent/"):
        return Resource(kind="agent", id=name.removeprefix("agent/"))
    return Resource(kind="model", id=name, providers=providers)


def tool(server: str, name: str) -> Resource:
    """Give the resource for a tool. The name of a server holds no slash; that of a tool may."""
    return Resource(kind="tool", id=f"{server}/{name}")


def offered(kind: Literal["resource", "prompt"], server: str, name: str) -> Resource:
    """Give the resource for something else that a server of tools offers: a resource by its URI on the server, a prompt by its name."""
    return Resource(kind=kind, id=f"{server}/{name}")


def server_of(tool_id: str) -> str:
    """Give the server's name from a tool's id."""
    server, slash, _ = tool_id.partition("/")
    return server if slash else BY_PROVIDER
