"""Settings of memories: what agents write down in one run and read in a later one, for whom it is kept, and how much of it."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.shapes import Expected
from gateway.config.tool_settings import GivesSettings

MemoryName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$"),
    Expected(words="a name of at most 64 small letters, digits, dashes and underscores"),
]
MemoryScope: TypeAlias = Literal["user", "agent", "tenant"]


class MemoryLimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one memory holds at most: one for each user, agent or tenant. A write beyond it is refused; nothing is pushed out."""

    entries: Annotated[int, Meta(ge=1, le=10_000, description="Entries.")] = 200
    bytes: Annotated[int, Meta(ge=1, le=64 * 1024**2, description="Bytes of all keys and texts together (UTF-8).")] = (
        256 * 1024
    )
    entry_bytes: Annotated[int, Meta(ge=1, le=1024**2, description="Bytes of the key and the text of one entry.")] = (
        8 * 1024
    )


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that agents refer to by its name."""

    description: Annotated[
        str, Meta(max_length=1000, description="What belongs into it: models are told this sentence.")
    ] = ""
    scope: Annotated[
        MemoryScope,
        Meta(
            description=(
                "Whose it is. user: each user of a tenant has one of their own; agent: each agent has one for all users of the tenant; tenant: "
                "the tenant has one, for all agents that refer to it."
            )
        ),
    ] = "user"
    limits: Annotated[MemoryLimitSettings, Meta(description="What one holds at most.")] = MemoryLimitSettings()
    ttl: Annotated[
        Annotated[float, Meta(ge=1, le=3_153_600_000)] | None,
        Meta(description="Seconds after its last write that an entry is kept; null keeps it."),
    ] = None
    gives: Annotated[
        GivesSettings,
        Meta(
            description=(
                "What its entries are at least, whatever they were written from. integrity is for what the runs of other users wrote into a "
                "memory that is shared: untrusted, or as trusted as the run that wrote it."
            )
        ),
    ] = GivesSettings()


class MemoryUseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's memory."""

    name: Annotated[str, Meta(min_length=1, description="A memory of the section memories.")]
    write: Annotated[bool, Meta(description="Whether it may write and delete entries, too.")] = True


def expand_memory(name: str) -> dict[str, str]:
    """Return the long form of a memory's name alone."""
    return {"name": name}
