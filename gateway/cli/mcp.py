"""`switchgear mcp`: the gateway's /mcp for assistants that want to start a program, and what to write into their settings."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

import anyio
import click

from gateway.cli.address import local_url_of
from gateway.cli.admin_client import fail
from gateway.cli.admin_options import URL_VARIABLE
from gateway.cli.mcp_bridge import Bridge
from gateway.cli.mcp_clients import CLIENTS, TRANSPORTS, Asked, instructions
from gateway.cli.mcp_lines import standard_lines
from gateway.cli.options import GatewayUrl, config_option
from gateway.cli.screen import one_line
from gateway.config import ConfigError, peek, read_environment

KEY_VARIABLE = "SWITCHGEAR_API_KEY"
MOST_OF_A_LINE = 8 * 1024 * 1024
_PATH = "/mcp"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_KEY_FILE = "~/.switchgear-key"
_CUSTOMARY = local_url_of("127.0.0.1", 8080)

_url_option = click.option(
    "--url",
    type=GatewayUrl(),
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="The gateway, for example https://gateway.example.com/mcp; without it the one on this machine.",
)
_key_file_option = click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the key; without it the variable {KEY_VARIABLE} has it.",
)


@click.group(invoke_without_command=True)
@_url_option
@_key_file_option
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path, url: str | None, key_file: Path | None) -> None:
    """Carry messages of MCP between standard input and output and the gateway's /mcp.

    An assistant starts this; what it is to write into its settings, `switchgear mcp install` prints. Messages of either revision of the protocol
    go through as they are. It ends when standard input ends; while the gateway is away, requests get an error.
    """
    if ctx.invoked_subcommand is not None:
        return
    headers = _headers(key_file)
    anyio.run(_carry, _address(config, url), headers)


@command.command()
@click.option(
    "--client", type=click.Choice([*CLIENTS]), help="The assistant; without it, all that are known are listed."
)
@click.option(
    "--transport",
    type=click.Choice(TRANSPORTS),
    help="http: the assistant speaks to the gateway itself; stdio: it starts this command. Without it, what suits the assistant.",
)
@click.option("--name", default="switchgear", show_default=True, help="What the assistant calls it.")
@_key_file_option
@click.option("--oauth", is_flag=True, help="The assistant gets a token by itself; no key is written.")
@_url_option
@config_option
def install(
    *,
    client: str | None,
    transport: str | None,
    name: str,
    key_file: Path | None,
    oauth: bool,
    url: str | None,
    config: Path,
) -> None:
    """Print what to write where, so that an assistant uses the gateway's tools. Nothing is written, and no key is printed."""
    if client is None:
        for known in CLIENTS.values():
            click.echo(f"{known.id:<16}{known.title} ({', '.join(known.forms)})")
        return
    if not _NAME.match(name):
        fail("A name has at most 64 letters, digits, dashes and underscores.")
    asked = Asked(
        url=_address(config, url),
        name=name,
        transport=transport,
        oauth=oauth,
        variable=KEY_VARIABLE,
        command=_own_command(),
        key_file=str(key_file or _KEY_FILE),
    )
    try:
        click.echo(instructions(CLIENTS[client], asked), nl=False)
    except ValueError as error:
        fail(str(error))


async def _carry(url: str, headers: dict[str, str]) -> None:
    tell = functools.partial(print, "switchgear mcp:", file=sys.stderr, flush=True)
    async with standard_lines(MOST_OF_A_LINE) as lines:
        await Bridge(url, headers, lines, lambda text: tell(one_line(text))).run()


def _address(config: Path, url: str | None) -> str:
    """Give the address of /mcp: that of `url`, else where the configuration says, else the customary one of this machine."""
    if url is None:
        url = _CUSTOMARY
        if config.exists():
            try:
                server = peek(config, read_environment()).server
            except ConfigError as error:
                fail(str(error))
            url = local_url_of(server.host, server.port) if server.port else _CUSTOMARY
    return url if url.endswith(_PATH) else url + _PATH


def _headers(key_file: Path | None) -> dict[str, str]:
    """Give the headers that carry the key; none without one: a gateway on this machine may ask for none."""
    try:
        # Assistants hand arguments over as they are written: nobody has put a home in the place of ~.
        key_file = None if key_file is None else key_file.expanduser()
        key = read_environment().get(KEY_VARIABLE, "") if key_file is None else key_file.read_text("utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        fail(f"The key cannot be read from {key_file}: {type(error).__name__}.")
    key = key.strip()
    if not key:
        return {}
    if not key.isascii() or not key.isprintable() or " " in key:
        fail("What should be the key holds spaces, line breaks or characters outside ASCII, which no key has.")
    return {"authorization": f"Bearer {key}"}


def _own_command() -> str:
    """Give how this program was started: assistants seldom have its folder in their PATH."""
    program = Path(sys.argv[0])
    return str(program.absolute()) if program.name == "switchgear" else "switchgear"
