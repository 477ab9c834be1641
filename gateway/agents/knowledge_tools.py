"""The tools that search and read knowledge bases: what models and clients are told of them, who may use them, and what their results are. It searches nothing.

To policies a base is the tool of its name on the server `knowledge`: who may use `knowledge/handbook` may read the base `handbook`, with
either of the tools here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.config.knowledge_settings import MOST_PASSAGES, KnowledgeSettings
from gateway.config.tool_settings import GivesSettings
from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE, Confidentiality, Integrity, Label, Tool
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import tool as tool_resource
from gateway.retrieval.keyword_base import LONGEST_QUERY

SEARCH: Final = "search_knowledge"
READ: Final = "read_knowledge"
USUAL: Final = 5
"""Passages of a search that does not say how many."""
_LONGEST_NAME: Final = 1000
_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer"}
_SECRECY: Final[tuple[Confidentiality, ...]] = ("public", "internal", "sensitive")
_CITED: Final[dict[str, Json]] = {
    "base": _TEXT,
    "file": _TEXT,
    "title": _TEXT,
    "sha256": _TEXT,
    "first_line": _COUNT,
    "last_line": _COUNT,
    "offset": _COUNT,
    "text": _TEXT,
}
_ANNOTATIONS: Final[dict[str, Json]] = {
    "readOnlyHint": True,
    "destructiveHint": False,
    "idempotentHint": True,
    "openWorldHint": False,
}


class SearchAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `search_knowledge`; without `bases` all that there are for who asks."""

    query: Annotated[str, Meta(min_length=1, max_length=LONGEST_QUERY)]
    bases: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=100)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_PASSAGES)] = USUAL


class ReadAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `read_knowledge`."""

    base: Annotated[str, Meta(max_length=32)]
    file: Annotated[str, Meta(min_length=1, max_length=_LONGEST_NAME)]
    offset: Annotated[int, Meta(ge=0)] = 0


def may_read(name: str, settings: KnowledgeSettings, caller: Caller, authorizer: Authorizer) -> bool:
    """Whether a caller may read a base: by what the base says of its readers, and by the policies.

    A policy that would have people asked about a base hides it: they can be asked about the tools, and nobody would ask about a base.
    """
    readers = settings.readers
    listed = (
        (not readers.tenants or caller.tenant in readers.tenants)
        and (not readers.teams or caller.team in readers.teams)
        and (not readers.groups or any(group in readers.groups for group in caller.groups))
        and (not readers.roles or caller.role in readers.roles)
    )
    return listed and authorizer.decide(caller, "use_tool", tool_resource(KNOWLEDGE, name)).allowed


def readable(
    names: Iterable[str], bases: Mapping[str, KnowledgeSettings], caller: Caller, authorizer: Authorizer
) -> list[str]:
    """Give those of some bases that there are and that a caller may read."""
    return [name for name in names if name in bases and may_read(name, bases[name], caller, authorizer)]


def knowledge_tools(
    bases: Mapping[str, KnowledgeSettings], within: Mapping[str, int] | None = None
) -> tuple[Tool, Tool]:
    """Give the tools over some bases; with `within` they are bound to those that it names, and the names stand in their schemas."""
    named = sorted(bases) if within is None else sorted(within)
    shown = [f"{name} ({bases[name].description})" if bases[name].description else name for name in named]
    about = f" There are: {'; '.join(shown)}." if within is not None else ""
    name: dict[str, Json] = {"type": "string", "maxLength": 32} if within is None else {"enum": list(named)}
    gives = joined(f"{KNOWLEDGE}/{SEARCH}", (bases[each].gives for each in named))
    bound = dict(within or {})
    search = _tool(
        SEARCH,
        "Searches the knowledge bases for the words of a question, and gives the passages that fit best, each with where it stands. "
        f"Ask with the words that the text would use; read on with {READ}.{about}",
        {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_QUERY,
                "description": "Words to look for.",
            },
            "bases": {
                "type": "array",
                "items": name,
                "minItems": 1,
                "maxItems": 100,
                "description": "The knowledge bases to look in; all of them if left out.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_PASSAGES,
                "default": USUAL,
                "description": "Most passages.",
            },
        },
        ["query"],
        {
            "passages": {
                "type": "array",
                "items": _object({**_CITED, "headings": _list(_TEXT), "score": {"type": "number"}}),
            }
        },
    )
    read = _tool(
        READ,
        f"Reads a document of a knowledge base from a place on: `file` and `offset` stand with each passage that {SEARCH} gives. "
        "What is given has `next_offset` where the document goes on.",
        {
            "base": name,
            "file": {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME},
            "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "Characters from the beginning."},
        },
        ["base", "file"],
        {**_CITED, "size": _COUNT, "next_offset": {"type": ["integer", "null"]}},
    )
    found = [
        msgspec.structs.replace(tool, gives=msgspec.structs.replace(gives, source=tool.id), within=bound)
        for tool in (search, read)
    ]
    return found[0], found[1]


def standing_for(names: Iterable[str], bases: Mapping[str, KnowledgeSettings]) -> list[Tool]:
    """Give what stands for bases where an agent's means are judged: read as if each were a tool of its own."""
    return [
        Tool(
            server=KNOWLEDGE,
            name=name,
            schema={},
            definition="",
            effect="read",
            gives=joined(f"{KNOWLEDGE}/{name}", [bases[name].gives]),
            outward=False,
        )
        for name in names
        if name in bases
    ]


def joined(source: str, labels: Iterable[GivesSettings]) -> Label:
    """Give the label of what holds content of several bases: as little to be trusted, and as secret, as any of them."""
    given = list(labels)
    integrity: Integrity = "untrusted" if any(each.integrity == "untrusted" for each in given) else "trusted"
    secrecy = max((_SECRECY.index(each.confidentiality) for each in given), default=1)
    return Label(source=source, integrity=integrity, confidentiality=_SECRECY[secrecy])


def _tool(
    name: str, description: str, arguments: dict[str, Json], required: list[Json], result: dict[str, Json]
) -> Tool:
    schema = {**_object(arguments), "required": required, "additionalProperties": False}
    said = msgspec.json.encode([name, description, schema, result], order="sorted")
    return Tool(
        server=KNOWLEDGE,
        name=name,
        description=description,
        schema=schema,
        output_schema=_object(result),
        annotations=_ANNOTATIONS,
        definition=hashlib.sha256(said).hexdigest(),
        effect="read",
        gives=Label(source=f"{KNOWLEDGE}/{name}"),
        outward=False,
        timeout=30.0,
    )


def _object(properties: dict[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Json) -> dict[str, Json]:
    return {"type": "array", "items": items}
