"""The bytes of files: one folder, one file of it for each. What a file is called, and whose it is, the file store knows.

    FOLDER/file-5f1c…          the bytes, whole and on the disk before anybody is told of them
    FOLDER/file-5f1c….part     an upload on its way; removed when it does not arrive whole

Everything here blocks: it is for a thread. Everything raises OSError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PART: Final = ".part"
_ID: Final = re.compile(r"file-[0-9a-f]{24}")


class FileBytes:
    """One folder of bytes, by the ids of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder; nobody else on this machine may look into it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, file: str) -> Path:
        """Give where the bytes of a file are. Raises ValueError for what is no id: it would lead elsewhere."""
        if not _ID.fullmatch(file):
            msg = f"{file!r} is no id of a file"
            raise ValueError(msg)
        return self.folder / file

    def begin(self, file: str) -> int:
        """Begin an upload, and give a descriptor to write its bytes to."""
        part = self.path(file).with_suffix(PART)
        return os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def finish(self, file: str, descriptor: int) -> None:
        """Force an upload to the disk, and give it its name."""
        os.fsync(descriptor)
        path = self.path(file)
        path.with_suffix(PART).rename(path)
        sync_folder(self.folder)

    def give_up(self, file: str) -> None:
        """Remove an upload that did not arrive."""
        self.path(file).with_suffix(PART).unlink(missing_ok=True)

    def remove(self, file: str) -> None:
        """Remove the bytes of a file, and what stood beside them."""
        self.path(file).unlink(missing_ok=True)

    def find_old(self, before: float) -> list[str]:
        """Give the ids of files, and remove the uploads, that nobody has written to since `before` (seconds since 1970)."""
        found = []
        for entry in self._entries():
            name = entry.name
            if entry.stat(follow_symlinks=False).st_mtime >= before:
                continue
            if name.endswith(PART):
                Path(entry.path).unlink(missing_ok=True)
            elif _ID.fullmatch(name):
                found.append(name)
        return found

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.folder) as entries:
            yield from entries


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
