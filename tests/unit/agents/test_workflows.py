"""What a workflow does next, as a function of what its agents have answered. Promised by docs/workflows.md."""

import pytest

from gateway.agents.workflows import Answered, Asked, Calls, Failed, Said, Turn, decide, fill
from gateway.config.workflow_settings import WorkflowLoop, WorkflowRouter, WorkflowStep, WorkflowUntil


def step(agent=None, **more):
    return WorkflowStep(agent=agent, **more)


def sequence(*steps, **more):
    return WorkflowStep(sequence=steps, **more)


def parallel(*steps, **more):
    return WorkflowStep(parallel=steps, **more)


def loop(inner, most=3, **until):
    return WorkflowStep(loop=WorkflowLoop(step=inner, max=most, until=WorkflowUntil(**until) if until else None))


def router(agent, otherwise=None, **routes):
    return WorkflowStep(router=WorkflowRouter(agent=agent, routes=routes, otherwise=otherwise))


def played(workflow, agents, text="go", conversation="", shuffle=False):
    """Play a workflow to its end with agents that are functions; give its end, and what was asked in each round."""
    answers, rounds = [], []
    while True:
        following = decide(workflow, Turn(input=text, conversation=conversation, answers=tuple(answers)))
        if not isinstance(following, Calls):
            return following, rounds
        assert len(rounds) < 50
        rounds.append([(each.agent, each.input) for each in following.asked])
        made = [
            Answered(agent=each.agent, input=each.input, text=agents[each.agent](each.input))
            for each in following.asked
        ]
        answers += reversed(made) if shuffle else made


def named(name):
    return lambda given: f"{name}({given})"


ABC = {name: named(name) for name in ("a", "b", "c")}


def test_an_agent_alone_is_asked_what_the_user_said():
    assert played(step("a"), ABC) == (Said("a(go)"), [[("a", "go")]])


def test_in_a_sequence_each_has_what_the_one_before_gave():
    end, rounds = played(sequence(step("a"), step("b"), step("c")), ABC)

    assert end == Said("c(b(a(go)))")
    assert rounds == [[("a", "go")], [("b", "a(go)")], [("c", "b(a(go))")]]


def test_steps_beside_each_other_are_asked_at_once():
    end, rounds = played(parallel(step("a"), step("b", name="second"), sequence(step("c"))), ABC)

    assert rounds == [[("a", "go"), ("b", "go"), ("c", "go")]]
    assert end == Said("## a\n\na(go)\n\n## second\n\nb(go)\n\n## 3\n\nc(go)")


def test_branches_of_different_length_go_on_beside_each_other():
    long, short = sequence(step("a"), step("b"), step("c")), step("b")
    end, rounds = played(parallel(long, short), ABC)

    assert rounds == [[("a", "go"), ("b", "go")], [("b", "a(go)")], [("c", "b(a(go))")]]
    assert end == Said("## 1\n\nc(b(a(go)))\n\n## b\n\nb(go)")


def test_answers_may_come_in_any_order():
    workflow = sequence(parallel(step("a"), sequence(step("b"), step("c"))), step("c"))

    assert played(workflow, ABC, shuffle=True) == played(workflow, ABC)


def test_a_loop_is_done_until_it_gives_what_it_is_to_give():
    end, rounds = played(loop(step("a"), 9, contains="a(a(a("), ABC)

    assert (end, len(rounds)) == (Said("a(a(a(go)))"), 3)


def test_a_loop_may_end_when_something_is_not_there_any_more():
    shorten = {"a": lambda given: given[1:]}

    assert played(loop(step("a"), 9, lacks="x"), shorten, "xxy") == (Said("y"), [[("a", "xxy")], [("a", "xy")]])


@pytest.mark.parametrize("until", [{}, {"contains": "never"}])
def test_a_loop_comes_to_an_end(until):
    end, rounds = played(loop(step("a"), 4, **until), ABC)

    assert (end, len(rounds)) == (Said("a(a(a(a(go))))"), 4)


@pytest.mark.parametrize("said", ["bills", "Bills.", " `BILLS`\n", "I think that it is bills, and nothing else."])
def test_a_router_takes_the_route_that_is_named(said):
    end, rounds = played(router("a", bills=step("b"), lamps=step("c")), ABC | {"a": lambda given: said})

    assert (end, rounds[1]) == (Said("b(go)"), [("b", "go")])


