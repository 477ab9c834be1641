"""`switchgear chat`: a conversation in the terminal, with tokens, cost and time after each answer."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import click
from rich.console import Console

from gateway.cli.conversation import Conversation, Turn
from gateway.cli.costs import Costs
from gateway.cli.gateway_url import open_gateway
from gateway.cli.options import config_option
from gateway.config import ConfigError
from gateway.core.errors import SwitchgearError
from gateway.telemetry.logs import configure_logs

HELP = "/model NAME changes the model, /system TEXT the instructions, /clear forgets, /quit (or Ctrl-D) leaves; Ctrl-C stops an answer."


@click.command()
@click.argument("model", required=False)
@config_option
@click.option(
    "--url",
    help="A running gateway, for example http://127.0.0.1:8080. Without it: the configured one, or one of its own.",
)
@click.option("--key", envvar="SWITCHGEAR_KEY", help="The key to send (or the variable SWITCHGEAR_KEY).")
@click.option("--system", help="Instructions for the model.")
def command(model: str | None, config: Path, url: str | None, key: str | None, system: str | None) -> None:
    """Talk with MODEL (without it: the first one). Text from a pipe is one message; its answer is printed plainly."""
    configure_logs(format="auto", level="error")

    async def run() -> None:
        async with open_gateway(config, url, key) as found:
            conversation = Conversation(found.url, found.key, model or "", system)
            try:
                if not conversation.model:
                    conversation.model = (await conversation.models())[0]
                chat = Chat(conversation, Costs.of(config))
                await (chat.interactive() if sys.stdin.isatty() else chat.once(sys.stdin.read()))
            finally:
                await conversation.aclose()

    try:
        anyio.run(run, backend="asyncio", backend_options={"use_uvloop": True})
    except* (ConfigError, SwitchgearError) as errors:
        for error in _leaves(errors):
            click.echo(str(error), err=True)
        sys.exit(1)


class Chat:
    """Reads lines, shows answers."""

    def __init__(self, conversation: Conversation, costs: Costs) -> None:
        self._conversation = conversation
        self._costs = costs
        self._out = Console(highlight=False)
        self._notes = Console(stderr=True, highlight=False)
        self._scope: anyio.CancelScope | None = None

    async def once(self, text: str) -> None:
        """Answer one message; figures go to standard error."""
        turn = await self._conversation.say(text.strip(), self._show)
        self._out.print()
        self._notes.print(self._figures(turn), style="dim", markup=False, soft_wrap=True)

    async def interactive(self) -> None:
        """Talk until the user leaves."""
        self._out.print(f"[bold]{self._conversation.model}[/] {HELP}", style="dim")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_answers_on_interrupt)
            while (line := await self._ask()) is not None:
                if line.startswith("/"):
                    if not self._obey(line):
                        break
                elif line:
                    await self._answer(line)
            tasks.cancel_scope.cancel()

    async def _ask(self) -> str | None:
        try:
            return (await anyio.to_thread.run_sync(input, "you> ", abandon_on_cancel=True)).strip()
        except EOFError:
            return None

    def _obey(self, line: str) -> bool:
        """Follow a command; False leaves."""
        name, _, value = line.partition(" ")
        conversation = self._conversation
        if name in ("/quit", "/exit"):
            return False
        if name == "/model" and value:
            conversation.model = value.strip()
        elif name == "/system":
            conversation.system = value.strip() or None
        elif name == "/clear":
            conversation.messages = []
        else:
            self._out.print(HELP, style="dim")
        return True

    async def _answer(self, line: str) -> None:
        with anyio.CancelScope() as self._scope:
            try:
                turn = await self._conversation.say(line, self._show)
            except SwitchgearError as error:
                self._out.print(f"\n{error.code}: {error.message}", style="red", markup=False)
            else:
                self._out.print(f"\n{self._figures(turn)}", style="dim", markup=False, soft_wrap=True)
        if self._scope.cancelled_caught:
            self._out.print("\n(stopped)", style="dim")
        self._scope = None

    async def _stop_answers_on_interrupt(self) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if self._scope is None:
                    raise KeyboardInterrupt
                self._scope.cancel()

    def _show(self, piece: str, thinking: bool) -> None:
        self._out.print(piece, end="", style="dim italic" if thinking else None, markup=False, soft_wrap=True)

    def _figures(self, turn: Turn) -> str:
        usage = turn.usage
        tokens = "tokens unknown" if usage is None else f"{usage.input_total} + {usage.output_total} tokens"
        if usage is not None and usage.estimated:
            tokens += " (estimated)"
        first = "" if turn.first is None else f", first after {turn.first:.2f} s"
        return f"{turn.target or self._conversation.model}: {tokens}, {self._costs.shown(turn.target, usage)}, {turn.duration:.2f} s{first}"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
