"""A program on a terminal of its own: what it prints can be awaited, keys can be pressed. Linux and macOS."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]")
INTERRUPT, END_OF_INPUT, TAB, UP = "\x03", "\x04", "\t", "\x1b[A"


class Terminal:
    """Runs `command` on a pseudo-terminal; `text` is all that it printed, without escape sequences."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self._end, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**env, "TERM": "xterm-256color"},
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - Ctrl-C needs a controlling terminal
        )
        os.close(child)
        self.raw = b""
        self._seen = 0

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def enter(self, line: str) -> None:
        self.press(f"{line}\r")

    def wait_for(self, wanted: str, within: float = 15.0) -> str:
        """Wait until `wanted` is printed after what was waited for before; what was printed up to and with it."""
        deadline = time.monotonic() + within
        while (at := self.text.find(wanted, self._seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"{wanted!r} was not printed; this was:\n{self.text[self._seen :]}")
        begin, self._seen = self._seen, at + len(wanted)
        return self.text[begin : self._seen]

    def exit_code(self, within: float = 10.0) -> int:
        """Wait for the end, reading on: a program may not be able to end before its last words are read."""
        deadline = time.monotonic() + within
        while self._read(deadline):
            pass
        return self.process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def ends(self, within: float) -> bool:
        """Whether the program ends by then."""
        try:
            self.exit_code(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=5)
        os.close(self._end)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._end, 65536)
        except OSError:  # Linux's way to say that nobody holds the other end
            return False
        self.raw += data
        return bool(data)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
