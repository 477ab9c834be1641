"""Runbooks, read from their files: front matter, sections with the lines where they stand, and the hash of what was read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import yaml
from msgspec import Meta

MOST_BYTES: Final = 1024 * 1024
MOST_FILES: Final = 5000
_HEADING: Final = re.compile(r"(#{1,6})\s+(?=\S)").match
_FENCE: Final = re.compile(r"\s*(```|~~~)").match
_MARK: Final = "---"

Severity: TypeAlias = Literal["critical", "high", "medium", "low", "info"]
Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: what is done, and with which tool where one does it (`server/tool`). It is a proposal: whoever follows it asks for leave as for any call."""

    do: Words
    tool: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}/[A-Za-z0-9_.-]{1,128}$")] | None = None
    arguments: dict[str, Any] = {}


class FrontMatter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a runbook says of itself. `alerts` are names of alerts; a `*` in one stands for anything. `labels` are for alerts of any name that have all of them."""

    title: Words
    alerts: tuple[Words, ...] = ()
    labels: dict[Words, Words] = {}
    severity: Severity | None = None
    owner: Words | None = None
    services: tuple[Words, ...] = ()
    steps: tuple[Step, ...] = ()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part under a heading; `path` are the headings above it and its own. Lines count from 1, both included."""

    path: tuple[str, ...]
    first: int
    last: int
    text: str


class Runbook(msgspec.Struct, frozen=True, kw_only=True):
    """One runbook. `id` is its path in the folder without `.md`; `hash` is the SHA-256 of the file."""

    id: str
    hash: str
    about: FrontMatter
    text: str
    sections: tuple[Section, ...]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A file that cannot be used, and why."""

    file: str
    message: str


class Unreadable(Exception):
    """A file is no runbook; the text says why and where."""


def files_of(folder: Path) -> list[Path]:
    """Give the files that are to be runbooks. What lies outside of the folder, by a link, is none. Raises OSError."""
    root = folder.resolve(strict=True)
    found = (path for path in sorted(folder.rglob("*.md")) if path.is_file() and path.resolve().is_relative_to(root))
    return [path for path, _ in zip(found, range(MOST_FILES), strict=False)]


def read_runbook(folder: Path, path: Path) -> Runbook:
    """Read one. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be read") from None
    if len(data) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES} bytes"
        raise Unreadable(msg)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        msg = "it is not UTF-8 text"
        raise Unreadable(msg) from None
    about, body = _front_matter(text.split("\n"))
    return Runbook(
        id=path.relative_to(folder).with_suffix("").as_posix(),
        hash=hashlib.sha256(data).hexdigest(),
        about=about,
        text=text,
        sections=tuple(_sections(text.split("\n"), body, about.title)),
    )


def _front_matter(lines: list[str]) -> tuple[FrontMatter, int]:
    """Give what stands between the two marks, and how many lines it takes."""
    if lines[0].rstrip() != _MARK:
        msg = f"line 1: it has to begin with front matter, between two lines `{_MARK}`"
        raise Unreadable(msg)
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _MARK), None)
    if end is None:
        msg = f"line 1: the front matter has no end, a line `{_MARK}`"
        raise Unreadable(msg)
    try:
        return msgspec.convert(_plain_yaml("\n".join(lines[1:end])), FrontMatter), end + 1
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 2}: "
        msg = f"{where}the front matter is not YAML"
        raise Unreadable(msg) from None
    except (msgspec.ValidationError, RecursionError) as error:
        msg = f"front matter: {error}"
        raise Unreadable(msg) from None


def _plain_yaml(text: str) -> object:
    """Read YAML without aliases: with them, a few lines are gigabytes when they are written out, or have no end. Raises YAMLError and Unreadable."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            where = "" if event.start_mark is None else f"line {event.start_mark.line + 2}: "
            msg = f"{where}the front matter has an alias, which would stand for more than is written"
            raise Unreadable(msg)
    return yaml.safe_load(text)


def _sections(lines: list[str], body: int, title: str) -> Iterator[Section]:
    """Cut the text at its headings; what stands in fences of code is none."""
    path: list[tuple[int, str]] = [(0, title)]
    first, fenced = body, False

    def section(last: int) -> Iterator[Section]:
        text = "\n".join(lines[first:last]).strip()
        if text:
            yield Section(path=tuple(name for _, name in path), first=first + 1, last=last, text=text)

    for number in range(body, len(lines)):
        if _FENCE(lines[number]):
            fenced = not fenced
        heading = None if fenced else _HEADING(lines[number])
        if heading is not None:
            yield from section(number)
            depth, first = len(heading[1]), number
            title = lines[number][heading.end() :].rstrip().rstrip("#").rstrip()
            path = [*((level, name) for level, name in path if level < depth), (depth, title)]
    yield from section(len(lines))
