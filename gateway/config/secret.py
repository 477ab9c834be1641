"""A secret value, and where it came from. It can be used but not shown; it is never written into a document itself."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, Self

from gateway.config.paths import resolve_path

SOURCE_PATTERN: Final = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
HOW_TO_WRITE: Final = "a secret is written as env:NAME (an environment variable) or file:path (a file), never as itself"

_MOST_BYTES: Final = 64 * 1024
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Secret:
    """A value that must not be shown. `source` says where it came from ("env:NAME", "file:path") and may be shown.

    Two secrets are equal when source and value are. Nothing prints, copies out or serialises the value but `reveal`.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, *, source: str) -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the value itself, for the one place that sends or compares it."""
        return self._value

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


def read_secret(reference: str, *, base: Path, environ: Mapping[str, str]) -> Secret:
    """Return the secret that `env:NAME` or `file:path` names; a relative path counts from `base`.

    White space around the value is dropped (files end in a newline). Raises ValueError, whose text never holds a value,
    when the reference is not of that form or leads to nothing usable.
    """
    scheme, colon, name = reference.partition(":")
    if not colon or scheme not in {"env", "file"}:
        raise ValueError(HOW_TO_WRITE)
    value = (_from_variable(name, environ) if scheme == "env" else _from_file(name, base, environ)).strip()
    where = f"the environment variable {name}" if scheme == "env" else f"the secret file {name}"
    if not value:
        raise ValueError(f"{where} is empty")
    return Secret(value, source=reference)


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
