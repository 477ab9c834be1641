"""`switchgear chat`: a conversation in the terminal, with tokens, cost and time after each answer."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.shell_completion import CompletionItem

from gateway.cli.answering import answer
from gateway.cli.conversation import Conversation
from gateway.cli.costs import Costs, figures
from gateway.cli.embedding_models import makes_embeddings
from gateway.cli.gateway_url import Found, open_gateway
from gateway.cli.options import config_option, default_config, url_option
from gateway.cli.repl import Repl
from gateway.cli.screen import Screen, one_line
from gateway.config import ConfigError, peek, read_environment
from gateway.core.errors import ModelNotFound, SwitchgearError
from gateway.server import ServerStartError
from gateway.telemetry.logs import configure_logs

INTERRUPTED_EXIT = 130
"""What shells make of SIGINT."""


class _Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with a model that exists, and the names of all models."""

    conversation: Conversation
    models: list[str]


def _complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del param
    try:
        settings = peek(ctx.params.get("config") or default_config(), read_environment())
    except ConfigError:
        return []
    return [CompletionItem(name) for name in settings.models if name.startswith(incomplete)]


@click.command()
@click.argument("model", required=False, shell_complete=_complete_model)
@config_option
@url_option
@click.option("--key", envvar="SWITCHGEAR_KEY", show_envvar=True, help="The key to send.")
@click.option("--system", help="Instructions for the model.")
def command(model: str | None, config: Path, url: str | None, key: str | None, system: str | None) -> None:
    """Talk with MODEL (without it: the first one that chats).

    It talks to the gateway at --url, else to the one that runs where the configuration says, else it starts one of its own
    for as long as the conversation lasts. Text from a pipe is one message: its answer goes to standard output, figures to
    standard error.
    """
    configure_logs(format="auto", level="error")
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    question = "" if interactive else sys.stdin.read().strip()
    if not interactive and not question:
        click.echo("There is no message on standard input.", err=True)
        sys.exit(1)
    status = 0
    try:
        with (
            start_blocking_portal(backend="asyncio", backend_options={"use_uvloop": True}) as portal,
            portal.wrap_async_context_manager(_open_talk(config, url, key, model, system)) as talk,
        ):
            costs = Costs.of(config)
            if interactive:
                Repl(portal, talk.conversation, talk.models, costs, Screen()).run()
            else:
                status = _answer_once(portal, talk.conversation, question, costs)
    except* KeyboardInterrupt:
        click.echo(err=True)
        status = INTERRUPTED_EXIT
    except* (ConfigError, SwitchgearError, ServerStartError, BrokenPipeError) as errors:
        for error in _leaves(errors):
            _say_error(error)
        status = 1
    sys.exit(status)


@asynccontextmanager
async def _open_talk(
    config: Path, url: str | None, key: str | None, model: str | None, system: str | None
) -> AsyncIterator[_Talk]:
    async with open_gateway(config, url, key) as found:
        if found.own:
            where = f" at {found.tried}" if found.tried else ""
            click.echo(f"No gateway answers{where}; this chat runs its own.", err=True)
        conversation = Conversation(found.url, found.key, model or "", system)
        try:
            models = await conversation.models()
            if found.expected is not None and set(found.expected) != set(models):
                click.echo(f"The gateway at {found.url} does not serve the models of {config}.", err=True)
            conversation.model = _choose(model, models, found)
            yield _Talk(conversation=conversation, models=list(models))
        finally:
            await conversation.aclose()


def _choose(model: str | None, models: dict[str, list[str]], found: Found) -> str:
    """Give the model asked for, else the first that chats. Raises ModelNotFound, which names those that there are."""
    if model is None:
        chatting = (name for name, targets in models.items() if not any(map(makes_embeddings, targets)))
        model = next(chatting, "")
    if model not in models:
        missing = f"model {model!r}" if model else "model that chats"
        where = "" if found.own else f" at {found.url}"
        hint = "" if found.expected is None else ". Another gateway: --url"
        raise ModelNotFound(f"There is no {missing}{where}. There are: {', '.join(models) or 'none'}{hint}")
    return model


def _answer_once(portal: BlockingPortal, conversation: Conversation, question: str, costs: Costs) -> int:
    """Answer one message plainly: words to standard output, figures to standard error. Gives the exit status.

    Raises SwitchgearError.
    """
    shown = [""]

    def show(piece: str, thinking: bool) -> None:
        if piece and not thinking:
            click.echo(piece, nl=False)
            shown[0] = piece

    try:
        turn = answer(portal, conversation, question, show)
    finally:
        if shown[0] and not shown[0].endswith("\n"):
            click.echo()
    if turn is None:
        return INTERRUPTED_EXIT
    click.echo(figures(turn, conversation.model, costs), err=True)
    return 0


def _say_error(error: BaseException) -> None:
    if isinstance(error, ConfigError):
        for fault in error.faults:
            click.echo(str(fault), err=True)
    elif isinstance(error, SwitchgearError):
        click.echo(f"{error.code}: {one_line(error.message)}", err=True)
    elif isinstance(error, ServerStartError):
        click.echo(str(error), err=True)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
