"""The Rule of Two, asked when an agent's definition is read: untrusted input, sensitive data, acting outside; at most two without an approval.

An agent with all three can be made, by what a stranger wrote, to carry out what nobody but its user may see.
https://ai.meta.com/blog/practical-ai-agent-security/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.core.tools import Tool

_MOST_NAMED: Final = 3


def rule_of_two(tools: Sequence[Tool], may_pass: Callable[[Tool], bool]) -> str:
    """Give a sentence that says why these tools may not be one agent's, empty where they may.

    `may_pass` says of a tool that reaches outside whether a call of it could pass without an approval although the model has read
    untrusted and sensitive content: `StandingToolJudge.may_pass`, and what the definition itself asks an approval for.
    """
    untrusted = [tool for tool in tools if tool.gives.integrity == "untrusted"]
    sensitive = [tool for tool in tools if tool.gives.confidentiality == "sensitive"]
    outside = [tool for tool in tools if tool.outward and may_pass(tool)]
    if not (untrusted and sensitive and outside):
        return ""
    return (
        f"It reads what strangers may have written ({_names(untrusted)}) and what is sensitive ({_names(sensitive)}), and reaches outside without "
        f"an approval ({_names(outside)}): at most two of these. Leave one out, or lift no built-in rule for it."
    )


def _names(tools: Iterable[Tool]) -> str:
    names = sorted(tool.id for tool in tools)
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
