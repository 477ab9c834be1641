"""A folder of policies, read: its *.cedar files and cases.yaml. It parses no Cedar and decides nothing."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.config.convert import INVALID, Conversion, Place
from gateway.config.faults import ConfigError, Fault, FaultLog, Mark
from gateway.config.paths import resolve_path
from gateway.config.policy_settings import (
    CasePrincipal,
    CaseResource,
    CaseSettings,
    PolicyCase,
    PolicyDocuments,
    PolicySettings,
    PolicyText,
)
from gateway.config.shapes import Shorthand, shape_of
from gateway.config.yaml_source import ListNode, Node, parse_yaml

CASES: Final = "cases.yaml"
MOST_FILES: Final = 100
MOST_BYTES: Final = 1024 * 1024
"""Of all files of the folder together."""


def expand_principal(text: str) -> dict[str, Any]:
    """Return the long form of "kind:id". Raises ValueError for other text."""
    kind, colon, name = text.partition(":")
    if text != "anonymous" and not (colon and name):
        raise ValueError("expected kind:id, for example user:alice or key:key-1, or the word anonymous")
    return {"kind": kind, "id": name or "anonymous"}


def expand_resource(text: str) -> dict[str, Any]:
    """Return the long form of "kind:id". Raises ValueError for other text."""
    kind, colon, name = text.partition(":")
    if not colon or not name:
        raise ValueError("expected kind:id, for example model:chat or tool:github/create_issue")
    return {"kind": kind, "id": name}


_PRINCIPAL = Shorthand(expand=expand_principal, pattern="^(anonymous|[a-z]+:.+)$", description="kind:id")
_RESOURCE = Shorthand(expand=expand_resource, pattern="^[a-z]+:.+$", description="kind:id")


class _Case(CaseSettings, frozen=True, kw_only=True):
    """A case as it may be written."""

    principal: Annotated[CasePrincipal, _PRINCIPAL]
    resource: Annotated[CaseResource, _RESOURCE]


def policy_folder(settings: PolicySettings, *, base: Path, environ: Mapping[str, str]) -> Path:
    """Give the folder as an absolute path; a relative one counts from `base`, the configuration's directory.

    Raises ConfigError.
    """
    try:
        return resolve_path(settings.folder, base=base.absolute(), environ=environ)
    except ValueError as error:
        raise ConfigError([Fault(file="", path="policies.folder", message=str(error))]) from None


def load_policy_documents(
    settings: PolicySettings, *, base: Path, environ: Mapping[str, str], file: str = ""
) -> PolicyDocuments:
    """Read the folder that the settings name. `file` is the configuration's, for faults in the settings themselves.

    Raises ConfigError with every fault found: a folder or a file that cannot be read, text that is not UTF-8, cases that
    are not of the form that is documented, an unknown time zone.
    """
    zone = _zone(settings.time_zone, file)
    folder = policy_folder(settings, base=base, environ=environ)
    contents = _read_folder(folder)
    faults: list[Fault] = []
    texts: list[PolicyText] = []
    cases: tuple[PolicyCase, ...] = ()
    for path, content in contents.items():
        try:
            text = _decode(content, path)
            if path.name == CASES:
                cases = parse_cases(text, str(path), base=folder)
            else:
                texts.append(PolicyText(name=path.name, path=str(path), text=text))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return PolicyDocuments(
        folder=str(folder),
        texts=tuple(texts),
        cases=cases,
        zone=zone,
        default=settings.default,
        digest=_digest(contents),
    )


def policy_documents(texts: Mapping[str, str], settings: PolicySettings | None) -> PolicyDocuments:
    """Give policies that are written out, by name, as a folder of them would be read. Raises ConfigError for settings with an unknown time zone."""
    settings = settings or PolicySettings()
    return PolicyDocuments(
        folder="",
        texts=tuple(PolicyText(name=name, path=name, text=text) for name, text in texts.items()),
        cases=(),
        zone=_zone(settings.time_zone, ""),
        default=settings.default,
        digest=_digest({Path(name): text.encode() for name, text in texts.items()}),
    )


def digest_policy_folder(settings: PolicySettings, *, base: Path, environ: Mapping[str, str]) -> bytes:
    """Give what differs whenever a document of the folder does. Raises ConfigError when it cannot be read."""
    return _digest(_read_folder(policy_folder(settings, base=base, environ=environ)))


def parse_cases(text: str, path: str, *, base: Path) -> tuple[PolicyCase, ...]:
    """Give the cases in a document, a list; none where nothing but comments is written. Raises ConfigError."""
    if all(line.lstrip().startswith("#") for line in text.splitlines() if line.strip()):
        return ()
    log = FaultLog(path)
    root = parse_yaml(text, log)
    conversion = Conversion(log, base=base, environ={})
    if not isinstance(root, ListNode):
        log.add(root.mark, "", "expected a list of cases")
        log.raise_if_any()
        return ()
    found = [_case(conversion, number, node, path) for number, node in enumerate(root.items)]
    log.raise_if_any()
    return tuple(case for case in found if case is not None)


def _case(conversion: Conversion, number: int, node: Node, path: str) -> PolicyCase | None:
    mark: Mark = node.mark
    value = conversion.read(shape_of(_Case), node, Place(f"[{number}]", mark))
    return None if value is INVALID else PolicyCase(path=path, line=mark.line, case=value)


def _zone(name: str, file: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"no time zone is named {name[:60]!r} here (expected one such as Europe/Berlin)"
        raise ConfigError([Fault(file=file, path="policies.time_zone", message=message)]) from None


def _read_folder(folder: Path) -> dict[Path, bytes]:
    """Read the folder's documents, in the order of their names. Raises ConfigError."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".cedar" or path.name == CASES)
    except OSError as error:
        message = f"the folder of policies cannot be read: {error.strerror}"
        raise ConfigError([Fault(file=str(folder), message=message)]) from None
    if len(paths) > MOST_FILES:
        raise ConfigError([Fault(file=str(folder), message=f"more than {MOST_FILES} files of policies")])
    contents: dict[Path, bytes] = {}
    left = MOST_BYTES
    for path in paths:
        contents[path] = _read_file(path, left)
        left -= len(contents[path])
    return contents


def _read_file(path: Path, most: int) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError([Fault(file=str(path), message="this is not a regular file")])
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ConfigError([Fault(file=str(path), message=f"the file cannot be read: {error.strerror}")]) from None
    if len(content) > most:
        message = f"the files of this folder are larger than {MOST_BYTES:,} bytes together"
        raise ConfigError([Fault(file=str(path), message=message)])
    return content


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError([Fault(file=str(path), line=line, column=1, message="the file is not UTF-8 text")]) from None


def _digest(contents: Mapping[Path, bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for path, content in contents.items():
        # Lengths before texts: no two folders run together to the same bytes.
        name = path.name.encode("utf-8", "surrogateescape")
        digest.update(b"%d %d " % (len(name), len(content)) + name + content)
    return digest.digest()
