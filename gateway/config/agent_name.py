"""The form of agents' names: those of their folders."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from gateway.config.shapes import Expected

AgentName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$"),
    Expected(words="a name of at most 40 small letters, digits and dashes"),
]
