"""What a conversation looks like on a terminal: answers as they come, thinking dim, notes, errors, a sign of waiting."""

from __future__ import annotations

import re

import click
from rich.console import Console
from rich.status import Status

# A model's text must not drive the terminal: all control characters but tab and newline.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen:
    """Shows one answer at a time: `wait`, then `piece`s, then `end`."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._waiting: Status | None = None
        self._thinking = False
        self._column = 0

    def wait(self, text: str) -> None:
        """Show that something is going on until the first piece comes."""
        self._waiting = self._console.status(text, spinner="dots")
        self._waiting.start()

    def piece(self, text: str, thinking: bool) -> None:
        """Show more of an answer."""
        self._stop_waiting()
        if self._thinking and not thinking:
            self._fresh_line()
        self._thinking = thinking
        text = _CONTROLS.sub("", text)
        if not text:
            return
        click.echo(click.style(text, dim=True, italic=True) if thinking else text, nl=False)
        self._column = 0 if text.endswith("\n") else 1

    def end(self) -> None:
        """Finish the answer, complete or not."""
        self._stop_waiting()
        self._thinking = False
        self._fresh_line()

    def note(self, text: str) -> None:
        """Say something that is not the model's."""
        click.secho(text, dim=True)

    def error(self, text: str) -> None:
        """Say what went wrong, in one line."""
        click.secho(one_line(text), fg="red")

    def _fresh_line(self) -> None:
        if self._column:
            click.echo()
        self._column = 0

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.stop()


def one_line(text: str) -> str:
    """Give a message, perhaps an upstream's, without line breaks and control characters."""
    return _CONTROLS.sub("", " ".join(text.split()))
