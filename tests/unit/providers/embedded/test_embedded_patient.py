"""A whole answer of a slow model is waited for as long as everything may take; a stream has to begin in time."""

import pytest

from gateway.core.call import Call
from gateway.core.caller import ANONYMOUS
from gateway.core.target import Target, Timeouts
from gateway.providers.embedded.patient import Patient

TARGET = Target(provider="local", model="tiny", timeouts=Timeouts(first_token=5, total=300))


class Remembering:
    """Responders that note with which patience they were made and asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, target):
        async def respond(call, send):
            self.asked.append(target.timeouts)

        return respond


def _call(stream):
    return Call(
        id="call_1", operation="generate", dialect="openai_chat", model="small", stream=stream, caller=ANONYMOUS,
        received=0.0, body=b"{}", fields={}, content=None,
    )  # fmt: skip


@pytest.mark.parametrize(("stream", "wait"), [(False, 300), (True, 5)])
async def test_the_first_byte_of_a_whole_answer_may_take_the_total(stream, wait):
    made = Remembering()

    await Patient(made, TARGET)(_call(stream), None)

    assert [limits.first_token for limits in made.asked] == [wait]
    assert made.asked[0].total == 300
