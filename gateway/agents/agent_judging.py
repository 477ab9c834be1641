"""Whether an agent may be called by another: whoever calls must have the right to use it himself. It calls nothing."""

from __future__ import annotations

from typing import Final

from gateway.agents.plan import Granted
from gateway.config.agent_settings import PREFIX
from gateway.core.caller import Caller
from gateway.pipeline.authorized import refusal
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Situation
from gateway.policies.facts import model as resource
from gateway.policies.tool_judgement import ToolJudgement

SITUATION: Final = Situation(operation="generate", dialect="openai_responses")
"""How `use_agent` is asked about: always the same, whichever dialect began a run."""
BY_DEFINITION: Final = "builtin:asked-by-definition"


def judge_agent(authorizer: Authorizer, caller: Caller, granted: Granted) -> ToolJudgement:
    """Decide about a call of an agent as about asking it directly. What the agent then does, is judged call by call."""
    subject = resource(PREFIX + granted.tool.name)
    decided = authorizer.decide(caller, "use_agent", subject, SITUATION)
    if decided.effect == "deny":
        return ToolJudgement(effect="deny", rules=decided.ids, reason=refusal("use_agent", subject, decided))
    if decided.effect == "ask":
        reason = "A policy requires an approval of each call of this agent."
        return ToolJudgement(effect="ask", rules=decided.ids, reason=reason, approvals=decided.approvals)
    if granted.wish == "always":
        reason = "The definition asks for an approval of every such call."
        return ToolJudgement(effect="ask", rules=(BY_DEFINITION,), reason=reason)
    return ToolJudgement(effect="allow", rules=decided.ids)
