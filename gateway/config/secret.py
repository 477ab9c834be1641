"""A secret value, and where it came from. It can be used but not shown; it is never written into a document itself.

`env:NAME` and `file:path` are read here. `secret:NAME` is kept, encrypted, in the database: what reads that is handed in, as
a `FindSecret`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn, Self, TypeAlias

from gateway.config.paths import resolve_path

FindSecret: TypeAlias = Callable[[str], str | None]
"""Gives the value that the database keeps under a name, None when there is none. Raises ValueError when it cannot be read."""

SOURCE_PATTERN: Final = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|secret:[A-Za-z0-9][A-Za-z0-9._-]{0,127})$"
SOURCES: Final = ("env:", "file:", "secret:")
"""How the reference to a secret begins."""

HOW_TO_WRITE: Final = (
    "a secret is written as env:NAME (an environment variable), file:path (a file) or secret:NAME (one kept in the "
    "database), never as itself"
)

_STAND_IN: Final = "http://stand-in.invalid/"

_MOST_BYTES: Final = 64 * 1024
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KEPT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Secret:
    """A value that must not be shown. `source` says where it came from ("env:NAME", "file:path", "secret:NAME") and may be shown.

    Two secrets are equal when source and value are. Nothing prints, copies out or serialises the value but `reveal`.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, *, source: str) -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the value itself, for the one place that sends or compares it."""
        return self._value

    @property
    def in_database(self) -> bool:
        """Whether the database keeps it: then nothing that opens the database may need it."""
        return self.source.startswith("secret:")

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.source, self._value) == (other.source, other._value)

    def __hash__(self) -> int:
        return hash((self.source, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = "a secret cannot be pickled"
        raise TypeError(message)


def reveal(value: str | Secret) -> str:
    """Return a setting that may be plain text or a secret as the text to send."""
    return value.reveal() if isinstance(value, Secret) else value


def stand_in(name: str) -> str:
    """Give a value in the place of a secret that the database keeps: a `FindSecret` for who checks, and connects to nothing.

    It is a key, a header's value and an address that leads nowhere, so whatever the secret is for, it passes for one.
    """
    del name
    return _STAND_IN


def read_secret(
    reference: str, *, base: Path, environ: Mapping[str, str], find_secret: FindSecret | None = None
) -> Secret:
    """Return the secret that `env:NAME`, `file:path` or `secret:NAME` names; a relative path counts from `base`.

    White space around the value is dropped (files end in a newline). Raises ValueError, whose text never holds a value,
    when the reference is not of that form or leads to nothing usable; `secret:NAME` does where no `find_secret` is given.
    """
    scheme, colon, name = reference.partition(":")
    if not colon or f"{scheme}:" not in SOURCES:
        raise ValueError(HOW_TO_WRITE)
    if scheme == "secret":
        value, where = _from_database(name, find_secret).strip(), f"the secret {name} of the database"
    elif scheme == "env":
        value, where = _from_variable(name, environ).strip(), f"the environment variable {name}"
    else:
        value, where = _from_file(name, base, environ).strip(), f"the secret file {name}"
    if not value:
        raise ValueError(f"{where} is empty")
    return Secret(value, source=reference)


def _from_database(name: str, find_secret: FindSecret | None) -> str:
    if not _KEPT.match(name):
        # The text after secret: may be a pasted key, so it is not repeated.
        raise ValueError("secret: must be followed by a name of letters, digits, dots, dashes and underscores")
    if find_secret is None:
        raise ValueError("secret:NAME needs the database: set database and secrets.master_key, or use env: or file:")
    value = find_secret(name)
    if value is None:
        # The name may be a pasted key, too.
        raise ValueError("the database keeps no secret of this name: switchgear secret list shows those that it keeps")
    return value


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    if not _VARIABLE.match(name):
        # The text after env: may be a pasted key, so it is not repeated.
        raise ValueError("env: must be followed by the name of an environment variable")
    if name not in environ:
        raise ValueError(f"the environment variable {name} is not set")
    return environ[name]


def _from_file(name: str, base: Path, environ: Mapping[str, str]) -> str:
    path = resolve_path(name, base=base, environ=environ)
    try:
        if not path.is_file():
            raise ValueError(f"the secret file {name} does not exist, or is no regular file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the secret file {name} cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise ValueError(f"the secret file {name} is larger than {_MOST_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # The error would carry the content.
        raise ValueError(f"the secret file {name} is not UTF-8 text") from None
