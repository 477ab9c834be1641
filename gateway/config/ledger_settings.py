"""Settings of the ledger: where rows wait when the database is away, and how long they are kept."""

from typing import Annotated

import msgspec
from msgspec import Meta


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger. It needs `database`."""

    spool: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder for rows that wait for the database, on a local disk; it is made. Processes may share it.",
        ),
    ] = "data/spool"
    spool_bytes: Annotated[
        int,
        Meta(
            ge=1_048_576,
            description="Most bytes that may wait there for one process; beyond them rows are lost, and counted.",
        ),
    ] = 268_435_456
    sync: Annotated[
        bool,
        Meta(
            description="Whether what waits is forced to the disk, 20 times a second: a power cut then loses no more than that."
        ),
    ] = False
    keep_days: Annotated[
        int | None, Meta(ge=1, le=36_500, description="Days after which rows are deleted; null keeps them for good.")
    ] = None
