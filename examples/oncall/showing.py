"""What the demo writes to the terminal: what happens, what is posted in Slack, and what the agent sums up. It decides nothing."""

from __future__ import annotations

import json
import shutil
import textwrap
import time
from collections.abc import Mapping
from typing import Any

from examples.oncall.fake_slack import Message, buttons, lines
from examples.oncall.programs import DemoFailed

_MOST_LINES = 14
_INDENT = " " * 10
_QUOTE = _INDENT + "| "
_LONGEST = 200
_NARROWEST = 40
_WIDEST = 160


class Show:
    """Writes what happens, with the seconds since the beginning, in lines that the terminal has room for."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_WIDEST, 40)).columns))

    def step(self, text: str) -> None:
        """Say what happens."""
        self._write(f"[{time.monotonic() - self._began:5.1f} s] ", text)

    def more(self, text: str) -> None:
        """Say more of it."""
        self._write(_INDENT, text)

    def posted(self, message: Message, what: str) -> None:
        """Show a message of Slack."""
        self.step(f"Slack, #oncall: {what}")
        said = lines(message)
        if what.endswith("changes"):
            # What is new: of a question the outcome, of an incident how it stands.
            state = [line for line in said if line.startswith(("State: ", "Result: "))]
            said = said if buttons(message) else state or said[-2:-1]
        for line in said[:_MOST_LINES]:
            self._write(_QUOTE, line[:_LONGEST])
        if len(said) > _MOST_LINES:
            self._write(_QUOTE, f"… {len(said) - _MOST_LINES} more lines")
        if buttons(message):
            self._write(_QUOTE, " ".join(f"[ {each['text']['text']} ]" for each in buttons(message)))

    def _write(self, before: str, text: str) -> None:
        # A terminal that is told to move, or a line that ends early, would show something else than what was said.
        shown = "".join(character if character.isprintable() else "\ufffd" for character in text)
        rows = textwrap.wrap(shown, self._width - len(before), break_on_hyphens=False, drop_whitespace=False) or [""]
        for place, row in enumerate(rows):
            print((before if not place or before == _QUOTE else " " * len(before)) + row.rstrip(), flush=True)


def conclude(show: Show, response: Mapping[str, Any], *, denied: bool) -> int:
    """Show the summary that a run ended with, and give the exit code. Raises DemoFailed."""
    text = "".join(
        part.get("text", "") for item in response["output"] if item["type"] == "message" for part in item["content"]
    )
    if response["status"] != "completed":
        raise DemoFailed(f"the run ended as {response['status']}: {response.get('error')}")
    summary = json.loads(text)
    show.step(f"the agent's summary: {summary['status']}, severity {summary['severity']}")
    show.more(f"cause:      {summary['cause']}")
    for each in summary["evidence"]:
        show.more(f"evidence:   {each['claim'][:110]}")
        show.more(f"            {each['link']}")
    if summary["runbook"]:
        show.more(f"runbook:    {summary['runbook']['id']} (sha256 {summary['runbook']['sha256'][:16]}…)")
    if summary["action"]:
        show.more(f"action:     {summary['action']['tool']} of {summary['action']['target']}")
    if summary["post_check"]:
        show.more(f"post-check: {'holds' if summary['post_check']['holds'] else summary['post_check']['says']}")
    for each in summary["timeline"]:
        show.more(f"timeline:   {each['at']}: {each['what'][:110]}")
    mended = summary["status"] == "resolved" and bool(summary["post_check"] and summary["post_check"]["holds"])
    good = summary["status"] == "denied" if denied else mended
    show.step("the incident is mended" if mended else "nothing was changed" if denied else "the incident is NOT mended")
    return 0 if good else 1
