"""What running a batch needs beside its record: one bundle for all batches of a process, put together where the application is."""

from __future__ import annotations

import anyio
import msgspec

from gateway.batches.asking import AskAs
from gateway.batches.counts import Counts
from gateway.config.batch_settings import BatchSettings
from gateway.core.clock import Clock
from gateway.core.ids import NewId
from gateway.stores.file_bytes import FileBytes


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What every run is given. `body_bytes` and `depth` bound a request as over HTTP; `places` are the lines that this process answers at once, of all batches."""

    bytes: FileBytes
    ask_as: AskAs
    settings: BatchSettings
    body_bytes: int
    depth: int
    places: anyio.CapacityLimiter
    counts: Counts
    clock: Clock
    new_id: NewId
