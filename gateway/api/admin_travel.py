"""/admin/runs/{run}/fork, replay and comparison: runs that are made from other runs, for who operates the server."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.agents.forking import Cut
from gateway.agents.travelling import Changes, Travelling
from gateway.api.admin_door import Asked, Deed, absent, admin_endpoint
from gateway.api.admin_runs import Watching, run_view
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import END, Body
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.api.plain import Document, json_document
from gateway.core.errors import NotFound
from gateway.stores.runs import Run

FORK_PATH = "/admin/runs/{run}/fork"
REPLAY_PATH = "/admin/runs/{run}/replay"
COMPARISON_PATH = "/admin/runs/{run}/comparison"

FileName = Annotated[str, Meta(min_length=1, max_length=200, pattern=rf"^[A-Za-z0-9._-]+{END}")]
Model = Annotated[str, Meta(max_length=200, description="The model to ask in place of the one that was asked.")]


class Forking(Body, frozen=True, kw_only=True):
    """Where a run is forked, and what is otherwise from there on. Either `at` or `after`."""

    at: Annotated[
        Annotated[int, Meta(ge=0, description="After this step, with all that came of it; 0 is after the input.")]
        | None,
        Meta(),
    ] = None
    after: Annotated[Annotated[int, Meta(ge=0, description="After the event with this number.")] | None, Meta()] = None
    model: Model = ""
    input: Annotated[str, Meta(max_length=200_000, description="What you say there.")] = ""


class Replaying(Body, frozen=True, kw_only=True):
    """What is otherwise in the replay of a run; what is not said is as it was."""

    model: Model = ""
    instructions: Annotated[
        Annotated[str, Meta(max_length=200_000, description="What the model is told in place of what it was told.")]
        | None,
        Meta(),
    ] = None
    agent: Annotated[
        Annotated[
            dict[FileName, str],
            Meta(
                min_length=1, max_length=50, description="The files of an agent's folder, in place of its version then."
            ),
        ]
        | None,
        Meta(),
    ] = None
    policies: Annotated[
        dict[FileName, str],
        Meta(max_length=50, description="Policies by name of file: they decide in place of those in force."),
    ] = msgspec.field(default_factory=dict)
    loose: Annotated[
        bool, Meta(description="Calls get the results of their tool in order, whatever their arguments are.")
    ] = False


def endpoints(edge: Edge, services: Services, watching: Watching | None) -> dict[str, AsgiApp]:
    """Give the endpoints; without `watching` they say that this server has no runs."""
    travels = _Travels(services, watching)
    return {
        FORK_PATH: admin_endpoint(edge, "run", {"POST": Deed(right="write", perform=travels.fork)}),
        REPLAY_PATH: admin_endpoint(edge, "run", {"POST": Deed(right="write", perform=travels.replay)}),
        COMPARISON_PATH: admin_endpoint(edge, "run", {"GET": Deed(right="read", perform=travels.compare)}),
    }


class _Travels:
    def __init__(self, services: Services, watching: Watching | None) -> None:
        self._services = services
        self._watching = watching

    async def fork(self, asked: Asked) -> Document:
        given = asked.body(Forking)
        travel, run = await self._found(asked)
        details: dict[str, Any] = {
            "at": given.at,
            "after": given.after,
            "model": given.model,
            "said": bool(given.input),
        }
        async with self._services.audited(asked, "run.forked", ("run", run.id, run.tenant), details) as found:
            cut = Cut(at=given.at, after=given.after)
            made = await travel.fork(asked.caller, run, cut, Changes(model=given.model), given.input)
            found["made"] = made.id
        return json_document(run_view(made))

    async def replay(self, asked: Asked) -> Document:
        given = asked.body(Replaying)
        travel, run = await self._found(asked)
        details: dict[str, Any] = {
            "model": given.model,
            "instructions": given.instructions is not None,
            "agent": sorted(given.agent or ()),
            "policies": sorted(given.policies),
            "loose": given.loose,
        }
        changes = Changes(model=given.model, instructions=given.instructions, agent=given.agent)
        async with self._services.audited(asked, "run.replayed", ("run", run.id, run.tenant), details) as found:
            made = await travel.replay(asked.caller, run, changes, given.policies, loose=given.loose)
            found["made"] = made.id
        return json_document(run_view(made))

    async def compare(self, asked: Asked) -> Document:
        travel, run = await self._found(asked)
        found = await travel.compare(run)
        return json_document(
            {
                "object": "comparison",
                "replay": found.replay,
                "runs": found.runs,
                "same": found.same,
                "parted": msgspec.structs.asdict(found.differences[0]) if found.differences else None,
                "differences": [msgspec.structs.asdict(each) for each in found.differences],
                "ended": {"then": found.ended_then, "now": found.ended_now, "why": found.why or None},
                "spent": {
                    "then": msgspec.structs.asdict(found.spent_then),
                    "now": msgspec.structs.asdict(found.spent_now),
                },
            }
        )

    async def _found(self, asked: Asked) -> tuple[Travelling, Run]:
        watching = self._watching
        if watching is None or watching.travel is None:
            msg = "This server has no runs: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        run = await watching.runs.find(asked.tenants(None), asked.id)
        if run is None:
            raise absent("run")
        return watching.travel, run
