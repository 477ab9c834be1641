"""Settings of knowledge bases: folders of texts that agents and MCP clients search, who may read them, and what their content counts as.

Plain values. `knowledge_documents` reads the folders; `gateway.retrieval` searches them.
"""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.shapes import Expected
from gateway.config.tool_settings import GivesSettings

KnowledgeName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"),
    Expected(words="a name of at most 32 small letters, digits and dashes"),
]
MOST_PASSAGES = 20
"""Of one search of one base."""


class KnowledgeReaders(msgspec.Struct, frozen=True, kw_only=True):
    """Who may read a base, as far as policies let them use its tools. A list that is left out holds for everybody; who reads is on all the others."""

    tenants: Annotated[tuple[str, ...], Meta(description="Ids of tenants.")] = ()
    teams: Annotated[tuple[str, ...], Meta(description="Ids of teams.")] = ()
    groups: Annotated[tuple[str, ...], Meta(description="Groups that a token claims; one of them is enough.")] = ()
    roles: Annotated[tuple[str, ...], Meta(description="Administrative roles.")] = ()


class KnowledgeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a base may be. A folder that is larger is refused, with the file named."""

    files: Annotated[int, Meta(ge=1, le=100_000, description="Most files.")] = 2000
    file_bytes: Annotated[int, Meta(ge=1, le=64 * 1024**2, description="Most bytes of one file.")] = 1024 * 1024
    bytes: Annotated[int, Meta(ge=1, le=1024**3, description="Most bytes of all files together.")] = 64 * 1024 * 1024
    passage_bytes: Annotated[
        int, Meta(ge=200, le=16 * 1024, description="Most bytes of one passage that a search gives.")
    ] = 2000


class KnowledgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A knowledge base: a folder of texts."""

    folder: Annotated[
        str,
        Meta(
            min_length=1, description="The folder; a relative one counts from this file. Folders in it count as well."
        ),
    ]
    description: Annotated[str, Meta(description="What stands in it, in a sentence that models are told.")] = ""
    include: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(
            min_length=1,
            description="Which files, by name; a pattern with a slash is held against the path in the folder. * is any text.",
        ),
    ] = ("*.md", "*.txt")
    readers: Annotated[KnowledgeReaders, Meta(description="Who may read it.")] = KnowledgeReaders()
    gives: Annotated[
        GivesSettings, Meta(description="What its content is: who may have written it, and who may see it.")
    ] = GivesSettings()
    limits: Annotated[KnowledgeLimits, Meta(description="How large it may be.")] = KnowledgeLimits()


class AgentRetrievalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent uses one base."""

    limit: Annotated[
        int, Meta(ge=1, le=MOST_PASSAGES, description="Most passages of this base that one search gives.")
    ] = 5


class KnowledgeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was read. `sha256` (hex) is that of its bytes; the text's lines end with a newline alone."""

    name: str
    text: str
    sha256: str


class KnowledgeFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A base's folder, read: its files by name, which is the path in the folder. `size` is in bytes; `digest` differs whenever a file does."""

    folder: str
    files: Mapping[str, KnowledgeFile]
    size: int
    digest: bytes
