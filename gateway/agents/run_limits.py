"""What bounds a run: whether it has used what it may use. Pure."""

from __future__ import annotations

from gateway.core.errors import SwitchgearError
from gateway.stores.runs import Limits, Spent


class RunOver(SwitchgearError):
    """The run has used what it may use, or goes round in circles: it ends here, with what it has done."""

    status = 422
    code = "run_limit_reached"


def exceeded(limits: Limits, spent: Spent) -> str:
    """Say which limit keeps a run from asking its model, or a tool, once more; empty where none does. Calls of tools are counted apart.

    What runs below it have used counts, too.
    """
    below = spent.below
    used: tuple[tuple[float | None, float, str], ...] = (
        (limits.steps, spent.steps + below.steps, "answers of its model"),
        (limits.tokens, spent.input_tokens + spent.output_tokens + below.tokens, "tokens"),
        (limits.seconds, spent.seconds, "seconds"),
    )
    for most, count, what in used:
        if most is not None and count >= most:
            return f"The run has used the {most:g} {what} that it may use."
    if limits.nano is not None and spent.nano + below.nano >= limits.nano:
        return f"The run has used the {limits.nano / 1e9:.6g} dollars that it may use."
    return ""


def too_many_calls(limits: Limits, calls: int) -> str:
    """Say that no tool may be called any more; empty where one may."""
    if limits.tool_calls is None or calls < limits.tool_calls:
        return ""
    return f"This response may not call tools more than {limits.tool_calls} times. Answer without further calls."
