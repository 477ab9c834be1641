"""When to reload the configuration: its file changed, or SIGHUP came. How is `live`'s business."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from anyio import Event, create_task_group, open_signal_receiver, sleep_forever
from watchfiles import awatch

log = structlog.get_logger()

Reload = Callable[[str], Awaitable[object]]
"""Reloads; the argument says why."""


async def reload_on_change(path: Path, reload: Reload) -> None:
    """Reload after each change below the directory of `path`, and on SIGHUP; runs until cancelled.

    The directory is watched and not the file, because editors and Kubernetes replace files instead of writing them.
    """
    stop = Event()
    async with create_task_group() as tasks:
        tasks.start_soon(_set_at_the_end, stop)
        tasks.start_soon(_on_file_change, path, reload, stop)
        if threading.current_thread() is threading.main_thread():
            tasks.start_soon(_on_signal, reload)


async def _on_file_change(path: Path, reload: Reload, stop: Event) -> None:
    seen = _fingerprint(path)
    try:
        async for _ in awatch(path.parent, debounce=200, step=50, recursive=False, stop_event=stop):
            now = _fingerprint(path)
            if now != seen:
                seen = now
                await reload("file")
    except (OSError, RuntimeError) as error:
        # No inotify watch to be had (watchfiles raises a RuntimeError), or the directory is gone: the server is worth more than this comfort.
        log.warning("config.watch.ended", directory=str(path.parent), error=str(error))


async def _set_at_the_end(stop: Event) -> None:
    """Tell the watcher's thread that it is over: it is not cancelled, and would hold up the shutdown for seconds."""
    try:
        await sleep_forever()
    finally:
        stop.set()


async def _on_signal(reload: Reload) -> None:
    with open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            await reload("SIGHUP")


def _fingerprint(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Describe the files beside the configuration that can matter: YAML documents, by name, inode, size and time of change."""
    found = []
    for file in sorted(path.parent.iterdir()):
        if file.suffix not in (".yaml", ".yml") and file.name != path.name:
            continue
        try:
            state = file.stat()
        except OSError:
            continue  # replaced at this very moment: the next event brings it
        found.append((file.name, state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
