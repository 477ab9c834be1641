"""A knowledge base's folder, read: every file that counts, as text. It cuts and searches nothing.

What cannot be read as it is meant is refused with the file named, so that nobody finds out by a search that finds nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from gateway.config.faults import ConfigError, Fault, shown
from gateway.config.knowledge_settings import KnowledgeFile, KnowledgeFolder, KnowledgeSettings
from gateway.config.paths import resolve_path

_MOST_FAULTS: Final = 20


def knowledge_folder(name: str, settings: KnowledgeSettings, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Give the folder of the base `name` as an absolute path; a relative one counts from `base`. Raises ConfigError."""
    try:
        return resolve_path(settings.folder, base=base.absolute(), environ=environ)
    except ValueError as error:
        raise ConfigError([Fault(file="", path=f"knowledge.{name}.folder", message=str(error))]) from None


def folders_in(folder: Path) -> Iterator[Path]:
    """Give a folder and those in it whose files count: not hidden ones, and none behind a link."""
    for place, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(place)


def read_knowledge_folder(name: str, settings: KnowledgeSettings, folder: Path) -> KnowledgeFolder:
    """Read all files of a base that count. Blocks; it is made for a thread.

    Raises ConfigError with the first faults found: a folder or file that cannot be read or is too large, a link that leads outside, what is
    not UTF-8 text, and a folder in which nothing counts.
    """
    reading = _Reading(name, settings, folder)
    files = reading.files()
    if reading.faults:
        raise ConfigError(reading.faults[:_MOST_FAULTS])
    if not files:
        wanted = ", ".join(settings.include[:5])
        raise ConfigError(
            [Fault(file=str(folder), path=f"knowledge.{name}", message=f"there is no file like {wanted}")]
        )
    digest = hashlib.blake2b(digest_size=32)
    for file in files.values():
        digest.update(f"{len(file.name)} {file.name} {file.sha256} ".encode("utf-8", "surrogateescape"))
    return KnowledgeFolder(folder=str(folder), files=files, size=reading.size, digest=digest.digest())


class _Reading:
    """One folder on its way from the disk."""

    def __init__(self, name: str, settings: KnowledgeSettings, folder: Path) -> None:
        self.faults: list[Fault] = []
        self.size = 0
        self._path = f"knowledge.{name}"
        self._settings = settings
        self._folder = folder

    def files(self) -> dict[str, KnowledgeFile]:
        """Give the files by name, sorted; what is wrong with some is in `faults`. Raises ConfigError for what is wrong with all."""
        found: dict[str, KnowledgeFile] = {}
        limits = self._settings.limits
        try:
            self._root = self._folder.resolve(strict=True)
            paths = sorted(self._paths())
        except OSError as error:
            place = Path(error.filename or self._folder)
            raise self._wrong(place, f"the folder cannot be read: {error.strerror}") from None
        if len(paths) > limits.files:
            raise self._wrong(self._folder, f"more than {limits.files:,} files ({self._path}.limits.files)")
        for name, path in paths:
            try:
                found[name] = self._file(name, path)
            except ConfigError as error:
                self.faults += error.faults
            if self.size > limits.bytes:
                most = f"{limits.bytes:,} bytes together ({self._path}.limits.bytes)"
                raise self._wrong(path, f"the files are larger than {most}")
            if len(self.faults) >= _MOST_FAULTS:
                break
        return found

    def _paths(self) -> Iterator[tuple[str, Path]]:
        if not stat.S_ISDIR(self._folder.stat().st_mode):
            raise NotADirectoryError(20, "Not a directory", str(self._folder))
        for place in folders_in(self._folder):
            with os.scandir(place) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    name = path.relative_to(self._folder).as_posix()
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        self._check_link(path, entry.is_symlink())
                    elif self._counts(name):
                        yield name, path

    def _check_link(self, path: Path, is_link: bool) -> None:  # noqa: FBT001 what the directory's entry says
        if is_link and not path.resolve().is_relative_to(self._root):
            raise self._wrong(path, "this link leads out of the folder")

    def _counts(self, name: str) -> bool:
        last = name.rpartition("/")[2]
        return any(fnmatchcase(name if "/" in pattern else last, pattern) for pattern in self._settings.include)

    def _file(self, name: str, path: Path) -> KnowledgeFile:
        limits = self._settings.limits
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._root):
                raise self._wrong(path, "this link leads out of the folder")
            if not stat.S_ISREG(real.stat().st_mode):
                raise self._wrong(path, "this is no file")
            with real.open("rb") as opened:
                content = opened.read(limits.file_bytes + 1)
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) else "its links go round in a circle"
            raise self._wrong(path, f"the file cannot be read: {why}") from None
        if len(content) > limits.file_bytes:
            raise self._wrong(
                path, f"the file is larger than {limits.file_bytes:,} bytes ({self._path}.limits.file_bytes)"
            )
        self.size += len(content)
        return self._text(name, path, content)

    def _text(self, name: str, path: Path, content: bytes) -> KnowledgeFile:
        try:
            name.encode()
            text = content.decode("utf-8-sig")
        except UnicodeEncodeError:
            raise self._wrong(path, f"the file's name is not UTF-8: {shown(name)}") from None
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise self._wrong(path, "the file is not UTF-8 text", line) from None
        if "\0" in text:
            raise self._wrong(path, "the file is not text", text[: text.index("\0")].count("\n") + 1)
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        return KnowledgeFile(name=name, text=plain, sha256=hashlib.sha256(content).hexdigest())

    def _wrong(self, path: Path, message: str, line: int = 0) -> ConfigError:
        # A name that is not UTF-8 must not break who prints the fault.
        file = str(path).encode("utf-8", "replace").decode()
        return ConfigError([Fault(file=file, path=self._path, line=line, column=1 if line else 0, message=message)])
