"""A call goes on only if its caller may make it, and one that does not has cost nothing."""

import pytest
from structlog.testing import capture_logs

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_moderations import OPENAI_MODERATIONS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.dialects.rerank import RERANK
from gateway.pipeline.authorized import SITUATIONS, Authorized, offered, provider_tools
from gateway.policies.authorizer import Authorizer
from gateway.policies.decision import OPEN, Approval, Decision, Rule
from gateway.policies.facts import Resource, model

CALLER = Caller(id="key-1", kind="key", tenant="acme")
NAMED = Rule(
    id="no-gpt",
    path="policies/a.cedar",
    line=3,
    kind="forbid",
    text="",
    named=True,
    annotations=(("explain", "Ask finance."),),
)
UNNAMED = Rule(id="a.cedar:9", path="policies/a.cedar", line=9, kind="forbid", text="")


class Sees:
    call = time = True


class Book:
    """Policies as a table: denies what is written in it, and keeps what it was asked."""

    def __init__(self, denials=None, *, endpoints=False):
        self.speak_of_endpoints = endpoints
        self.asked = []
        self._denials = denials or {}

    def sight(self, action):
        return Sees()

    def judge(self, caller, action, resource, situation, at):
        self.asked.append((caller.id, action, f"{resource.kind}:{resource.id}", situation.dialect, situation.stream))
        return self._denials.get((action, resource.id), OPEN)


class Line:
    """The stage under test, in front of a responder that keeps what reaches it."""

    def __init__(self, judge, *, subject="chat"):
        self.reached = []
        self.now = 0.0
        self.authorizer = Authorizer(judge, wall=lambda: self.now)
        self._stage = Authorized(self._answer, authorizer=self.authorizer, subject=model(subject, ("local",)))

    async def _answer(self, call, send):
        self.reached.append((call, send))

    async def call(self, caller=CALLER, *, dialect="openai_chat", send=print, **fields):
        call = Call(
            id="call_1", operation="generate", dialect=dialect, model="chat", stream=True, caller=caller,
            received=0.0, body=b"{}", fields={"model": "chat", **fields},
        )  # fmt: skip
        await self._stage(call, send)
        return call

    async def refusal(self, *args, **fields):
        with pytest.raises(Forbidden) as caught:
            await self.call(*args, **fields)
        assert self.reached == []
        assert (caught.value.status, caught.value.code) == (403, "forbidden")
        return caught.value


async def test_an_allowed_call_goes_on_untouched():
    line = Line(book := Book())

    call = await line.call(send=(send := object()))

    assert line.reached == [(call, send)]
    assert book.asked == [("key-1", "use_model", "model:chat", "openai_chat", True)]


class SeesCalls:
    call, time = True, False


@pytest.mark.parametrize(("sees", "minutes"), [(Sees, [0, 1, 2]), (SeesCalls, [0])])
async def test_what_was_allowed_is_asked_again_only_where_a_policy_reads_the_time(sees, minutes, monkeypatch):
    monkeypatch.setattr(Book, "sight", lambda self, action: sees())
    line = Line(book := Book(endpoints=True))
    for minute in range(3):
        line.now = 60.0 * minute
        for _ in range(2):
            await line.call()

    assert [asked[1] for asked in book.asked] == ["use_model", "use_endpoint"] * len(minutes)
    assert len(line.reached) == 6


async def test_what_was_allowed_to_one_is_not_allowed_to_another():
    line = Line(None)
    await line.call(Caller(id="k", models=("ch*",)))
    line.reached.clear()

    await line.refusal(Caller(id="k", models=("other",)))
    await line.refusal(Caller(id="k", models=("other",)))


async def test_without_policies_only_the_keys_own_list_counts():
    line = Line(None)

    await line.call()
    await line.call(Caller(id="k", models=("ch*",)))
    assert len(line.reached) == 2

    line.reached.clear()
    error = await line.refusal(Caller(id="k", models=("other",)))
    assert error.message == "The model 'chat' (use_model) is not on the list of what this key or token may use."
    assert error.param == "model"


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (
            Decision(effect="deny", why="policy", rules=(NAMED,)),
            "The use of the model 'chat' (use_model) is forbidden by the policy 'no-gpt'. Ask finance.",
        ),
        (
            Decision(effect="deny", why="policy", rules=(UNNAMED,)),
            "The use of the model 'chat' (use_model) is forbidden by a policy.",
        ),
        (Decision(effect="deny", why="default"), "No policy permits the model 'chat' (use_model) to this caller."),
        (
            Decision(effect="deny", why="error", errors=("overflow in a.cedar",)),
            "The policies could not be evaluated for the model 'chat' (use_model), and so it is refused.",
        ),
        (
            Decision(
                effect="ask", why="policy", rules=(NAMED,), approvals=(Approval(approvers=("sre",), quorum=1, ttl=60),)
            ),
            "The use of the model 'chat' (use_model) needs an approval ('no-gpt'), for which a call like this cannot wait. Ask finance.",
        ),
    ],
)
async def test_a_refusal_says_what_and_by_which_rule(decision, said):
    error = await Line(Book({("use_model", "chat"): decision})).refusal()

    assert error.message == said
    assert ".cedar" not in error.message


