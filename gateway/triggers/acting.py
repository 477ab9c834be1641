"""What runs of an incident did that changes something, and what they looked at before: read from their calls and the results of these. Pure.

A result is what a tool's server wrote. Of one in JSON it is read what was changed (`diff`), whether that was only tried (`dry_run`), and whether
the wanted state came (`check`), as the tools of `platform_ctl` say it; of others only that the call was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.core.items import Json
from gateway.core.strict_json import decode_object
from gateway.stores.runs import RunItem
from gateway.stores.tool_calls import ToolCall

ACTED: Final = ("done", "failed", "unknown")
_AGENTS: Final = "agents"
_MOST_ARGUMENTS: Final = 500
_MOST_SAYS: Final = 500
_MOST_CHANGES: Final = 5
_DEPTH: Final = 20


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool and what came of it. `holds` is None where nothing says whether the wanted state came; `diff` are changes in words."""

    call: str
    run: str
    tool: str
    arguments: str
    state: str
    effect: str
    dry_run: bool = False
    holds: bool | None = None
    says: str = ""
    diff: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it changed something, or may have."""
        return self.effect != "read" and not self.dry_run

    def body(self) -> dict[str, Json]:
        """Give it as the body of an event."""
        found: dict[str, Json] = {"call": self.call, "run": self.run, "tool": self.tool, "arguments": self.arguments, "state": self.state}  # fmt: skip
        if self.holds is not None:
            found |= {"holds": self.holds, "says": self.says}
        return found | ({"diff": list(self.diff)} if self.diff else {})


def deeds(run: str, calls: Sequence[ToolCall], items: Sequence[RunItem]) -> list[Deed]:
    """Give the calls of a run that came to an end, in their order."""
    results = {item.id: item.body.get("output") for item in items if item.body.get("type") == "mcp_call"}
    ended = [call for call in calls if call.state in ACTED and call.server != _AGENTS]
    return [_deed(run, call, results.get(call.id)) for call in sorted(ended, key=lambda call: (call.step, call.index))]


def words_of(items: Sequence[RunItem]) -> str:
    """Give the last words of the agent in a run."""
    said = [item.body for item in items if item.place == "output" and item.body.get("type") == "message"]
    parts: Any = said[-1].get("content") if said else ()
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def object_of(text: object) -> Mapping[str, Any]:
    """Give the JSON object that a text is; an empty one where it is none."""
    if not isinstance(text, str):
        return {}
    try:
        return decode_object(text.encode(), depth=_DEPTH)
    except (InvalidRequest, UnicodeEncodeError):
        return {}


def _deed(run: str, call: ToolCall, output: object) -> Deed:
    found = object_of(output)
    check = found.get("check")
    holds = check.get("holds") if isinstance(check, dict) else None
    diff = found.get("diff")
    return Deed(
        call=call.id,
        run=run,
        tool=f"{call.server}/{call.tool}",
        arguments=call.arguments[:_MOST_ARGUMENTS],
        state=call.state,
        effect=call.effect,
        dry_run=found.get("dry_run") is True,
        holds=holds if isinstance(holds, bool) else None,
        says=str(check.get("says", ""))[:_MOST_SAYS] if isinstance(check, dict) else "",
        diff=tuple(map(_change, diff[:_MOST_CHANGES])) if isinstance(diff, list) else (),
    )


def _change(change: object) -> str:
    if not isinstance(change, dict):
        return str(change)[:_MOST_SAYS]
    return f"{change.get('path')}: {change.get('before')} → {change.get('after')}"[:_MOST_SAYS]
