"""What endpoints may ask of runs. It knows no HTTP; who answers is `running`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.events import Started
from gateway.core.items import Json
from gateway.core.prompt_use import PromptUse
from gateway.core.tools import Label
from gateway.stores.runs import Limits, Run, RunEvent, RunItem

Take = Callable[[RunEvent], Awaitable[None]]
"""Takes the events of a run, in order. Awaiting it is the back-pressure."""


def no_response(name: str, param: str | None = None) -> NotFound:
    """Give the error for a response that a tenant does not have, whoever has it."""
    return NotFound(f"There is no response {name[:100]!r} here.", param=param)


def no_conversation(name: str, param: str | None = None) -> NotFound:
    """Give the error for a conversation that a tenant does not have, whoever has it."""
    return NotFound(f"There is no conversation {name[:100]!r} here.", param=param)


def not_kept() -> InvalidRequest:
    """Give the error for a response with tools of this server that is not to be kept."""
    msg = "`store` must not be false where this server runs tools: what they do is kept with the response."
    return InvalidRequest(msg, param="store")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a response, read but not yet begun. `fields` is the whole body; `received` the monotonic time of arrival.

    `call` is the id that the client is told: the first call of a model has it. In `fields`, `cache` is what the body and the headers
    together ask of the cache, to be taken out before a model is asked. `prompt` is the template that they were filled in by. The rest is as in `Call`.

    What begins runs without a client may say which `run` it is to be (one id, one run), what its items of `input` are by their places (`labels`), and what it
    may use beside what its agent says (`limits`).
    """

    caller: Caller
    model: str
    fields: dict[str, Json]
    received: float
    call: str = ""
    session: str | None = None
    trace: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    prompt: PromptUse | None = None
    run: str = ""
    labels: Mapping[int, Label] = {}
    limits: Limits = Limits()


class Ear(Protocol):
    """Hears how an answer begins, for who tells the client."""

    def asking(self) -> None:
        """A model is asked now: whatever keeps the run from beginning after this has its record already."""
        ...

    def started(self, started: Started) -> None:
        """Say who answers, before the first event goes anywhere."""
        ...


class RunDesk(Protocol):
    """Begins runs, tells what becomes of them, and ends them. What a tenant does not have is not found, whoever has it.

    Everything raises SwitchgearError: NotFound (of a response, `param` names the field that refers to it), InvalidRequest with the path of the fault,
    Conflict, LimitExceeded and whatever the pipeline raises before the first event.
    """

    def own_tools(self, fields: dict[str, Json]) -> Sequence[int]:
        """Give the places in a request's `tools` of those that this server runs itself."""
        ...

    async def begin(self, draft: Draft) -> Run:
        """Begin a run that nobody waits for (`background`): it is in the journal when this returns."""
        ...

    async def answer(self, draft: Draft, take: Take, ear: Ear) -> Run:
        """Begin a run and wait for its end; its events go to `take`. Who is cancelled meanwhile has left: the run is cancelled, too.

        Raises what keeps it from beginning, and then nothing is kept. What happens after the first event is told by events.
        """
        ...

    async def spelled_out(self, draft: Draft) -> dict[str, Json]:
        """Give a body that says the same without what is stored: all that comes before as items of its `input`. Raises NotFound."""
        ...

    async def compact(self, draft: Draft, ear: Ear) -> dict[str, Json]:
        """Give the document of a compaction: what goes on from a request, with notes of its model in the place of most of it. Nothing is kept."""
        ...

    async def follow(self, tenant: str, run: str, take: Take, *, after: int = -1) -> None:
        """Give the events that follow number `after`, those to come as well, until the terminal one has been given. Raises NotFound."""
        ...

    async def find(self, tenant: str, run: str) -> Run:
        """Give a run. Raises NotFound."""
        ...

    async def document(self, run: Run) -> dict[str, Json]:
        """Give the Response document of a run as it stands now: whole where it has ended, with what is done so far elsewhere."""
        ...

    async def cancel(self, tenant: str, run: str) -> Run:
        """End a run, and give it as it is when it has ended, or after a second. Raises NotFound, and Conflict for one that was not in the background."""
        ...

    async def stop(self, tenant: str, run: str) -> Run:
        """End a run, whoever waits for it, also one that waits for people; give it as it is when it has ended, or after a second. Raises NotFound."""
        ...

    async def remove(self, tenant: str, run: str) -> None:
        """Forget a run; one that is live is cancelled first. Raises NotFound."""
        ...

    async def input_items(self, tenant: str, run: str) -> Sequence[RunItem]:
        """Give the items of a run's input, in order. Raises NotFound."""
        ...
