"""What runs need from outside: a record, without behaviour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import msgspec

from gateway.agents.candidates import Candidates
from gateway.agents.costs import Costs
from gateway.agents.counts import Counts
from gateway.agents.listeners import Listeners
from gateway.agents.news_source import News
from gateway.agents.plan import Planner
from gateway.agents.remembering import Remembering
from gateway.config.approval_settings import ApprovalSettings
from gateway.config.run_settings import RunSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.ids import NewId
from gateway.core.items import Json
from gateway.core.tools import Label, Tool
from gateway.pipeline.route import Route
from gateway.policies.authorizer import Authorizer
from gateway.policies.tool_judgement import ToolJudge
from gateway.stores.approvals import ApprovalStore
from gateway.stores.blobs import BlobStore
from gateway.stores.conversations import ConversationStore
from gateway.stores.runs import RunStore
from gateway.stores.sealing import Seal
from gateway.stores.tool_calls import ToolJournal
from gateway.tools.hub import Hub

DAY: Final = 86_400.0


class Generation(Protocol):
    """One generation of the configuration, as runs see it."""

    @property
    def authorizer(self) -> Authorizer:
        """What callers may do."""
        ...

    @property
    def routes(self) -> Mapping[str, Route]:
        """The configured models."""
        ...

    def hold(self) -> None:
        """A call begins with this generation: its providers stay open until `release`."""
        ...

    def release(self) -> None:
        """The call is over."""
        ...


class ToolMeans(msgspec.Struct, frozen=True, kw_only=True):
    """What runs need to use tools of this server.

    `violation` says what is wrong with the arguments of a call, empty where nothing is. `asking` says how people are asked where no policy does.
    `candidates` makes what forks and replays are tried with; without it there are none. `recorded` is for conversations whose results are
    recorded: the hub then answers for agents as well, and this says where the answers of each come from. None begins runs for them.
    `memory` is what calls of memories do; without it there are none.
    """

    hub: Hub
    judge: ToolJudge
    planner: Planner
    calls: ToolJournal
    approvals: ApprovalStore
    blobs: BlobStore
    violation: Callable[[Tool, dict[str, Json]], Awaitable[str]]
    asking: ApprovalSettings = ApprovalSettings()
    candidates: Candidates | None = None
    recorded: Mapping[str, Label] | None = None
    memory: Remembering | None = None


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """The stores, the settings, and what ties runs to the rest of the process.

    `current` gives the generation that calls begin with; `known` gives a caller with the rights that it has now, and raises
    Unauthenticated for one whose key does not work any more. `owner` names this process in leases. `tools` is None where this
    server runs no tools. `costs` hears what the calls of runs cost. `seal` seals what was compacted.
    `news` says what came since a run began.
    """

    runs: RunStore
    conversations: ConversationStore
    settings: RunSettings
    current: Callable[[], Generation]
    known: Callable[[Caller], Caller]
    counts: Counts
    listeners: Listeners
    clock: Clock
    new_id: NewId
    owner: str
    tools: ToolMeans | None = None
    costs: Costs = msgspec.field(default_factory=Costs)
    seal: Seal | None = None
    news: News = msgspec.field(default_factory=News)
