"""Folders of documents, a folder a document: read within limits, whole, and told apart by a digest. What the files say, it does not know."""

import hashlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.config.faults import ConfigError, Fault
from gateway.config.paths import resolve_path

Contents = Mapping[str, bytes]
"""The files of a document, by name."""


class FolderKind(msgspec.Struct, frozen=True, kw_only=True):
    """What such a folder holds. `one` and `many` are what a document is called; `is_one` tells the folders that are one.

    `suffix` is that of the files that count, empty for any. At most `most` documents, `most_files` and `most_bytes` for one of them, and
    `most_bytes_of_all` together, where that is not None.
    """

    one: str
    many: str
    is_one: Callable[[Path], bool]
    most: int
    most_files: int
    most_bytes: int
    most_bytes_of_all: int | None = None
    suffix: str = ""


_HIDDEN: Final = "."


def find_folder(folder: str, setting: str, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Give a folder as an absolute path; a relative one counts from `base`, the configuration's directory. `setting` is where it is written.

    Raises ConfigError.
    """
    try:
        return resolve_path(folder, base=base.absolute(), environ=environ)
    except ValueError as error:
        raise ConfigError([Fault(file="", path=setting, message=str(error))]) from None


def read_folders(folder: Path, kind: FolderKind) -> dict[str, Contents]:
    """Read the files of every document in `folder`, by the document's name. Hidden files do not count. Raises ConfigError."""
    try:
        folders = sorted(path for path in folder.iterdir() if kind.is_one(path))
    except OSError as error:
        raise _refused(folder, f"the folder of {kind.many} cannot be read: {error.strerror}") from None
    if len(folders) > kind.most:
        raise _refused(folder, f"more than {kind.most} {kind.many}")
    read: dict[str, Contents] = {}
    left = kind.most_bytes_of_all
    for path in folders:
        read[path.name] = _read_one(path, kind)
        if left is not None:
            left -= sum(map(len, read[path.name].values()))
            if left < 0:
                raise _refused(folder, f"the {kind.many} are larger than {kind.most_bytes_of_all:,} bytes together")
    return read


def read_text(file: Path, content: bytes) -> str:
    """Give what a file says, without a byte order mark. Raises ConfigError, with the line, for what is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError([Fault(file=str(file), line=line, column=1, message="the file is not UTF-8 text")]) from None


def digest_of(contents: Contents) -> hashlib.blake2b:
    """Give what differs whenever a file or its name does."""
    digest = hashlib.blake2b(digest_size=32)
    for name, content in contents.items():
        # Lengths before texts: no two folders run together to the same bytes.
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d %d " % (len(encoded), len(content)) + encoded + content)
    return digest


def digest_of_all(read: Mapping[str, Contents]) -> bytes:
    """Give what differs whenever a file of one of the documents does."""
    return digest_of({name: digest_of(contents).digest() for name, contents in read.items()}).digest()


def _read_one(folder: Path, kind: FolderKind) -> Contents:
    contents: dict[str, bytes] = {}
    left = kind.most_bytes
    try:
        paths = sorted(path for path in folder.iterdir() if _counts(path, kind))
        if len(paths) > kind.most_files:
            raise _refused(folder, f"more than {kind.most_files} files of one {kind.one}")
        for path in paths:
            with path.open("rb") as file:
                contents[path.name] = file.read(left + 1)
            left -= len(contents[path.name])
            if left < 0:
                raise _refused(path, f"the files of this {kind.one} are larger than {kind.most_bytes:,} bytes together")
    except OSError as error:
        raise _refused(folder, f"the files of the {kind.one} cannot be read: {error.strerror}") from None
    return contents


def _counts(path: Path, kind: FolderKind) -> bool:
    named = not path.name.startswith(_HIDDEN) and path.name.endswith(kind.suffix)
    return named and stat.S_ISREG(path.stat().st_mode)


def _refused(path: Path, message: str) -> ConfigError:
    return ConfigError([Fault(file=str(path), message=message)])
