"""Where batches come from: the cabinet, the runner and the desk of one application, put together. It does none of their work."""

from __future__ import annotations

from functools import partial

import anyio
import msgspec

from gateway.api import files as file_endpoints
from gateway.api.edge import Edge
from gateway.api.inside import ask_as
from gateway.api.upload import SPARE
from gateway.batches.cabinet import Cabinet
from gateway.batches.counts import Counts
from gateway.batches.desk import Desk
from gateway.batches.means import Means
from gateway.batches.runner import Runner
from gateway.config import Settings
from gateway.config.batch_settings import BatchSettings
from gateway.stores.batches import BatchStore
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files import FileStore
from gateway.stores.key_ring import KeyRing


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """What an application has that keeps files and runs batches."""

    cabinet: Cabinet
    desk: Desk
    runner: Runner


def open_batching(
    settings: BatchSettings,
    edge: Edge,
    counts: Counts,
    ring: KeyRing,
    *,
    files: FileStore,
    batches: BatchStore,
    kept: FileBytes,
) -> Batching:
    """Put it together; nothing runs yet. `counts` is what the metrics read."""
    clock, new_id = edge.clock, edge.new_id
    cabinet = Cabinet(files, kept, settings, clock=clock, new_id=new_id)
    means = Means(
        bytes=kept,
        ask_as=partial(ask_as, edge, ring),
        settings=settings,
        body_bytes=edge.body_bytes,
        depth=edge.json_depth,
        places=anyio.CapacityLimiter(settings.at_once),
        counts=counts,
        clock=clock,
        new_id=new_id,
    )
    runner = Runner(batches, cabinet, means)
    desk = Desk(batches, cabinet, runner, settings, clock=clock, new_id=new_id)
    return Batching(cabinet=cabinet, desk=desk, runner=runner)


def large_bodies(settings: Settings) -> dict[bytes, int]:
    """Give the paths whose bodies go to the disk while they arrive, and how large they may be, in bytes."""
    batches = settings.batches
    return {} if batches is None else {file_endpoints.LIST_PATH.encode("ascii"): batches.file_bytes + SPARE}
