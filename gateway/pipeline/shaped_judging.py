"""The means by which answers are judged in a running server: what may be slow is judged in a process that can be killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.core.items import Json
from gateway.pipeline.shaped_means import Means
from gateway.schemas.parsing import Prefix
from gateway.schemas.worker import Judging


def judging_means(judging: Judging, now: Callable[[], float]) -> Means:
    """Give the means, with a steady clock in seconds."""

    async def judge(schema: Mapping[str, Json], text: str) -> Sequence[str]:
        return [str(violation) for violation in await judging.violations(schema, text)]

    return Means(judge=judge, check=judging.check, prefix_of=Prefix, now=now)
