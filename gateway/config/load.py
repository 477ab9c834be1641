"""A configuration file, and the environment, to `Settings`. It reads files; it watches none and starts nothing."""

import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from gateway.config.convert import Conversion
from gateway.config.faults import NOWHERE, ConfigError, Fault, FaultLog
from gateway.config.secret import FindSecret, stand_in
from gateway.config.settings import Settings
from gateway.config.shapes import shape_of
from gateway.config.yaml_source import MOST_BYTES, Entry, MapNode, Node, ScalarNode, parse_yaml

Overrides: TypeAlias = Mapping[tuple[str, str], str | int]

NO_OVERRIDES: Final[Overrides] = MappingProxyType({})


def peek(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings for who connects to nothing: as `load`, with a stand-in for each secret that the database keeps."""
    return load(path, environ, find_secret=stand_in)


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    overrides: Overrides = NO_OVERRIDES,
    find_secret: FindSecret | None = None,
) -> Settings:
    """Return the settings in the file at `path`, with secrets resolved and paths absolute.

    `environ` is the environment that `env:NAME` and `~` refer to. `overrides` replaces values before anything is
    checked, as {("server", "port"): 9000} for a command line's --port. `find_secret` gives what the database keeps. Raises
    `ConfigError` with every fault found.
    """
    try:
        content = _read_bytes(path)
    except ValueError as error:
        raise ConfigError([Fault(file=str(path), message=str(error))]) from None
    except OSError as error:
        raise ConfigError([Fault(file=str(path), message=f"the file cannot be read: {error.strerror}")]) from error
    return parse(content, path, environ, overrides=overrides, find_secret=find_secret)


def parse(
    content: bytes,
    path: Path,
    environ: Mapping[str, str],
    *,
    overrides: Overrides = NO_OVERRIDES,
    find_secret: FindSecret | None = None,
) -> Settings:
    """Return the settings in `content`, as if it were the file at `path`: see `load`."""
    log = FaultLog(str(path))
    root = parse_yaml(_decode(content, path), log)
    for (section, key), value in overrides.items():
        root = _override(root, section, key, value)
    conversion = Conversion(log, base=path.absolute().parent, environ=environ, find_secret=find_secret)
    settings: Settings = conversion.settings(shape_of(Settings), root)
    try:
        log.raise_if_any()
    except ConfigError as error:
        raise ConfigError([_laid_at_its_door(fault, overrides) for fault in error.faults]) from None
    return settings


def _laid_at_its_door(fault: Fault, overrides: Overrides) -> Fault:
    """Return the fault; that of an overridden value is the command line's, not the file's."""
    for (section, key), value in overrides.items():
        if fault.line == 0 and fault.path == f"{section}.{key}":
            return msgspec.structs.replace(fault, file=f"--{key} {value}")
    return fault


def _read_bytes(path: Path) -> bytes:
    """Return at most one byte more than a configuration may have. Raises OSError, or ValueError for what is no file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ValueError("the file does not exist (switchgear init DIR writes one to start from)") from None
    if stat.S_ISDIR(mode):
        raise ValueError("this is a directory, not a configuration file")
    if not stat.S_ISREG(mode):
        raise ValueError("this is not a regular file")
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _decode(content: bytes, path: Path) -> str:
    """Return the bytes of a file as text, without a byte order mark. Raises `ConfigError`."""
    if len(content) > MOST_BYTES:
        raise ConfigError([Fault(file=str(path), message=f"the file is larger than {MOST_BYTES:,} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError([Fault(file=str(path), line=line, column=1, message="the file is not UTF-8 text")]) from None


def _override(root: Node, section: str, key: str, value: str | int) -> Node:
    """Return the document with one value replaced. It has no place in the file, and so its faults have no line."""
    if not isinstance(root, MapNode):
        return root
    written = root.entries.get(section)
    old = written.node.entries if written and isinstance(written.node, MapNode) else {}
    entries = old | {key: Entry(mark=NOWHERE, node=ScalarNode(mark=NOWHERE, value=value))}
    mark = written.mark if written else NOWHERE
    return MapNode(
        mark=root.mark, entries=root.entries | {section: Entry(mark=mark, node=MapNode(mark=mark, entries=entries))}
    )
