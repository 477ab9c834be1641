"""What a server says of a tool, and the hash by which a change of it is noticed. Pure."""

from __future__ import annotations

import hashlib

import msgspec

from gateway.config.tool_settings import ToolSettings
from gateway.core.items import Json
from gateway.core.tools import Effect, Label, Tool


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its server lists it. `schema` and `output_schema` are JSON Schemas as they came. `icons` are not pinned: no model sees them.

    `effect` is what holds where the operator does not say: nothing that an MCP server says of its tools makes it another.
    """

    name: str
    schema: dict[str, Json]
    title: str = ""
    description: str = ""
    output_schema: dict[str, Json] | None = None
    annotations: dict[str, Json] = {}
    icons: tuple[dict[str, Json], ...] = ()
    effect: Effect = "once"

    @property
    def body(self) -> dict[str, Json]:
        """All that the server says, by the names of the protocol: what is pinned, and what an admin reads before accepting it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.schema,
            "outputSchema": self.output_schema,
            "annotations": self.annotations,
        }

    @property
    def digest(self) -> str:
        """The sha256 (hex) of the canonical JSON of the body: sorted names, no spaces."""
        return hashlib.sha256(msgspec.json.encode(self.body, order="deterministic")).hexdigest()


def tool_of(server: str, listed: Listed, settings: ToolSettings, *, timeout: float) -> Tool:
    """Give the tool that the operator has allowed, as the server defines it. `timeout` is the server's."""
    return Tool(
        server=server,
        name=listed.name,
        schema=_without(listed.schema, settings.idempotency_argument),
        definition=listed.digest,
        title=listed.title,
        description=listed.description,
        output_schema=listed.output_schema,
        annotations=listed.annotations,
        icons=listed.icons,
        effect=settings.effect or listed.effect,
        gives=Label(
            source=f"{server}/{listed.name}",
            integrity=settings.gives.integrity,
            confidentiality=settings.gives.confidentiality,
        ),
        outward=settings.outward,
        timeout=settings.timeout or timeout,
        idempotency_argument=settings.idempotency_argument,
    )


def _without(schema: dict[str, Json], argument: str) -> dict[str, Json]:
    """Give the schema without an argument that the hub fills in: a model that saw it would make something up for it."""
    properties = schema.get("properties")
    if not argument or not isinstance(properties, dict) or argument not in properties:
        return schema
    kept = {**schema, "properties": {name: value for name, value in properties.items() if name != argument}}
    required = schema.get("required")
    if isinstance(required, list):
        kept["required"] = [name for name in required if name != argument]
    return kept
