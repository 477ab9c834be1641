"""What a run is to be done with: the model that is asked, the words that come before, the tools that it may use, the bounds.

A request with tools of this server makes one by itself; so does a definition of an agent. A run keeps the one that it began with.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from gateway.config.workflow_settings import WorkflowStep
from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.tools import Tool
from gateway.stores.runs import Limits

ApprovalWish = Literal["", "always", "never"]


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a run may use. `name` is what the model calls it; `wish` what the client asks of approvals for it.

    `people` are the groups that a question is for, and `ttl` the seconds that it waits, where its agent says so.
    """

    name: str
    tool: Tool
    wish: ApprovalWish = ""
    people: tuple[str, ...] = ()
    ttl: float | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A server whose tools a run may use, as the API shows it (`mcp_list_tools`): `error` where they could not be listed."""

    server: str
    tools: tuple[Tool, ...] = ()
    error: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `fields` are those of the request to the model besides `input`, in the Responses API's form, with every tool as a function.

    `granted` is by the name that the model knows. `agent` and `version` are empty for a run of a model. `compact_at` is how many tokens
    of a context have it compacted; None is what the request says.
    `workflow` is what answers in the place of a model, None where a model does; `direct` is the one tool (its name in `granted`) that a client
    asks for by itself, without a model, empty elsewhere.
    """

    model: str
    fields: dict[str, Json]
    granted: dict[str, Granted] = {}
    listed: tuple[Listed, ...] = ()
    limits: Limits = Limits()
    parallel: bool = True
    agent: str = ""
    version: str = ""
    compact_at: int | None = None
    workflow: WorkflowStep | None = None
    direct: str = ""


class Planner(Protocol):
    """Makes plans."""

    def is_ours(self, entry: Json) -> bool:
        """Whether an entry of a request's `tools` is one that this server runs itself."""
        ...

    async def plan(
        self, caller: Caller, model: str, fields: dict[str, Json], *, version: str = "", agent: str = ""
    ) -> Plan | None:
        """Give the plan of a request, None for one that has no tools of this server and names no agent.

        `version` is that of the plan that a run began with (`Plan.version`), empty for a run that begins now: the agent is as it was then.
        `agent` is who is in charge where the model's own agent has handed over, empty where it has not.

        Raises InvalidRequest with the path of the fault, ModelNotFound, Forbidden.
        """
        ...
