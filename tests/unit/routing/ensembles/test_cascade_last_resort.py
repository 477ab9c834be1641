"""An answer that did not pass may go out when no larger target answers, where that is permitted, and is accounted for once."""

import pytest

from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.core.events import TextDelta
from tests.unit.routing.ensembles.ensemble_doubles import Heard, ask, cascade, question, refuses, says
from tests.unit.routing.routing_doubles import Upstream, World

GOOD = says("42")


def refused(status):
    return UpstreamRefused("refused", upstream_status=status)


DOWN = {"escalate_on": ("refusal", "low_confidence"), "last_resort": ("low_confidence",)}


async def test_an_answer_that_did_not_pass_goes_out_where_no_larger_one_comes_and_that_is_permitted():
    small = Upstream("a/small", says("perhaps", logprob=-1.0))
    heard = await ask(cascade(World(), small, Upstream("b/large", refused(503)), **DOWN))

    assert (heard.text, heard.target) == ("perhaps", "a/small")
    assert heard.spent == []
    assert heard.verdicts == {
        "a/small": ("chosen", "low_confidence: 0.37 is less than 0.8; no larger target answered"),
        "b/large": ("failed", "upstream_error"),
    }
    assert heard.of(TextDelta)[0].logprobs is None


async def test_an_answer_goes_out_as_a_last_resort_only_for_what_was_permitted():
    heard = Heard()
    responder = cascade(World(), Upstream("a/small", refuses()), Upstream("b/large", refused(503)), **DOWN)
    with pytest.raises(UpstreamRefused):
        await responder(question(), heard.send)

    assert heard.spent == [("a/small", "cascade", 12)]


async def test_what_broke_off_after_its_beginning_is_not_begun_again_as_a_last_resort():
    small, large = (
        Upstream("a/small", says("perhaps", logprob=-1.0)),
        Upstream("b/large", [*GOOD[:2], UpstreamBroken("x")]),
    )
    heard = Heard()
    with pytest.raises(UpstreamBroken):
        await cascade(World(), small, large, **DOWN)(question(), heard.send)

    assert heard.target == "b/large"
    assert heard.spent == [("a/small", "cascade", 12)]


async def test_the_largest_of_the_answers_that_may_go_out_is_the_last_resort():
    answers = [says(text, logprob=-1.0) for text in ("small", "middle")]
    targets = [Upstream("a/s", answers[0]), Upstream("b/m", answers[1]), Upstream("c/l", refused(503))]
    heard = await ask(cascade(World(), *targets, **DOWN))

    assert heard.text == "middle"
    assert heard.spent == [("a/s", "cascade", 12)]
