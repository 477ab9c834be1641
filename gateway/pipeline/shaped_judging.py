"""The means by which answers are judged in a running server: the schemas' own, here in the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.core.items import Json
from gateway.pipeline.shaped_means import Means
from gateway.schemas.judge import compiled
from gateway.schemas.parsing import Prefix


async def judge(schema: Mapping[str, Json], text: str) -> Sequence[str]:
    """Say what is wrong with a text. Raises UnsupportedSchema."""
    return [str(violation) for violation in compiled(schema).violations(text)]


async def check(schema: Mapping[str, Json]) -> None:
    """Raise UnsupportedSchema for a schema that nothing can be judged by."""
    compiled(schema)


def standard_means(now: Callable[[], float]) -> Means:
    """Give the means, with a steady clock."""
    return Means(judge=judge, check=check, prefix_of=Prefix, now=now)