@pytest.mark.parametrize("said", ["neither", "bills or lamps", "billsandmore", ""])
def test_a_router_that_names_no_route_or_several_takes_the_other_way(said):
    asked = ABC | {"a": lambda given: said}
    routes = {"bills": step("b"), "lamps": step("b")}

    assert played(router("a", otherwise=step("c"), **routes), asked)[0] == Said("c(go)")
    end, _ = played(router("a", **routes), asked)
    assert isinstance(end, Failed)
    assert "names no route of bills, lamps" in end.why


def test_a_step_is_given_what_it_says():
    workflow = sequence(
        step("a", name="draft"),
        step("b", name="critique"),
        step("c", input="Task: {{input}}\nDraft: {{ draft }}\nCritique: {{previous}} = {{critique}}"),
    )
    _, rounds = played(workflow, ABC)

    assert rounds[-1] == [("c", "Task: go\nDraft: a(go)\nCritique: b(a(go)) = b(a(go))")]


def test_a_block_has_an_input_and_a_name_as_well():
    workflow = sequence(
        sequence(step("a"), step("b"), name="both", input="<{{input}}>"), step("c", input="{{both}} {{input}}")
    )

    assert played(workflow, ABC)[0] == Said("c(b(a(<go>)) go)")


def test_what_a_loop_named_is_there_the_next_time():
    workflow = loop(sequence(step("a", input="{{verdict}}|{{previous}}"), step("b", name="verdict")), 2)
    _, rounds = played(workflow, {"a": named("a"), "b": lambda given: "poor"})

    assert [asked for [(_, asked)] in rounds] == ["|go", "a(|go)", "poor|poor", "a(poor|poor)"]


def test_what_is_named_again_is_what_was_given_last():
    workflow = sequence(step("a", name="x"), step("b", name="x"), step("c", input="{{x}}"))

    assert played(workflow, ABC)[0] == Said("c(b(a(go)))")


def test_steps_beside_each_other_do_not_see_what_the_others_name():
    workflow = sequence(
        parallel(step("a", name="x"), sequence(step("b"), step("b", input="[{{x}}]"))), step("c", input="{{x}}")
    )
    _, rounds = played(workflow, ABC)

    assert rounds == [[("a", "go"), ("b", "go")], [("b", "[]")], [("c", "a(go)")]]


def test_what_was_said_before_is_at_hand():
    _, rounds = played(step("a", input="{{conversation}}\n{{input}}"), ABC, conversation="user: hi")

    assert rounds == [[("a", "user: hi\ngo")]]


def test_what_is_put_in_is_not_looked_through_again():
    assert fill("{{a}} {{unknown}} {{ b }} {b}", {"a": "{{b}}", "b": "2"}) == "{{b}}  2 {b}"


def test_who_gives_nothing_is_followed_all_the_same():
    _, rounds = played(sequence(step("a"), step("b")), ABC | {"a": lambda given: ""})

    assert rounds[1] == [("b", "(nothing)")]


FAILED = Answered(agent="a", input="go", text="Error: no key", failed=True)


def test_a_step_that_fails_ends_the_workflow():
    found = decide(sequence(step("a"), step("b")), Turn(input="go", answers=(FAILED,)))

    assert found == Failed("The agent 'a' failed in the workflow: Error: no key")


def test_a_step_may_fail_where_it_says_so():
    found = decide(sequence(step("a", may_fail=True), step("b")), Turn(input="go", answers=(FAILED,)))

    assert found == Calls([Asked(agent="b", input="Error: no key")])


def test_what_is_answered_in_part_is_asked_for_the_rest():
    """Such as where a person has to agree to one of them."""
    answer = Answered(agent="b", input="go", text="done")

    found = decide(parallel(step("a"), step("b")), Turn(input="go", answers=(answer,)))

    assert found == Calls([Asked(agent="a", input="go")])


def test_an_agent_that_was_asked_something_else_by_a_person_has_answered():
    edited = Answered(agent="a", input="go slowly", text="done", edited=True)
    other = Answered(agent="a", input="go slowly", text="done")

    assert decide(step("a"), Turn(input="go", answers=(edited,))) == Said("done")
    assert decide(step("a"), Turn(input="go", answers=(other,))) == Calls([Asked(agent="a", input="go")])
