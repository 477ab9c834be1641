"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.providers.http.head import parse_base_url

DEFAULT_CONFIG = Path("config/switchgear.yaml")
FALLBACK_CONFIG = Path("switchgear.yaml")


def default_config() -> Path:
    """Give config/switchgear.yaml, or switchgear.yaml where only that exists."""
    if not DEFAULT_CONFIG.exists() and FALLBACK_CONFIG.exists():
        return FALLBACK_CONFIG
    return DEFAULT_CONFIG


class GatewayUrl(click.ParamType[str]):
    """The address of a gateway: http:// may be left out, and /v1 at the end is taken off."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give the address without a slash at its end; a usage error for what is none."""
        url = (value if "://" in value else f"http://{value}").rstrip("/").removesuffix("/v1")
        try:
            parse_base_url(url)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return url


config_option = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=default_config,
    show_default=f"{DEFAULT_CONFIG}, else {FALLBACK_CONFIG}",
    help="The configuration file.",
)

url_option = click.option("--url", type=GatewayUrl(), help="A running gateway, for example http://127.0.0.1:8080.")
