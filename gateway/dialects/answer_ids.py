"""The ids of answers, in the style of the API that shows them: the digits stay, the prefix changes."""

from __future__ import annotations

from typing import Literal

Prefix = Literal["chatcmpl-", "cmpl-", "msg_", "resp_"]

_STYLES = ("chatcmpl-", "cmpl-", "msg_", "resp_", "call_")
"""How the ids of answers begin, and those of our own calls."""

_LENIENT = ("chatcmpl-", "cmpl-")


def answer_id(started: str, call: str, prefix: Prefix) -> str:
    """Give the id to show: `started` is the upstream's ("" where it gave none), `call` that of the call.

    Servers of Chat Completions have ids in many styles, by which their operators find an answer again: a style that is not
    known here stays there. Elsewhere clients expect the prefix.
    """
    given = started or call
    if given.startswith(prefix):
        return given
    for style in _STYLES:
        if given.startswith(style):
            return prefix + given[len(style) :]
    return started if started and prefix in _LENIENT else prefix + given
