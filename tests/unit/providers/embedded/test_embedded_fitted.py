"""What the embedded model cannot have is refused by the name that the client wrote, or left out and named."""

import msgspec
import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.content import Prompt, ReasoningOptions
from gateway.core.errors import UnsupportedParameter
from gateway.core.events import Finished, Started
from gateway.core.target import Target
from gateway.providers.embedded.fitted import Fitted

TARGET = Target(provider="local", model="tiny")


class Heard:
    """A Responder that remembers the call."""

    async def __call__(self, call, send):
        self.call = call
        await send(Started(id="1", model="m", created=1, target="local/tiny"))
        await send(Finished())


def _call(dialect, **prompt):
    return Call(
        id="call_1", operation="generate", dialect=dialect, model="small", stream=False, caller=ANONYMOUS, received=0.0,
        body=b"{}", fields={}, content=Prompt(items=(), **prompt),
    )  # fmt: skip


async def _events(responder, call):
    events = []

    async def send(event):
        events.append(event)

    await responder(call, send)
    return events


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("openai_chat", "reasoning_effort"), ("openai_responses", "reasoning"), ("anthropic_messages", "thinking")],
)
async def test_a_wish_to_think_is_refused_by_the_clients_own_name(dialect, name):
    call = _call(dialect, reasoning=ReasoningOptions(effort="high"))

    with pytest.raises(UnsupportedParameter) as caught:
        await _events(Fitted(Heard(), TARGET), call)

    assert caught.value.param == name


async def test_a_wish_to_think_is_left_out_and_named_where_that_is_permitted():
    heard = Heard()
    target = Target(provider="local", model="tiny", drop=True)

    events = await _events(Fitted(heard, target), _call("anthropic_messages", reasoning=ReasoningOptions(budget=1024)))

    assert heard.call.content.reasoning is None
    assert events[0].dropped == ("thinking",)


async def test_thinking_switched_off_is_what_the_model_does_anyway():
    heard = Heard()

    events = await _events(
        Fitted(heard, TARGET), _call("anthropic_messages", reasoning=ReasoningOptions(mode="disabled"))
    )

    assert heard.call.content.reasoning is None
    assert events[0].dropped == ()


async def test_top_k_of_another_api_reaches_the_model():
    heard = Heard()

    await _events(Fitted(heard, TARGET), _call("anthropic_messages", top_k=40))

    assert heard.call.content.top_k is None
    assert heard.call.content.rest["openai_chat"]["top_k"] == 40


async def test_hints_that_go_out_as_they_came_are_named():
    """docs/dialects.md#hints: what changes nothing in the answer is named in x-switchgear-dropped."""
    fields = {"model": "small", "store": True, "user": "u", "metadata": {}, "prediction": None, "temperature": 1}
    call = msgspec.structs.replace(_call("openai_chat"), content=None, fields=fields)

    started, *_ = await _events(Fitted(Heard(), TARGET), call)

    assert started.dropped == ("store", "user")
