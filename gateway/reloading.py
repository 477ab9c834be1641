"""When to reload the configuration: its file changed, or SIGHUP came. How is `live`'s business."""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog
from anyio import Event, create_task_group, open_signal_receiver, sleep_forever
from watchfiles import awatch

log = structlog.get_logger()

Reload = Callable[[str], Awaitable[object]]
"""Reloads; the argument says why."""

Fingerprint = tuple[tuple[str, int, int, int], ...]

Folders = Callable[[], frozenset[Path]]
"""Gives the folders of the documents in force: policies, agents, prompts and knowledge bases."""


async def reload_on_change(path: Path, reload: Reload, folders: Folders = frozenset) -> None:
    """Reload after each change in the directory of `path` or in the folders of documents, and on SIGHUP; runs until cancelled.

    The directory is watched and not the file, because editors and Kubernetes replace files instead of writing them.
    """
    stop = Event()
    async with create_task_group() as tasks:
        tasks.start_soon(_set_at_the_end, stop)
        tasks.start_soon(_on_file_change, path, folders, reload, stop)
        if threading.current_thread() is threading.main_thread():
            tasks.start_soon(_on_signal, reload)


async def _on_file_change(path: Path, folders: Folders, reload: Reload, stop: Event) -> None:
    seen: Fingerprint | None = None
    try:
        while not stop.is_set():
            # A reload may name other folders; and a folder of agents, or of prompts, gets new ones.
            known = folders()
            watched = {path.parent, *known}
            before, seen = seen, _fingerprint(path, watched)
            if before is not None and seen != before:
                # A folder may come with files in it, which nobody watched when they were written.
                await reload("file")
            async for _ in awatch(*watched, debounce=200, step=50, recursive=False, stop_event=stop):
                now = _fingerprint(path, watched)
                if now != seen:
                    seen = now
                    await reload("file")
                if folders() != known:
                    break
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


def _fingerprint(path: Path, folders: Iterable[Path]) -> Fingerprint:
    """Describe the files that can matter, documents: by path, inode, size and time of change."""
    found = []
    for file in sorted(file for folder in folders for file in folder.iterdir()):
        # Beside the configuration there may lie what is written all the time, a database or a log; a folder of documents holds nothing else.
        is_document = file.parent != path.parent or file.suffix in (".yaml", ".yml", ".cedar", ".md", ".json")
        if not is_document and file.name != path.name:
            continue
        try:
            state = file.stat()
        except OSError:
            continue  # replaced at this very moment: the next event brings it
        found.append((str(file), state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
