"""What a run does next, state by state: a table of the pure function that everything follows."""

import pytest

from gateway.agents.folding import Ask, Do, End, Question, State, fold
from gateway.stores.tool_calls import ToolCall


def call(state, effect="read", *, step=1, index=0, name="mcp_a"):
    return ToolCall(
        id=f"{name}{index}",
        run="resp_1",
        call_id="c",
        step=step,
        index=index,
        server="desk",
        tool="look",
        arguments="{}",
        arguments_hash="h",
        definition="d",
        effect=effect,
        key="k",
        state=state,
    )


MINE = frozenset({"mcp_a0"})


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (State(), Ask),
        (State(steps=1), End),
        (State(steps=1, calls=[call("planned")]), Do),
        (State(steps=1, calls=[call("started")]), Do),
        (State(steps=1, calls=[call("started", "idempotent")]), Do),
        (State(steps=1, calls=[call("started", "once")]), Question),
        (State(steps=1, calls=[call("started", "once")], begun=MINE), Do),
        (State(steps=1, calls=[call("unknown", "once")], begun=MINE), Question),
        (State(steps=1, calls=[call("awaiting_approval")]), Question),
        (State(steps=1, calls=[call("awaiting_approval"), call("planned", index=1)]), Do),
        (State(steps=1, calls=[call("started", "once"), call("planned", index=1)]), Do),
        (State(steps=1, calls=[call("done")]), Ask),
        (State(steps=1, calls=[call("failed")]), Ask),
        (State(steps=1, calls=[call("done")], handed=True), End),
        (State(steps=1, calls=[call("awaiting_approval")], handed=True), Question),
        (State(steps=2, calls=[call("done")]), End),
        (State(steps=0, calls=[call("planned", step=0)]), Do),
        (State(steps=0, calls=[call("done", step=0)]), Ask),
    ],
)
def test_the_state_says_what_is_next(state, action):
    assert isinstance(fold(state), action)


def test_calls_are_made_in_the_order_in_which_they_were_asked_for():
    todo = fold(State(steps=1, calls=[call("planned", index=2), call("started", index=0), call("done", index=1)]))

    assert [each.index for each in todo.calls] == [0, 2]


def test_what_may_have_been_done_is_never_among_what_is_made():
    todo = fold(State(steps=1, calls=[call("started", "once"), call("planned", "once", index=1)]))

    assert [each.index for each in todo.calls] == [1]
