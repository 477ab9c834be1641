"""Settings of what is observed: where Prometheus and Alertmanager are, which log files there are, and how much is given at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mcp_servers.environment import variable

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Url: TypeAlias = Annotated[str, Meta(pattern=r"^https?://[^\s?#]+$", max_length=2000)]


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that is asked by HTTP. A value of `headers` may be `env:NAME`: then no credential stands in the file."""

    url: Url
    headers: dict[str, str] = {}
    seconds: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def sent(self) -> dict[str, str]:
        """Give the headers with their values. Raises ConfigurationError when a variable is not set."""
        return {name: variable(value) if value.startswith("env:") else value for name, value in self.headers.items()}


class Silencing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a silence may be: how long, how many alerts of now it may take in, and labels of which it has to name one in so many words."""

    minutes: Annotated[int, Meta(ge=1, le=10_080)] = 240
    alerts: Annotated[int, Meta(ge=0, le=10_000)] = 20
    labels: Annotated[tuple[str, ...], Meta(min_length=1)] = ("alertname",)


class Alertmanager(Upstream, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alertmanager. Without `silencing` there are no tools that change anything."""

    silencing: Silencing | None = None


class Logs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log files of one thing: `files` is a pattern in `folder`, which counts from the configuration's own. Lines are text, or a JSON object each."""

    folder: str
    files: Annotated[str, Meta(pattern=r"^[^/][^\0]*$", max_length=200)] = "*.log"
    format: Literal["text", "json"] = "text"
    description: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one call gives."""

    series: Annotated[int, Meta(ge=1, le=10_000)] = 50
    points: Annotated[int, Meta(ge=1, le=100_000)] = 2000
    alerts: Annotated[int, Meta(ge=1, le=10_000)] = 100
    lines: Annotated[int, Meta(ge=1, le=10_000)] = 200
    line_characters: Annotated[int, Meta(ge=64, le=100_000)] = 2000
    scanned_bytes: Annotated[int, Meta(ge=4096, le=10 * 1024**3)] = 256 * 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole; what is not there has no tools."""

    prometheus: Upstream | None = None
    alertmanager: Alertmanager | None = None
    logs: dict[Name, Logs] = {}
    limits: Limits = Limits()
