"""`switchgear models`: which models there are, what serves them, and in which state it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec
from rich.console import Console
from rich.table import Table

from gateway.cli.gateway_url import answers
from gateway.cli.options import config_option
from gateway.config import ConfigError, load, read_environment
from gateway.core.errors import UpstreamError
from gateway.providers.http.native import NativeUpstream
from gateway.providers.http.protocol import HttpRequest, HttpTimeouts


@click.command()
@config_option
@click.option("--url", help="A running gateway; without it the configured one is asked if it runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: Path, url: str | None, as_json: bool) -> None:
    """List the configured models. States are known only of a running gateway."""
    try:
        found = anyio.run(_collect, config, url)
    except (ConfigError, UpstreamError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("model", "target", "state", box=None, pad_edge=False)
    for model, targets in found.items():
        for number, target in enumerate(targets):
            state = target.get("state", "not running")
            detail = f" ({target['detail']})" if target.get("detail") else ""
            table.add_row("" if number else model, target["target"], state + detail)
    Console(highlight=False).print(table)


async def _collect(config: Path, url: str | None) -> dict[str, list[dict[str, Any]]]:
    if url is None:
        settings = load(config, read_environment())
        configured = f"http://{settings.server.host}:{settings.server.port}"
        if not settings.server.port or not await answers(configured):
            return {
                name: [{"target": f"{target.provider}/{target.model}"} for target in model.targets]
                for name, model in settings.models.items()
            }
        url = configured
    client = NativeUpstream(url.rstrip("/"), connections=1)
    try:
        response = await client.request(HttpRequest(method=b"GET", path=b"/readyz"), HttpTimeouts(connect=3, total=10))
        body = await response.read_all(1 << 24)
        await response.aclose()
    finally:
        await client.aclose()
    models: dict[str, list[dict[str, Any]]] = msgspec.json.decode(body)["models"]
    return models
