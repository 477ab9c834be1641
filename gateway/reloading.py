"""When to reload the configuration: its file changed, or SIGHUP came. How is `live`'s business."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from anyio import create_task_group, open_signal_receiver
from watchfiles import awatch

log = structlog.get_logger()

Reload = Callable[[str], Awaitable[object]]
"""Reloads; the argument says why."""


async def reload_on_change(path: Path, reload: Reload) -> None:
    """Reload after each change below the directory of `path`, and on SIGHUP; runs until cancelled.

    The directory is watched and not the file, because editors and Kubernetes replace files instead of writing them.
    """
    async with create_task_group() as tasks:
        tasks.start_soon(_on_file_change, path, reload)
        if threading.current_thread() is threading.main_thread():
            tasks.start_soon(_on_signal, reload)


async def _on_file_change(path: Path, reload: Reload) -> None:
    seen = _fingerprint(path)
    async for _ in awatch(path.parent, debounce=200, step=50, recursive=False):
        now = _fingerprint(path)
        if now != seen:
            seen = now
            await reload("file")


async def _on_signal(reload: Reload) -> None:
    with open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            await reload("SIGHUP")


def _fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Describe the files beside the configuration that can matter: YAML documents, by name, size and time of change."""
    found = []
    for file in sorted(path.parent.iterdir()):
        if file.suffix not in (".yaml", ".yml") and file.name != path.name:
            continue
        try:
            state = file.stat()
        except OSError:
            continue  # replaced at this very moment: the next event brings it
        found.append((file.name, state.st_size, state.st_mtime_ns))
    return tuple(found)
