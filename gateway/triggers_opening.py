"""Where triggers come from: their desk, put together for one application. It does none of their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.agents.desk import RunDesk
from gateway.agents.news_source import News
from gateway.api.edge import Edge
from gateway.config.trigger_settings import AnyTriggerSettings
from gateway.stores.audit_log import AuditLog
from gateway.stores.incidents import IncidentStore
from gateway.stores.runs import RunStore
from gateway.stores.tool_calls import ToolJournal
from gateway.triggers.counts import Counts
from gateway.triggers.desk import TriggerDesk
from gateway.triggers.means import Means
from gateway.triggers.news import IncidentNews


class Runs(Protocol):
    """What begins runs, and tells them what is new."""

    @property
    def desk(self) -> RunDesk:
        """What begins them."""
        ...

    @property
    def news(self) -> News:
        """Where they ask for what is new."""
        ...


class Kept(Protocol):
    """The stores that it takes."""

    @property
    def incidents(self) -> IncidentStore:
        """What triggers were sent."""
        ...

    @property
    def runs(self) -> RunStore:
        """What they began."""
        ...

    @property
    def calls(self) -> ToolJournal:
        """What that did."""
        ...

    @property
    def audit(self) -> AuditLog:
        """Where it is written that it began."""
        ...


def open_triggers(
    triggers: Callable[[], Mapping[str, AnyTriggerSettings]],
    edge: Edge,
    counts: Counts,
    runs: Runs | None,
    kept: Kept | None,
) -> TriggerDesk | None:
    """Put it together; nothing runs yet, but runs ask it for news. None where there are no runs to begin: with them triggers may come by a reload."""
    if runs is None or kept is None:
        return None
    means = Means(
        triggers=triggers,
        store=kept.incidents,
        desk=runs.desk,
        runs=kept.runs,
        calls=kept.calls,
        audit=kept.audit,
        counts=counts,
        clock=edge.clock,
        new_id=edge.new_id,
    )
    runs.news.source = IncidentNews(means)
    return TriggerDesk(means)
