"""Rules between the settings of tools that no single type can say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.tool_settings import StdioServerSettings, ToolServerSettings


def tool_findings(settings: ToolServerSettings) -> Iterator[Finding]:
    """Yield tools that are said to be two things at once."""
    for name, tool in settings.tools.items():
        if tool.effect == "read" and tool.idempotency_argument:
            message = "a tool that only reads needs no idempotency key: remove it, or say what its effect is"
            yield Finding(path=("tools", name, "idempotency_argument"), needs=("tools",), message=message)


def command_findings(settings: StdioServerSettings) -> Iterator[Finding]:
    """Yield a working directory that is none."""
    if settings.cwd is not None and not (Path(settings.cwd).is_absolute() and Path(settings.cwd).is_dir()):
        message = f"there is no directory {shown(settings.cwd)} (its path is written in full)"
        yield Finding(path=("cwd",), needs=("cwd",), message=message)
