"""What is wrong with a configuration, and where. It describes faults; the modules that read find them."""

import difflib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_/-]+\Z")

# Near matches cost milliseconds each; a document with thousands of faults needs none after the first screens.
_MOST_HINTS: Final = 50


class Mark(NamedTuple):
    """A place in a document: line and column, both counted from one. Line 0 means that there is no place in the file."""

    line: int = 0
    column: int = 0


NOWHERE: Final = Mark()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `line` and `column` count from one; 0 when the fault has no place in the file.

    `path` names the setting ("models.chat.targets[1].provider"), and is empty for the document as a whole.
    """

    file: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Carries every fault that was found, in the order of the file; at least one."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))
        super().__init__("\n".join(map(str, self.faults)))


class FaultLog:
    """Collects the faults of one file while it is read, so that all of them can be reported at once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._faults: list[Fault] = []

    def add(self, mark: Mark, path: str, message: str) -> None:
        """Note a fault; the same one at the same place is noted once."""
        fault = Fault(file=self._file, line=mark.line, column=mark.column, path=path, message=message)
        if not self._faults or self._faults[-1] != fault:
            self._faults.append(fault)

    def __len__(self) -> int:
        return len(self._faults)

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with everything that was noted, if anything was."""
        if self._faults:
            raise ConfigError(self._faults)

    def near(self, word: str, known: Iterable[str]) -> str:
        """Return "; did you mean 'X'?" for the closest known word, or an empty string."""
        if len(self._faults) >= _MOST_HINTS or len(word) > 100:
            return ""
        close = difflib.get_close_matches(word, list(known), n=1)
        return f"; did you mean '{close[0]}'?" if close else ""


def child_path(path: str, key: str) -> str:
    """Return the path of a key below `path`; a key with dots or odd characters is quoted: models["gpt-4.1"]."""
    if not _PLAIN_KEY.match(key):
        return f'{path}["{_printable(key)}"]'
    return f"{path}.{key}" if path else key


def item_path(path: str, index: int) -> str:
    """Return the path of an item, counted from zero, of the list at `path`."""
    return f"{path}[{index}]"


def shown(text: str) -> str:
    """Return `text` quoted for a message, on one line and of bounded length."""
    return f"'{_printable(text)}'"


def _printable(text: str) -> str:
    start = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:80])
    return start if len(text) <= 80 else f"{start}…"
