"""Settings of the audit log: the key that signs its head, where the head is kept a second time, where entries wait."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The audit log. It needs `database`."""

    key: Annotated[
        Secret | None,
        Meta(
            description="Signs the head of the chain; at least 32 characters, the same on every replica. "
            "null: who can write to the database can write another history."
        ),
    ] = None
    anchor: Annotated[
        str | None,
        Meta(
            min_length=1,
            description="File outside the database that gets the head after every entry; it proves that nothing was cut off.",
        ),
    ] = None
    queue: Annotated[
        str, Meta(min_length=1, description="Folder for entries that wait for the database; it is made.")
    ] = "data/audit"