async def test_what_went_wrong_in_a_policy_is_in_the_log():
    decision = Decision(effect="deny", why="error", errors=("integer overflow",))

    with capture_logs() as logs:
        await Line(Book({("use_model", "chat"): decision})).refusal()

    assert [(entry["event"], entry["call"], entry["errors"]) for entry in logs] == [
        ("policy.erred", "call_1", ["integer overflow"])
    ]


async def test_the_model_of_an_agent_is_the_agent():
    line = Line(book := Book(), subject="agent/helper")

    await line.call()

    assert book.asked[0][1:3] == ("use_agent", "agent:helper")


async def test_endpoints_are_asked_about_where_a_policy_speaks_of_them():
    deny = Decision(effect="deny", why="policy", rules=(NAMED,))
    line = Line(Book({("use_endpoint", "anthropic_messages"): deny}, endpoints=True))

    await line.call()
    line.reached.clear()
    error = await line.refusal(dialect="anthropic_messages")

    assert "the endpoint 'anthropic_messages' (use_endpoint)" in error.message
    assert error.param is None


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({}, []),
        ({"tools": None}, []),
        ({"tools": [{"type": "function", "function": {"name": "web_search"}}]}, []),
        ({"tools": [{"name": "mcp", "input_schema": {}}, {"type": "custom", "name": "a"}]}, []),
        (
            {"tools": [{"type": "web_search"}, {"type": "mcp", "server_label": "a"}, {"type": "mcp"}]},
            ["web_search", "mcp"],
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, ["web_search_20250305"]),
        ({"tools": ["web_search", {"type": 7}, {"type": ["x"]}, {"type": "x" * 65}]}, ["unknown"]),
        ({"tools": {"type": "web_search"}}, []),
        ({"web_search_options": {"a": 1}}, ["web_search"]),
        ({"mcp_servers": [{"type": "url"}], "tools": []}, ["mcp"]),
        ({"mcp_servers": []}, []),
    ],
)
def test_tools_that_the_provider_runs_are_found(fields, kinds):
    assert list(provider_tools(fields)) == kinds


async def test_a_tool_that_the_provider_runs_is_asked_about():
    deny = Decision(effect="deny", why="policy", rules=(NAMED,))
    line = Line(Book({("use_tool", "provider/mcp"): deny}))

    await line.call(tools=[{"type": "web_search"}])
    line.reached.clear()
    error = await line.refusal(tools=[{"type": "web_search"}, {"type": "mcp"}])

    assert "the tool 'provider/mcp' (use_tool)" in error.message


async def test_a_keys_list_of_tools_keeps_the_providers_tools_out():
    line = Line(None)
    caller = Caller(id="k", tools=("github/*",))

    await line.call(caller, tools=[{"type": "function", "function": {"name": "a"}}])
    line.reached.clear()
    await line.refusal(caller, tools=[{"type": "web_search"}])


async def test_many_kinds_of_tools_are_no_way_to_keep_the_policies_busy():
    line = Line(book := Book())

    with pytest.raises(InvalidRequest):
        await line.call(tools=[{"type": f"kind-{number}"} for number in range(10_000)])

    assert len(book.asked) == 1


class ByDialect(Book):
    def __init__(self, only):
        super().__init__()
        self.only = only

    def judge(self, caller, action, resource, situation, at):
        super().judge(caller, action, resource, situation, at)
        return OPEN if situation.dialect == self.only else Decision(effect="deny", why="default")


@pytest.mark.parametrize(
    ("only", "listed"), [("openai_embeddings", True), ("anthropic_messages", True), ("none", False)]
)
def test_a_model_is_listed_if_it_can_be_used_in_any_way(only, listed):
    authorizer = Authorizer(ByDialect(only), wall=lambda: 0.0)

    assert offered(authorizer, ANONYMOUS, model("chat")) is listed


def test_a_model_that_is_not_on_the_keys_list_is_not_listed():
    authorizer = Authorizer(None, wall=lambda: 0.0)

    assert offered(authorizer, Caller(id="k", models=("a",)), model("a"))
    assert not offered(authorizer, Caller(id="k", models=("a",)), model("b"))
    assert not offered(authorizer, Caller(id="k", models=("a",)), Resource(kind="agent", id="a"))


def test_every_dialect_of_a_model_is_a_way_to_use_it():
    dialects = (
        OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES, OPENAI_COMPLETIONS, OPENAI_EMBEDDINGS, RERANK, OPENAI_MODERATIONS
    )  # fmt: skip

    ways = {(situation.dialect, situation.operation) for situation in SITUATIONS}

    assert ways == {(dialect.name, dialect.operation) for dialect in dialects}
