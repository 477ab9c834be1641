"""A target that lacks what a call needs is not asked while another has it, whichever API the call came by."""

import pytest

from gateway.routing.condition import Conditions
from gateway.routing.fitness import Abilities, needs_of
from gateway.routing.opening import Known, open_pool
from gateway.routing.plan import RoutingPlan
from tests.unit.routing.routing_doubles import Upstream, call_of

TOOL = {"type": "function", "function": {"name": "f"}}


def said(*parts):
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, *parts]}]}


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"messages": [{"role": "user", "content": "an image_url in a text"}]}, set()),
        (said({"type": "image_url", "image_url": {"url": "https://x/y.png"}}), {"vision"}),
        (said({"type": "image", "source": {}}), {"vision"}),
        (said({"type": "document", "source": {}}), {"documents"}),
        (said({"type": "file", "file": {}}), {"documents"}),
        (said({"type": "input_audio", "input_audio": {}}), {"audio"}),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}, {"type": "input_file"}]}]},
            {"vision", "documents"},
        ),
        ({"input": [{"type": "input_image", "image_url": "x"}]}, {"vision"}),
        ({"input": "an image"}, set()),
        ({"tools": [TOOL]}, {"tools"}),
        ({"tools": []}, set()),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"json_schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"text": {"format": {"type": "json_schema"}}}, {"json_schema"}),
        ({"output_config": {"format": {"type": "json_schema"}}}, {"json_schema"}),
        ({"structured_outputs": {"json": {"type": "object"}}}, {"json_schema"}),
        ({"structured_outputs": {"json": '{"type": "object"}'}}, {"json_schema"}),
        ({"structured_outputs": {"regex": "a+", "json": None}}, set()),
        ({"structured_outputs": "json"}, set()),
        (
            {"messages": [None, 7, {"content": [None, {"type": 7}, {"type": ["image"]}]}], "input": {"type": "image"}},
            set(),
        ),
    ],
)
def test_what_a_call_needs_is_read_from_any_api(fields, needs):
    assert needs_of(call_of(**fields), lambda call: 12) == (frozenset(needs), 12)


def pool(tokens=10, **abilities):
    answering = [(one.target, one) for one in (Upstream("a/m"), Upstream("b/m"))]
    known = Known(abilities={f"{name}/m": one for name, one in abilities.items()}, tokens_of=lambda call: tokens)
    return open_pool("m", answering, RoutingPlan(), Conditions(lambda: 0.0), known)


BLIND = Abilities(lacks=frozenset({"vision", "tools"}))


def verdicts(one, **fields):
    return [(found.target, found.verdict, found.why) for found in one.decide(call_of(**fields), 0.0)[1].considered]


def test_a_target_that_lacks_something_is_left_out_with_its_reason():
    one = pool(a=BLIND)

    assert verdicts(one) == [("a/m", "chosen", ""), ("b/m", "next", "")]
    assert verdicts(one, **said({"type": "image"}), tools=[TOOL]) == [
        ("b/m", "chosen", ""), ("a/m", "unfit", "it has no tools and no vision"),
    ]  # fmt: skip


def test_a_target_that_is_too_small_is_left_out():
    assert verdicts(pool(tokens=9000, a=Abilities(context=8192))) == [
        ("b/m", "chosen", ""), ("a/m", "unfit", "about 9000 tokens do not fit into its context of 8192"),
    ]  # fmt: skip


def test_where_all_lack_it_all_are_asked_and_say_so_themselves():
    assert [verdict for _, verdict, _ in verdicts(pool(a=BLIND, b=BLIND), tools=[TOOL])] == ["chosen", "next"]


def test_who_is_fit_and_spared_is_not_replaced_by_who_is_unfit():
    one = pool(a=BLIND)
    one.seats[1].condition.cool(10.0)
    order, decision = one.decide(call_of(tools=[TOOL]), 0.0)

    assert order == ()
    assert [(found.target, found.verdict) for found in decision.considered] == [("b/m", "spared"), ("a/m", "unfit")]
