"""Fallback: other targets are tried until the commit point, the first content event, and never after it."""

import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.errors import InvalidRequest, UpstreamBroken, UpstreamUnreachable
from gateway.core.events import CutShort, Finished, Started, TextDelta, Tried
from gateway.core.target import Target
from gateway.core.usage import Usage
from gateway.routing.fallback import Fallback

CALL = Call(
    id="call_1", operation="generate", dialect="openai_chat", model="m", stream=True, caller=ANONYMOUS, received=0.0, body=b"{}", fields={},
)  # fmt: skip


def started(target):
    return Started(id="call_1", model="m", created=0, target=target)


def answering(target, *events, error=None):
    async def respond(call, send):
        del call
        await send(started(target))
        for event in events:
            await send(event)
        if error is not None:
            raise error

    return Target(provider=target.split("/")[0], model="m"), respond


async def hear(*targets):
    heard = []

    async def send(event):
        heard.append(event)

    await Fallback(targets)(CALL, send)
    return heard


WORD = TextDelta(index=0, text="hi")


async def test_the_first_target_answers_alone():
    heard = await hear(answering("a/m", WORD, Finished()), answering("b/m", error=AssertionError("not asked")))

    assert heard == [started("a/m"), WORD, Finished()]


async def test_a_target_that_fails_before_content_leaves_only_a_note():
    broken = answering("a/m", CutShort(usage=Usage(input=1)), error=UpstreamBroken("x"))

    heard = await hear(broken, answering("b/m", WORD, Finished()))

    assert heard == [Tried(target="a/m", error="upstream_broken"), started("b/m"), WORD, Finished()]


async def test_after_content_the_error_is_the_callers():
    with pytest.raises(UpstreamBroken):
        await hear(answering("a/m", WORD, error=UpstreamBroken("x")), answering("b/m", WORD, Finished()))


@pytest.mark.parametrize("error", [InvalidRequest("x"), ValueError("x")])
async def test_what_no_other_target_can_mend_is_not_tried_again(error):
    with pytest.raises(type(error)):
        await hear(answering("a/m", error=error), answering("b/m", WORD, Finished()))


async def test_the_last_targets_error_is_told():
    with pytest.raises(UpstreamUnreachable, match="second"):
        await hear(
            answering("a/m", error=UpstreamBroken("first")), answering("b/m", error=UpstreamUnreachable("second"))
        )
