"""The port of the messages by which people were asked: where each stands, so that it can be changed when the answer is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ApprovalMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about an approval in a channel. There is one of each channel.

    `ts` is the channel's own name for it, empty while nobody knows whether it was posted; `nonce` is what a click on it brings
    back; `shown` says which state of the approval it shows. `at` is when it was begun, in seconds since 1970.
    """

    approval: str
    channel: str
    nonce: str
    ts: str = ""
    shown: str = ""
    at: float


class ApprovalMessages(Protocol):
    """Keeps them. Everything raises StoreUnavailable."""

    async def of(self, approval: str) -> Sequence[ApprovalMessage]:
        """Give the messages about an approval, by channel."""
        ...

    async def remove(self, approval: str, channel: str) -> None:
        """Forget a message: it shows an approval that is gone."""
        ...

    async def keep(self, message: ApprovalMessage) -> None:
        """Keep a message, in the place of what was kept of it."""
        ...
