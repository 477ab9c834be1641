"""Settings of the ledger: where rows wait when the database is away, and how long they are kept."""

from typing import Annotated

import msgspec
from msgspec import Meta


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger. It needs `database`."""

    spool: Annotated[
        str, Meta(min_length=1, description="Folder for rows that wait for the database; it is made.")
    ] = "data/spool"
