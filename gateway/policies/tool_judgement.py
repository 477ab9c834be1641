"""What is decided about one call of a tool, and from what. The engine behind it is opened only where policies are configured."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.tools import Label, Tool
from gateway.policies.decision import Approval


class ToolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool that a run wants to make. `arguments` are checked against the tool's schema.

    `taint` names the untrusted sources, of words, that the model had read when it asked for the call, `sensitive` the sensitive ones. `origins`
    says where each argument came from, by its path (`to[0].address`): all of them, but for a tool that only reads and reaches nowhere
    outside (gateway/agents/provenance.py and origins.py make them). `wish` is what the client asks for (its `require_approval`), empty where it does not say;
    `nano`, `steps` and `calls` are what the run has used so far.
    """

    caller: Caller
    agent: str = ""
    tool: Tool
    arguments: dict[str, Json]
    origins: dict[str, Label] = {}
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    wish: Literal["", "always", "never"] = ""
    nano: int = 0
    steps: int = 0
    calls: int = 0
    at: float


class ToolJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """The decision. `rules` are the ids of the policies (or built-in rules, `builtin:…`) that brought it about; `reason` is a sentence for people.

    `ask` needs every one of `approvals`; one without `approvers` is for whoever may answer approvals. What is denied stays denied, whoever
    agrees. `errors` are what failed on the way, for the log: they tell of policies.
    """

    effect: Literal["allow", "deny", "ask"]
    rules: tuple[str, ...] = ()
    reason: str = ""
    approvals: tuple[Approval, ...] = ()
    errors: tuple[str, ...] = ()


class ToolJudge(Protocol):
    """Decides about calls of tools."""

    def judge(self, facts: ToolFacts) -> ToolJudgement:
        """Decide. Whatever goes wrong on the way is a denial; it raises nothing."""
        ...
