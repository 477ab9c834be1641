"""The interactive side of `switchgear chat`: reads lines, follows commands, shows answers.

It owns the main thread, where readline and Ctrl-C work as people expect; the conversation runs in the event loop of another.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from contextlib import suppress

from anyio.from_thread import BlockingPortal

from gateway.cli.answering import answer
from gateway.cli.conversation import Conversation
from gateway.cli.costs import Costs, figures
from gateway.cli.screen import Screen
from gateway.core.errors import SwitchgearError

with suppress(ImportError):
    # Importing it is what gives input() its editing and history. Some Pythons are built without.
    import readline  # noqa: F401

PROMPT = "you> "

HELP = """\
/model NAME    talk with another model (/model alone: which one this is)
/models        list the models
/system TEXT   set the instructions (/system alone: show them; /system - removes them)
/retry         ask the last question again
/clear         forget what was said
/help          show this
/quit          leave (or Ctrl-D, or Ctrl-C here); Ctrl-C during an answer stops it"""


class Repl:
    """One session; `models` are the names that the gateway has."""

    def __init__(
        self, portal: BlockingPortal, conversation: Conversation, models: list[str], costs: Costs, screen: Screen
    ) -> None:
        self._portal = portal
        self._conversation = conversation
        self._models = models
        self._costs = costs
        self._screen = screen
        self._last_question = ""
        self._last_was_answered = False
        self._commands: dict[str, Callable[[str], None]] = {
            "/clear": self._clear,
            "/help": lambda _: screen.note(HELP),
            "/model": self._change_model,
            "/models": self._list_models,
            "/retry": self._retry,
            "/system": self._change_system,
        }

    def run(self) -> None:
        """Talk until the user leaves."""
        self._screen.note(f"{self._conversation.model} · /help shows the commands, /quit or Ctrl-D leaves")
        self._complete_with_tab()
        while (line := self._ask()) is not None:
            name, _, value = line.partition(" ")
            if name in ("/quit", "/exit"):
                return
            if name.startswith("/"):
                self._obey(name, value.strip())
            elif line:
                self._answer(line)

    def _ask(self) -> str | None:
        try:
            return input(PROMPT).strip()
        except (EOFError, KeyboardInterrupt):
            self._screen.note("")
            return None

    def _obey(self, name: str, value: str) -> None:
        command = self._commands.get(name)
        if command is not None:
            command(value)
            return
        near = difflib.get_close_matches(name, [*self._commands, "/quit"], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        self._screen.error(f"unknown command {name}{hint} (/help lists them)")

    def _answer(self, question: str) -> None:
        self._last_question, self._last_was_answered = question, False
        try:
            turn = answer(self._portal, self._conversation, question, self._screen.piece, before=self._wait)
        except SwitchgearError as error:
            self._screen.end()
            self._screen.error(f"{error.code}: {error.message}")
            return
        self._screen.end()
        if turn is None:
            self._screen.note("(stopped; this question and answer are not remembered)")
            return
        self._last_was_answered = True
        self._screen.note(figures(turn, self._conversation.model, self._costs))

    async def _wait(self) -> None:
        loaded = await self._conversation.is_loaded()
        self._screen.wait(self._conversation.model if loaded else f"loading {self._conversation.model}")

    def _clear(self, _: str) -> None:
        self._conversation.clear()
        self._last_was_answered = False
        self._screen.note("(forgotten)")

    def _change_model(self, name: str) -> None:
        if name and name not in self._models:
            near = difflib.get_close_matches(name, self._models, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            self._screen.error(f"There is no model {name}.{hint} There are: {', '.join(self._models)}")
            return
        self._conversation.model = name or self._conversation.model
        self._screen.note(f"(model: {self._conversation.model})")

    def _list_models(self, _: str) -> None:
        for name in self._models:
            self._screen.note(f"{'*' if name == self._conversation.model else ' '} {name}")

    def _change_system(self, text: str) -> None:
        if text:
            self._conversation.system = None if text == "-" else text
        self._screen.note(f"(instructions: {self._conversation.system or 'none'})")

    def _retry(self, _: str) -> None:
        if not self._last_question:
            self._screen.error("There is no question to ask again.")
            return
        if self._last_was_answered:
            self._conversation.take_back()
        self._answer(self._last_question)

    def _complete_with_tab(self) -> None:
        readline = sys.modules.get("readline")
        if readline is None:
            return
        words = [*self._commands, "/quit", *(f"/model {name}" for name in self._models)]

        def complete(text: str, state: int) -> str | None:
            fitting = sorted(word for word in words if text and word.startswith(text))
            return fitting[state] if state < len(fitting) else None

        readline.set_completer(complete)
        readline.set_completer_delims("\n")
        # macOS's Python has libedit behind the same name, which knows other words.
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
