"""Work that no cancellation breaks off: who is cancelled meanwhile waits for its end, and is cancelled then."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


async def unbroken(work: Coroutine[Any, Any, Result]) -> Result:
    """Do something that is short to its end, and give what comes of it, or raise what it raises.

    Who is cancelled meanwhile gets the cancellation after it; its cause is then what the work raised, None where it was done. A shield alone is not enough:
    a run is ended by cancelling its task, and that passes every scope.
    """
    cancelled: asyncio.CancelledError | None = None
    task = asyncio.get_running_loop().create_task(work)
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])  # which cancels nothing
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()
