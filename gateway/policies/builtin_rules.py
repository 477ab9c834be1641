"""The rules that hold for every call of a tool unless the operator lifts them: about untrusted content, and about what is sensitive.

Pure. They only ever ask for an approval; what they do not ask about, the policies still decide. docs/tool-policies.md has the argument
why no content that a stranger wrote can bring about a change that nobody approved.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.policies.decision import Approval
from gateway.policies.tool_judgement import ToolFacts

UNTRUSTED_WRITE: Final = "untrusted-write"
SENSITIVE_OUTWARD: Final = "sensitive-outward"
LIFTABLE: Final = (UNTRUSTED_WRITE, SENSITIVE_OUTWARD)
"""What a `permit` with `@lifts` may lift, for the calls that it permits."""

CLIENT: Final = "builtin:asked-by-client"
ANYBODY: Final = Approval(approvers=(), quorum=1, ttl=3600)
"""One person who may answer approvals at all, within the hour."""


class Concern(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call needs an approval: the rule's id, and a sentence for people."""

    rule: str
    reason: str


def concerns(facts: ToolFacts, lifted: frozenset[str] = frozenset()) -> tuple[Concern, ...]:
    """Give what speaks for asking somebody; nothing where nobody needs to be."""
    found = []
    if UNTRUSTED_WRITE not in lifted and (reason := _untrusted_write(facts)):
        found.append(Concern(rule=f"builtin:{UNTRUSTED_WRITE}", reason=reason))
    if SENSITIVE_OUTWARD not in lifted and (reason := _sensitive_outward(facts)):
        found.append(Concern(rule=f"builtin:{SENSITIVE_OUTWARD}", reason=reason))
    if facts.wish == "always":
        found.append(Concern(rule=CLIENT, reason="The client asks for an approval of every such call."))
    return tuple(found)


def _untrusted_write(facts: ToolFacts) -> str:
    if facts.tool.effect == "read" or facts.tool.labelled:
        return ""
    if facts.taint:
        return f"It changes something, and the model had read what strangers may have written ({_some(facts.taint)})."
    doubtful = sorted(path for path, label in facts.origins.items() if label.integrity == "untrusted")
    if doubtful:
        # Nothing that could give orders was read, but a value came from where nobody vouches for it.
        return f"It changes something, with values that nobody trusted has said ({_some(tuple(doubtful))})."
    return ""


def _sensitive_outward(facts: ToolFacts) -> str:
    if not facts.tool.outward or not facts.sensitive:
        return ""
    carries = sorted(path for path, label in facts.origins.items() if label.confidentiality == "sensitive")
    placed = bool(facts.origins) or not facts.arguments
    if not facts.taint and placed and not carries:
        # Only trusted words moved the model, and every value was said by who may know it: nothing sensitive goes along.
        return ""
    what = f"in {_some(tuple(carries))}" if carries else "or what gives it away"
    return f"It reaches outside, and may carry what is sensitive ({_some(facts.sensitive)}) {what}."


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:100] for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
