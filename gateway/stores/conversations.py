"""The port of conversations: items that several responses share, in the order in which they were said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.core.items import Json
from gateway.core.tools import Label

Order = Literal["asc", "desc"]


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation. `created_at` is in seconds since 1970."""

    id: str
    tenant: str
    created_at: float
    metadata: dict[str, str] = {}


class ConversationItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item in the API's wire form; `place` grows with each. `run` is the response that it belongs to, empty for one that was added.

    `label` says where it came from, as that of a run's item.
    """

    id: str
    place: int
    body: dict[str, Json]
    run: str = ""
    label: Label | None = None


class ConversationStore(Protocol):
    """Keeps conversations. Everything raises StoreUnavailable when it cannot be asked."""

    async def add(self, conversation: Conversation, items: Sequence[ConversationItem] = ()) -> None:
        """Keep a new one with its first items, which are numbered anew. Raises Conflict when its id is taken, or two items have the same."""
        ...

    async def find(self, tenant: str, conversation: str) -> Conversation | None:
        """Give one, or None when the tenant has none of that id."""
        ...

    async def set_metadata(self, tenant: str, conversation: str, metadata: dict[str, str]) -> Conversation | None:
        """Replace the metadata; None when the tenant has none of that id."""
        ...

    async def remove(self, tenant: str, conversation: str) -> bool:
        """Forget one with its items; the responses in it stay. False when the tenant has none of that id."""
        ...

    async def append(
        self, tenant: str, conversation: str, items: Sequence[ConversationItem], *, most: int
    ) -> Sequence[ConversationItem] | None:
        """Put items at the end, numbered anew, all or none; None when the tenant has none of that id.

        Items that are there by their id already (a writer that tries again) are left as they are. Gives all of them as they are
        kept, each id once. Raises Conflict when there would be more than `most`.
        """
        ...

    async def items(
        self, tenant: str, conversation: str, *, after: str = "", limit: int = 20, order: Order = "desc"
    ) -> Sequence[ConversationItem] | None:
        """Give a page; None when the tenant has none of that id. `after` is the id of the last one before; one that is not there gives nothing."""
        ...

    async def find_item(self, tenant: str, conversation: str, item: str) -> ConversationItem | None:
        """Give one item."""
        ...

    async def find_items(self, tenant: str, ids: Sequence[str]) -> Sequence[ConversationItem]:
        """Give those items of a tenant's conversations that have these ids, each once: of several with one id the one of the latest conversation."""
        ...

    async def remove_item(self, tenant: str, conversation: str, item: str) -> bool:
        """Take one item out; False when it is not there."""
        ...
