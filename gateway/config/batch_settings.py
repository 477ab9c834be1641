"""Settings of files and batches: where bytes are kept, how large they may be, and how much of the server batches may take."""

from typing import Annotated

import msgspec
from msgspec import Meta


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files and batches. They need `database`."""

    folder: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder for the bytes of files; it is made. Replicas that share a database share it too.",
        ),
    ] = "data/files"
    file_bytes: Annotated[
        int, Meta(ge=1024, le=4 * 1024**3, description="Largest file, in bytes (default 200 MiB).")
    ] = 200 * 1024 * 1024
    tenant_bytes: Annotated[
        int, Meta(ge=1024, description="Most bytes of all files of one tenant (default 10 GiB).")
    ] = 10 * 1024**3
    keep_days: Annotated[
        int | None,
        Meta(
            ge=1,
            le=36_500,
            description="Days after which a file expires that was not told when; null keeps it until it is deleted.",
        ),
    ] = 30
    keep_ended_days: Annotated[
        int | None,
        Meta(
            ge=1,
            le=36_500,
            description="Days after its end that a batch is forgotten, with what is left of its results; null keeps it.",
        ),
    ] = 400
    lines: Annotated[int, Meta(ge=1, le=1_000_000, description="Most lines of one batch.")] = 50_000
    unfinished: Annotated[int, Meta(ge=1, le=10_000, description="Most unfinished batches of one tenant.")] = 100
    at_once: Annotated[
        int,
        Meta(
            ge=1, le=1000, description="Most lines that one process answers at once: the rest of it is for other calls."
        ),
    ] = 4
    tries: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How often a line is asked that fails by a fault which may pass; limits do not count.",
        ),
    ] = 3
    poll: Annotated[
        float, Meta(gt=0, le=60, description="Seconds between two looks for batches that other processes made or left.")
    ] = 1.0
