"""What runs need from outside: a record, without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from gateway.agents.counts import Counts
from gateway.agents.listeners import Listeners
from gateway.config.run_settings import RunSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.ids import NewId
from gateway.pipeline.route import Route
from gateway.policies.authorizer import Authorizer
from gateway.stores.conversations import ConversationStore
from gateway.stores.runs import RunStore

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


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """The stores, the settings, and what ties runs to the rest of the process.

    `current` gives the generation that calls begin with; `known` gives a caller with the rights that it has now, and raises
    Unauthenticated for one whose key does not work any more. `owner` names this process in leases.
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
