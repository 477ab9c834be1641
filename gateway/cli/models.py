"""`switchgear models`: which models there are, what serves them, and in which state it is."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click
import msgspec
from rich.console import Console
from rich.table import Table

from gateway.cli.gateway_url import find_running
from gateway.cli.options import config_option, url_option
from gateway.config import ConfigError, peek, read_environment
from gateway.core.errors import SwitchgearError, Unauthenticated, UpstreamBroken
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts

NOT_RUNNING = "not running"
_TIMEOUTS = HttpTimeouts(connect=3, first_byte=10, total=10)


class TargetState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What serves a model ("provider/model"), and its state: ready, cold, starting, failed, or not running."""

    target: str
    state: str
    detail: str | None = None


class _Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of /readyz."""

    models: dict[str, list[TargetState]] | None = None


@click.command()
@config_option
@url_option
@click.option("--key", envvar="SWITCHGEAR_KEY", show_envvar=True, help="The key to send.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: Path, url: str | None, key: str | None, as_json: bool) -> None:
    """List the models and what serves them.

    States are known only of a running gateway: the one at --url, else the one where the configuration says. A cold model
    is loaded by its first call.
    """
    try:
        found = anyio.run(_collect, config, url, key)
    except (ConfigError, SwitchgearError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    table = Table("model", "target", "state", box=None, pad_edge=False)
    for model, targets in found.items():
        for number, target in enumerate(targets):
            detail = f" ({target.detail})" if target.detail else ""
            table.add_row("" if number else model, target.target, target.state + detail)
    # Names may look like markup; a pipe has no width to fit into.
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table, width=None if console.is_terminal else 4096, crop=False)


async def _collect(config: Path, url: str | None, key: str | None) -> dict[str, list[TargetState]]:
    if url is None:
        settings = peek(config, read_environment())
        url = await find_running(settings)
        if url is None:
            return {
                name: [
                    TargetState(target=f"{target.provider}/{target.model}", state=NOT_RUNNING)
                    for target in model.every_target
                ]
                for name, model in settings.models.items()
            }
        keys = settings.server.keys
        key = key or (keys[0].reveal() if keys else None)
    return await _fetch(url, key)


async def _fetch(url: str, key: str | None) -> dict[str, list[TargetState]]:
    headers = () if key is None else ((b"authorization", b"Bearer " + key.encode()),)
    client = NativeUpstream(url, connections=1)
    try:
        # It answers 503 while something starts or the server drains, and still tells all.
        response = await client.request(HttpRequest(method=b"GET", path=b"/readyz", headers=headers), _TIMEOUTS)
        body = await response.read_all(1 << 24)
        await response.aclose()
    finally:
        await client.aclose()
    try:
        models = msgspec.json.decode(body, type=_Readiness).models
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UpstreamBroken(f"what answers at {url} is no Switchgear gateway") from exc
    if models is None:
        raise Unauthenticated("the gateway tells of its models only to who has a key: --key, or SWITCHGEAR_KEY")
    return models
