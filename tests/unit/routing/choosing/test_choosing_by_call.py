"""Rules send a call where its facts say, the first that holds; complexity sends easy calls to the least target that handles them."""

import pytest
from structlog.testing import capture_logs

from gateway.config.choosing_settings import RuleSettings
from gateway.config.rule_names import RULE_NAMES
from gateway.core.caller import Caller
from gateway.routing.choosing.call_facts import FINDERS, Facts, Surroundings
from gateway.routing.opening import Known, open_pool
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import Pool
from tests.unit.routing.choosing.labelled_prompts import HARD
from tests.unit.routing.routing_doubles import Upstream, World, call_of, hear

THREE = ("a/m", "b/m", "c/m")
NOON = 1_795_694_400.0  # 2026-11-26 12:00 UTC, a Thursday
KIND = {"flag": bool, "number": (int, float, type(None)), "text": str, "texts": (list, tuple), "tags": dict}


def rules(*written, **plan):
    return RoutingPlan(strategy="rules", rules=tuple(RuleSettings(**one) for one in written), **plan)


def pool(plan, world=None) -> Pool:
    answering = [(one.target, one) for one in map(Upstream, THREE)]
    known = Known(input_tokens=lambda call: len(str(call.fields)) // 4, wall=lambda: NOON)
    return open_pool("m", answering, plan, (world or World()).conditions, known)


def asked(plan, call, **kw):
    order, decision = pool(plan, **kw).decide(call, 1000.0)
    return [seat.name for seat in order], decision


def said(text, **fields):
    return call_of(messages=[{"role": "user", "content": text}], **fields)


def test_the_first_rule_that_holds_says_who_is_asked_and_the_others_follow_as_written():
    plan = rules({"when": "temperature > 1", "use": ("b/m",)}, {"when": "stream", "use": ("c/m",)}, {"use": ("b/m",)})

    assert asked(plan, said("hi"))[0] == ["c/m", "a/m", "b/m"]
    assert asked(plan, said("hi", temperature=1.5))[0] == ["b/m", "a/m", "c/m"]


def test_targets_are_named_by_their_names_too_and_asked_in_the_order_of_the_rule():
    plan = rules({"use": ("big", "a/m")}, labels={"big": "c/m"})

    assert asked(plan, said("hi"))[0] == ["c/m", "a/m", "b/m"]


def test_where_no_rule_holds_the_targets_are_asked_as_written():
    order, decision = asked(rules({"when": "tokens > 99999", "use": ("c/m",)}), said("hi"))

    assert order == [*THREE]
    assert decision.considered[0].why == "no rule holds"


def test_the_decision_says_which_rule_held():
    plan = rules({"when": "has_tools", "use": ("b/m",)}, {"when": "stream and\n  not has_images", "use": ("c/m",)})
    _, decision = asked(plan, said("hi"))

    assert decision.strategy == "rules"
    assert decision.considered[0].why == "rule 2: stream and not has_images"
    assert [one.why for one in decision.considered[1:]] == ["", ""]


async def test_only_means_that_nobody_else_is_asked():
    plan = rules({"when": "tags.secret == 'yes'", "use": ("b/m",), "only": True})
    order, decision = asked(plan, call_of(caller=Caller(id="k", tags=(("secret", "yes"),))))

    assert order == ["b/m"]
    assert [(one.target, one.verdict) for one in decision.considered] == [
        ("b/m", "chosen"),
        ("a/m", "unfit"),
        ("c/m", "unfit"),
    ]
    assert decision.considered[1].why == "only others are asked (rule 1: tags.secret == 'yes')"


async def test_where_the_only_target_is_spared_nobody_is_asked_but_the_caller_is_told():
    world = World()
    plan = {"strategy": "rules", "rules": (RuleSettings(use=("b/m",), only=True),)}
    upstreams = [Upstream(name) for name in THREE]
    routed = world.routed(*upstreams, **plan)
    routed.pool.seats[1].condition.cool(world.now + 9)
    with pytest.raises(Exception, match="spared"):
        await hear(routed)

    assert [one.asked for one in upstreams] == [[], [], []]


def test_a_condition_that_cannot_be_worked_out_does_not_hold_and_is_told_of_once():
    plan = rules({"when": "tokens / turns > 1", "use": ("c/m",)}, {"use": ("b/m",)})
    one = pool(plan)
    with capture_logs() as logs:
        orders = [one.decide(call_of(), 1000.0)[1].chosen for _ in range(3)]

    assert orders == ["b/m"] * 3
    assert [(log["event"], log["error"]) for log in logs] == [("rule.failed", "ZeroDivisionError")]


PNG = {"type": "image_url", "image_url": {"url": "data:,"}}
TOOL = {"type": "function", "function": {"name": "search", "parameters": {}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


@pytest.mark.parametrize(
    ("condition", "call"),
    [
        ("model == 'm' and operation == 'generate' and api == 'openai_chat'", said("hi")),
        ("tenant == 'acme' and team == 't1' and user == 'u1' and 'ops' in groups and caller == 'k'",
         call_of(caller=Caller(id="k", tenant="acme", team="t1", user="u1", groups=("ops",)))),
        ("end_user == 'ann' and session == 's1'", call_of(session="s1", user="ann")),
        ("end_user == 'ann'", call_of(metadata={"user_id": "ann"})),
        ("tokens > 100 and turns == 1", said("word " * 200)),
        ("has_images and not has_audio", call_of(messages=[{"role": "user", "content": [PNG]}])),
        ("has_audio", call_of(messages=[{"role": "user", "content": [{"type": "input_audio"}]}])),
        ("has_documents", call_of(input=[{"role": "user", "content": [{"type": "input_file"}]}])),
        ("has_tools and 'search' in tools and len(tools) == 2", call_of(tools=[TOOL, {"type": "web_search"}])),
        ("'search' in tools", call_of(tools=[{"name": "search", "input_schema": {}}])),
        ("wants_schema and wants_json", call_of(response_format=SCHEMA)),
        ("wants_json and not wants_schema", call_of(text={"format": {"type": "json_object"}})),
        ("temperature == 0.5 and max_tokens == 7", call_of(temperature=0.5, max_tokens=7)),
        ("max_tokens == 9", call_of(max_output_tokens=9)),
        ("reasoning_effort == 'high'", call_of(reasoning={"effort": "high"})),
        ("language == 'de'", said("Wie geht es dir, und was machst du?")),
        ("text.contains('urgent') and language == ''", said("urgent!")),
        ("text == 'last'", call_of(messages=[{"role": "user", "content": "first"}, {"role": "assistant", "content": "x"},
                                             {"role": "user", "content": [{"type": "text", "text": "last"}]}])),
        ("text == 'q'", call_of(messages=[{"role": "user", "content": "q"},
                                          {"role": "user", "content": [{"type": "tool_result", "content": "r"}]}])),
        ("text == 'in'", call_of(input="in")),
        ("text == 'two'", call_of(prompt=["one", "two"])),
        ("hour == 12 and minute == 0 and weekday == 'thu'", said("hi")),
        ("stream and complexity < 0.2", said("hi")),
        ("complexity >= 0.2", said(HARD[0])),
    ],
)  # fmt: skip
def test_facts_are_found_in_every_api(condition, call):
    assert asked(rules({"when": condition, "use": ("c/m",)}), call)[0][0] == "c/m"


def test_the_time_is_that_of_the_zone():
    plan = rules({"when": "hour == 13 and weekday == 'thu'", "use": ("c/m",)}, time_zone="Europe/Vienna")

    assert asked(plan, said("hi"))[0][0] == "c/m"


ODD = [
    {}, {"messages": 3, "tools": 4, "response_format": "x", "metadata": [], "reasoning": 7, "temperature": "hot"},
    {"messages": [None, 3, {"role": "user"}, {"role": "user", "content": 5}], "tools": [None, {"function": 3}]},
    {"input": {"a": 1}, "tools": {"x": 1}, "max_tokens": True, "thinking": "yes"},
    {"messages": [{"role": "user", "content": [None, {"type": "text"}, {"type": "text", "text": 3}]}], "text": {"format": 3}},
    {"prompt": [[1, 2], [3]], "reasoning_effort": 3, "n": None},
]  # fmt: skip


@pytest.mark.parametrize("fields", ODD)
def test_every_name_has_a_value_of_its_kind_however_odd_the_call_is(fields):
    zone = pool(rules({"use": ("a/m",)}))._chooser._around.zone
    around = Surroundings(input_tokens=lambda call: 1, wall=lambda: NOON, zone=zone)

    assert RULE_NAMES.keys() == FINDERS.keys()
    for name, kind in RULE_NAMES.items():
        assert isinstance(Facts(call_of(**fields), around)[name], KIND[kind]), name


def complexity(**handles):
    return RoutingPlan(strategy="complexity", handles={f"{name}/m": value for name, value in handles.items()})


def test_easy_calls_go_to_the_least_target_that_handles_them_and_hard_ones_further_up():
    plan = complexity(a=1.0, b=0.2, c=0.6)

    assert asked(plan, said("Hello!"))[0] == ["b/m", "c/m", "a/m"]
    assert asked(plan, said("Prove it."))[0] == ["c/m", "a/m", "b/m"]
    assert asked(plan, said("Prove it and derive it.", reasoning_effort="high"))[0] == ["a/m", "c/m", "b/m"]


def test_what_nobody_handles_goes_to_who_handles_most():
    assert asked(complexity(a=0.1, b=0.2, c=0.3), said("Prove and derive it."))[0] == ["c/m", "b/m", "a/m"]


def test_the_decision_says_how_hard_it_looked_and_why():
    _, decision = asked(complexity(a=0.2, b=1.0, c=1.0), said("Prove it."))

    assert decision.considered[0].why.startswith("complexity 0.25: demanding +0.25")
