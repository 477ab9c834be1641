"""`switchgear secret`: the encrypted secrets of a configuration's database. It works with the server down; nothing shows a value."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import click
import msgspec

from gateway.cli.options import config_option
from gateway.cli.secret_keeping import operator, secrets_of
from gateway.core.caller import DEFAULT_TENANT
from gateway.stores.secrets import MOST_BYTES, Rewrapped, SecretInfo, check_name, check_value
from gateway.telemetry.logs import configure_logs

tenant_option = click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose secret it is.")


@click.group()
def command() -> None:
    """Keep secrets, encrypted, in the database of a configuration.

    A configuration refers to one as secret:NAME, beside env:NAME and file:path. It takes effect at the next reload.
    """
    configure_logs(format="console", level="error")


@command.command("set")
@click.argument("name")
@tenant_option
@config_option
def set_secret(name: str, tenant: str, config: Path) -> None:
    """Set a secret. The value is read from standard input, or asked for on a terminal; never from the command line."""
    try:
        value = check_value(_read_value())
        check_name(name)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    info = anyio.run(_put, config, name, value, tenant)
    click.echo(f"{name}: version {info.version} is set; it takes effect at the next reload")


@command.command("list")
@click.option("--tenant", default=None, help="Only this tenant's.  [default: every tenant's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_secrets(tenant: str | None, as_json: bool, config: Path) -> None:
    """List the secrets: name, version, when it was set, and the id of the master key that protects it. No values."""
    found = anyio.run(_find_all, config, tenant)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for info in found:
        click.echo(_line(info))
    if not found:
        click.echo("no secrets", err=True)


@command.command("delete")
@click.argument("name")
@tenant_option
@config_option
def delete_secret(name: str, tenant: str, config: Path) -> None:
    """Delete a secret. What refers to it keeps its value until the next reload, which is then refused."""
    if not anyio.run(_remove, config, name, tenant):
        raise click.ClickException(f"there is no secret {name} of tenant {tenant}")
    click.echo(f"{name}: deleted")


@command.command("rotate")
@config_option
def rotate(config: Path) -> None:
    """Protect every secret with secrets.master_key instead of one of secrets.old_master_keys.

    May be cut off and run again. When it says that all are done, the old keys can go from the configuration.
    """
    done = anyio.run(_rewrap, config)
    for info in done.unreadable:
        click.echo(f"{info.name} of tenant {info.tenant}: master key {info.master_key} is not configured", err=True)
    click.echo(f"secrets wrapped anew: {done.done}")
    if done.unreadable:
        raise click.ClickException(f"{len(done.unreadable)} secrets cannot be read: set them again, or delete them")
    click.echo("all secrets are protected by secrets.master_key")


def _read_value() -> str:
    """Raises ValueError for what is too long, or no text."""
    if sys.stdin.isatty():
        value: str = click.prompt("Value", hide_input=True, confirmation_prompt=True)
        return value
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"a value has at most {MOST_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # The error would carry the value.
        raise ValueError("the value is not UTF-8 text") from None


async def _put(config: Path, name: str, value: str, tenant: str) -> SecretInfo:
    async with secrets_of(config) as secrets:
        return await secrets.put(name, value, actor=operator(), tenant=tenant)


async def _find_all(config: Path, tenant: str | None) -> tuple[SecretInfo, ...]:
    async with secrets_of(config) as secrets:
        return await secrets.find_all(tenant=tenant)


async def _remove(config: Path, name: str, tenant: str) -> bool:
    async with secrets_of(config) as secrets:
        return await secrets.remove(name, actor=operator(), tenant=tenant)


async def _rewrap(config: Path) -> Rewrapped:
    async with secrets_of(config) as secrets:
        return await secrets.rewrap(actor=operator())


def _line(info: SecretInfo) -> str:
    when = datetime.fromtimestamp(info.updated_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    owner = "" if info.tenant == DEFAULT_TENANT else f"  tenant {info.tenant}"
    return f"{info.name}  version {info.version}  {when}Z  master key {info.master_key}{owner}"
