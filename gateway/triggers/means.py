"""What triggers work with: the ports and what is counted. A record, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from gateway.agents.desk import RunDesk
from gateway.config.trigger_settings import AnyTriggerSettings
from gateway.core.clock import Clock
from gateway.core.ids import NewId
from gateway.stores.audit_log import AuditLog
from gateway.stores.incidents import IncidentStore
from gateway.stores.runs import RunStore
from gateway.stores.tool_calls import ToolJournal
from gateway.triggers.counts import Counts


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `triggers` gives those of the present configuration, by name; `wake` has due runs looked for."""

    triggers: Callable[[], Mapping[str, AnyTriggerSettings]]
    store: IncidentStore
    desk: RunDesk
    runs: RunStore
    calls: ToolJournal
    audit: AuditLog
    counts: Counts
    clock: Clock
    new_id: NewId
