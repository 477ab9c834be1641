"""Agents that hand a conversation over: who goes on with it, by what words and tools, and for how long. Promised by docs/agents.md."""

import anyio
import msgspec
import pytest

from gateway.agents.approving import Ballot
from gateway.config.agent_settings import AgentLimitSettings
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest
from gateway.stores.conversations import ConversationItem
from tests.unit.agents.office_world import agent, office
from tests.unit.agents.runs_world import ADA, check_stream
from tests.unit.agents.test_tools_taken_over import Mortal
from tests.unit.agents.tools_world import BOB, kinds, results, want

FRONT = agent("front", handoffs=("billing",))
BILLING = agent("billing", description="Looks after bills.", tools={"desk": ("look", "send")})


def transfer(to="billing"):
    """What a model asks for to hand over."""
    return want(f"transfer_to_{to}", server="")


@pytest.mark.parametrize("background", [False, True])
async def test_who_takes_over_answers_in_the_same_response(tmp_path, background):
    minds = {"front": [["One moment. ", transfer()]], "billing": [[want("look")], "It is paid."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, events = await world.ask("My bill?", background=background)

    document = check_stream(events)
    assert kinds(run) == ["message", "mcp_call", "mcp_list_tools", "mcp_call", "message"]
    [given, _] = [item for item in document["output"] if item["type"] == "mcp_call"]
    assert (given["server_label"], given["name"]) == ("switchgear", "transfer_to_billing")
    assert given["output"] == "The agent 'billing' is in charge of the conversation from now on."
    assert (run.status, run.agent, document["model"]) == ("completed", "front", "agent/front")
    front, billing = world.minds["front"].calls[0], world.minds["billing"].calls[0]
    assert [tool["name"] for tool in front.fields["tools"]] == ["switchgear__read_result", "transfer_to_billing"]
    assert "Looks after bills." in front.fields["tools"][1]["description"]
    assert billing.fields["instructions"] == "You are billing."
    assert [tool["name"] for tool in billing.fields["tools"]] == ["desk__look", "desk__send", "switchgear__read_result"]
    assert world.minds["billing"].told(0) == [
        ("system", "You are billing."),
        ("user", "My bill?"),
        ("assistant", "One moment. "),
        ("call", "transfer_to_billing"),
        ("result", "The agent 'billing' is in charge of the conversation from now on."),
    ]


async def test_who_asks_for_a_call_is_the_agent_in_charge(tmp_path):
    minds = {"front": [[transfer()]], "billing": [[want("look")], "Done."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        await world.ask()

    assert [facts.agent for facts in world.world.judge.facts] == ["billing"]


async def test_what_the_run_may_use_is_what_it_began_with(tmp_path):
    front = agent("front", handoffs=("billing",), limits=AgentLimitSettings(steps=2))
    billing = agent("billing", tools={"desk": ("look",)}, limits=AgentLimitSettings(steps=30))
    minds = {"front": [[transfer()]], "billing": [[want("look")], "Never said."]}
    async with office(tmp_path, front, billing, minds=minds) as world:
        run, _ = await world.ask()

    assert (run.status, run.spent.steps) == ("failed", 2)
    assert run.response["error"]["message"] == "The run has used the 2 answers of its model that it may use."


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (AgentLimitSettings(steps=3), "3 answers of its model"),
        (AgentLimitSettings(tokens=1), "1 tokens"),
        (AgentLimitSettings(tool_calls=2), None),
    ],
)
async def test_the_limits_of_who_takes_over_hold_as_well_over_the_whole_run(tmp_path, limits, said):
    """What was used before the handover counts: one answer, one call, and its tokens."""
    front = agent("front", handoffs=("billing",))
    billing = agent("billing", tools={"desk": ("look",)}, limits=limits)
    looks = [[want("look", f'{{"n":{number}}}')] for number in range(9)]
    async with office(tmp_path, front, billing, minds={"front": [[transfer()]], "billing": looks}) as world:
        run, _ = await world.ask("My bill?")
        calls = await world.world.tool_calls.calls(run.id)

    if said is None:
        assert [call.state for call in calls][:3] == ["done", "done", "failed"]
        assert "may not call tools more than 2 times" in calls[2].error
    else:
        assert (run.status, run.response["error"]["message"]) == (
            "failed",
            f"The run has used the {said} that it may use.",
        )
        assert run.spent.steps <= 3


async def test_a_run_that_is_handed_back_has_the_limits_of_who_began_again(tmp_path):
    front = agent("front", handoffs=("billing",), tools={"desk": ("look",)})
    billing = agent("billing", handoffs=("front",), limits=AgentLimitSettings(steps=3))
    looks = [[want("look", f'{{"n":{number}}}')] for number in range(4)]
    back = want("transfer_to_front", server="")
    minds = {"front": [[transfer()], *looks, "Done."], "billing": [[back]]}
    async with office(tmp_path, front, billing, minds=minds) as world:
        run, _ = await world.ask("My bill?")

    assert (run.status, run.spent.steps) == ("completed", 7)


async def test_the_limits_of_who_took_over_hold_after_an_approval_too(tmp_path):
    billing = agent(
        "billing",
        tools={"desk": ("look", "send")},
        approval={"desk/send": "always"},
        limits=AgentLimitSettings(steps=2),
    )
    looks = [[want("look", f'{{"n":{number}}}')] for number in range(9)]
    minds = {"front": [[transfer()]], "billing": [[want("send")], *looks]}
    async with office(tmp_path, FRONT, billing, minds=minds) as world:
        asked, _ = await world.ask("Send it.")
        run, _ = await world.yes(asked)

    assert (asked.status, run.status, run.spent.steps) == ("waiting", "failed", 2)


async def test_two_that_hand_over_to_each_other_come_to_an_end(tmp_path):
    front = agent("front", handoffs=("billing",), limits=AgentLimitSettings(handoffs=3))
    billing = agent("billing", handoffs=("front",))
    minds = {"front": [[transfer()]] * 2, "billing": [[transfer("front")]] * 2 + ["Well then."]}
    async with office(tmp_path, front, billing, minds=minds) as world:
        run, _ = await world.ask()

    assert [name for name, _ in results(run)] == [f"transfer_to_{to}" for to in ("billing", "front") * 2]
    assert "handed over 3 times, which is as often as it may be" in results(run)[-1][1]
    assert (run.status, kinds(run)[-1]) == ("completed", "message")


async def test_one_answer_hands_over_once(tmp_path):
    front = agent("front", handoffs=("billing", "desk"))
    minds = {"front": [[transfer(), transfer("desk")]], "billing": ["I have it."]}
    async with office(tmp_path, front, BILLING, agent("desk"), minds=minds) as world:
        run, _ = await world.ask()

    assert results(run)[1][1] == "The conversation was handed over to the agent 'billing' already."
    assert len(world.minds["billing"].calls) == 1
    assert world.minds["desk"].calls == []


async def test_the_other_calls_of_the_answer_are_made_by_who_asked_for_them(tmp_path):
    front = agent("front", handoffs=("billing",), tools={"desk": ("tidy",)})
    minds = {"front": [[transfer(), want("tidy")]], "billing": ["Tidy now."]}
    async with office(tmp_path, front, BILLING, minds=minds) as world:
        run, _ = await world.ask()

    assert [name for name, _ in results(run)] == ["transfer_to_billing", "tidy"]
    assert [facts.agent for facts in world.world.judge.facts] == ["front"]


async def test_a_later_turn_goes_on_with_who_is_in_charge(tmp_path):
    minds = {"front": [[transfer()]], "billing": ["First.", "Second.", "Third."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        one, _ = await world.ask("one")
        two, _ = await world.ask("two", previous_response_id=one.id)
        three, _ = await world.ask("three", previous_response_id=two.id, background=True)

        assert [run.agent for run in (one, two, three)] == ["front", "billing", "billing"]
        assert len(world.minds["front"].calls) == 1
        assert world.minds["billing"].told()[-1] == ("user", "three")


async def test_a_later_turn_of_a_conversation_does_too(tmp_path):
    minds = {"front": [[transfer()]], "billing": ["First.", "Second."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        conversation = await world.conversation()
        await world.ask("one", conversation=conversation)
        note = ConversationItem(id="msg_note", place=0, body={"type": "message", "role": "user", "content": "Note."})
        await world.world.conversations.append("acme", conversation, [note], most=100)
        run, _ = await world.ask("two", conversation=conversation)

    assert run.agent == "billing"
    assert len(world.minds["front"].calls) == 1


async def test_who_is_named_anew_is_in_charge(tmp_path):
    minds = {"front": [[transfer()], "Front again."], "billing": ["First."], "desk": ["At the desk."]}
    async with office(tmp_path, FRONT, BILLING, agent("desk"), minds=minds) as world:
        one, _ = await world.ask("one")
        two, _ = await world.ask("two", agent="desk", previous_response_id=one.id)
        three, _ = await world.ask("three", previous_response_id=two.id)

    assert [run.agent for run in (two, three)] == ["desk", "front"]


async def test_an_agent_that_is_gone_is_in_charge_no_more(tmp_path):
    minds = {"front": [[transfer()], "I am back."], "billing": ["First."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        one, _ = await world.ask("one")
        del world.agents["billing"]
        two, _ = await world.ask("two", previous_response_id=one.id)

    assert two.agent == "front"


@pytest.mark.parametrize("channel", ["client", "person"])
async def test_what_waits_goes_on_as_the_agent_that_asked_and_as_it_was_then(tmp_path, channel):
    billing = agent("billing", tools={"desk": ("send",)}, approval={"desk/send": "always"})
    minds = {"front": [[transfer()]], "billing": [[want("send")], "Sent."]}
    async with office(tmp_path, FRONT, billing, minds=minds) as world:
        asked, _ = await world.ask(background=True)
        [approval] = await world.world.approvals.of_run(asked.id)
        world.agents |= {"billing": agent("billing", "v2", "New words."), "front": agent("front", "v2")}
        if channel == "client":
            run, events = await world.yes(asked)
        else:
            desk = world.world.desk
            verdict = await desk.approvals.vote(BOB, Ballot(approval=approval.id, approve=True), channel="admin")
            run = await desk.find("acme", verdict.continuation)
            events = await world.world.follow(run)
            run = await desk.find("acme", run.id)

    check_stream(events)
    assert (approval.agent, asked.status, run.status) == ("billing", "waiting", "completed")
    assert (run.agent, run.version) == ("billing", "billing-v1")
    assert world.world.hub.made == ["send"]
    assert world.minds["billing"].calls[-1].fields["instructions"] == "You are billing."
    assert world.minds["front"].told()[-1] == ("user", "hello")


async def test_a_call_that_waits_is_still_its_agents_when_another_has_taken_over(tmp_path):
    front = agent("front", handoffs=("billing",), tools={"desk": ("send",)}, approval={"desk/send": "always"})
    minds = {"front": [[transfer(), want("send")]], "billing": ["Sent it is."]}
    async with office(tmp_path, front, BILLING, minds=minds) as world:
        asked, _ = await world.ask()
        run, _ = await world.yes(asked)

    assert (asked.status, run.status, run.agent) == ("waiting", "completed", "billing")
    assert [facts.agent for facts in world.world.judge.facts] == ["front", "front"]
    assert world.world.hub.made == ["send"]


async def test_an_agent_that_was_called_hands_over_and_waits_as_the_other(tmp_path):
    billing = agent("billing", tools={"desk": ("send",)}, approval={"desk/send": "always"})
    minds = {
        "chief": [[want("front", '{"input":"Send it."}', server="agents")], "So it was sent."],
        "front": [[transfer()]],
        "billing": [[want("send")], "Sent."],
    }
    async with office(tmp_path, agent("chief", agents=("front",)), FRONT, billing, minds=minds) as world:
        asked, _ = await world.ask("Have it sent.", agent="chief")
        world.agents["billing"] = agent("billing", "v2", "New words.")
        run, _ = await world.yes(asked, agent="chief")

    assert (asked.status, run.status, world.world.hub.made) == ("waiting", "completed", ["send"])
    assert results(run) == [("front", "Sent.")]
    assert world.minds["billing"].calls[-1].fields["instructions"] == "You are billing."


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
async def test_a_holder_may_die_at_every_write_and_the_right_agent_goes_on(tmp_path, at, after):
    """As it was when the run was handed over: its folder has changed since."""

    async def front(call, send):
        told = world.minds["front"].told()
        wanted = ["No."] if told[-1][0] == "result" else [transfer(), want("tidy")]
        await world.minds["front"].ask(call, send, wanted)

    async def billing(call, send):
        mind = world.minds["billing"]
        world.agents["billing"] = agent("billing", "v2", "New words.")
        made = mind.told()[-1] == ("result", "look did {}")
        await mind.ask(call, send, ["It is paid."] if made else [want("look")])

    minds = {"front": [front] * 9, "billing": [billing] * 9}
    first = agent("front", handoffs=("billing",), tools={"desk": ("tidy",)})
    async with office(tmp_path, first, BILLING, minds=minds, lease=1.0, poll=0.05) as world:
        means = world.world.means
        msgspec.structs.force_setattr(means, "runs", Mortal(world.world.runs, at, after=after))
        with anyio.fail_after(20):
            run, events = await world.ask(background=True)

    check_stream(events)
    assert run.status == "completed"
    assert [name for name, _ in results(run)] == ["transfer_to_billing", "tidy", "look"]
    assert results(run)[1] == ("tidy", "tidy did {}")
    assert run.response["output"][-1]["content"][0]["text"] == "It is paid."
    assert {call.fields["instructions"] for call in world.minds["billing"].calls} == {"You are billing."}


async def test_a_caller_is_handed_only_to_agents_that_it_may_use(tmp_path):
    narrow = Caller(id="ada", tenant="acme", models=("front-mind", "billing-mind", "agent/front"))
    minds = {"front": [[transfer()], "I stay."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, _ = await world.ask(caller=narrow)

    assert "tools" not in world.minds["front"].calls[0].fields
    assert results(run) == [("transfer_to_billing", "There is no tool 'transfer_to_billing' here.")]


async def test_an_agent_that_cannot_take_over_does_not_and_its_model_is_told_why(tmp_path):
    """The client's own function has the name of one of its tools."""
    mine = {"type": "function", "name": "desk__look", "parameters": {"type": "object"}}
    minds = {"front": [[transfer()], "Then I do it."]}
    async with office(tmp_path, FRONT, BILLING, minds=minds) as world:
        run, _ = await world.ask(tools=[mine])

    assert "the agent has a tool 'desk__look' already" in results(run)[0][1]
    assert (run.status, len(world.minds["front"].calls)) == ("completed", 2)


async def test_a_clients_function_cannot_have_the_name_of_a_transfer(tmp_path):
    mine = {"type": "function", "name": "transfer_to_billing", "parameters": {"type": "object"}}
    async with office(tmp_path, FRONT, BILLING) as world:
        with pytest.raises(InvalidRequest, match="already"):
            await world.ask(tools=[mine], caller=ADA)
