"""Attacks on output guardrails: the banned words, by another way than the text."""

import msgspec
import pytest

from gateway.core.content import EmbeddingInput
from gateway.core.errors import ContentBlocked
from gateway.core.events import Finished, ItemFinished, ItemStarted, TextDelta
from gateway.core.items import Message, Text, ToolCall
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OpenAICompletions
from gateway.pipeline.guarded_checks import PiiJudge
from gateway.protection.content_walk import holds_attachment
from gateway.protection.words import Words
from tests.unit.pipeline.guarding import SECRET, STARTED, USAGE, Client, Says, call, output, rail

IBAN = "DE89370400440532013000"
REDACTS = PiiJudge({"iban": "redact"})


def mark(token):
    return {"token": token, "logprob": -0.1, "top_logprobs": [{"token": f"{SECRET} {IBAN}", "logprob": -9.0}]}


class Marked:
    """A model whose answer spells itself out a second time, in log probabilities."""

    def __init__(self, *pieces):
        self.pieces = pieces

    async def __call__(self, call, send):
        await send(STARTED)
        await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
        for piece in self.pieces:
            await send(TextDelta(index=0, text=piece, logprobs=(mark(piece),)))
        text = Text(text="".join(self.pieces), logprobs=tuple(map(mark, self.pieces)))
        await send(ItemFinished(index=0, item=Message(role="assistant", parts=(text,))))
        await send(Finished(usage=USAGE))


@pytest.mark.parametrize("mode", ["buffer", "window", "async"])
@pytest.mark.parametrize(
    "pieces",
    [("all is ", "well"), ("word " * 30, SECRET[:9], SECRET[9:]), ("pay ", IBAN[:6], IBAN[6:], " now" * 30)],
)
async def test_log_probabilities_tell_nothing_that_was_held_back_or_taken_out(mode, pieces):
    rails = [output(mode=mode, window=32)]
    if mode != "async":
        rails.append(msgspec.structs.replace(output(REDACTS, mode=mode, window=32), name="p"))
    client = await Client().ask(Marked(*pieces), *rails)

    delivered = repr([event for event in client.events if not isinstance(event, Finished)])
    assert "logprob'" not in delivered
    assert SECRET not in delivered or mode == "async"
    assert IBAN not in delivered or mode == "async"


async def test_a_report_leaves_log_probabilities_as_they_are():
    client = await Client().ask(Marked("all is ", "well"), output(action="report", mode="window"))

    marks = [mark["token"] for event in client.events if isinstance(event, TextDelta) for mark in event.logprobs or ()]
    assert marks == ["all is ", "well"]


async def test_alternatives_to_what_was_said_are_not_judged_one_by_one():
    asked = []

    async def judge(texts, call):
        asked.extend(texts)
        return await REDACTS(texts, call)

    await Client().ask(Marked(*("ok " * 50).split(" ")), output(judge, mode="window", window=64))
    assert SECRET not in "".join(asked)
    assert len(asked) <= 6


@pytest.mark.parametrize("mode", ["buffer", "window"])
@pytest.mark.parametrize("arguments", [r'{"a": "\u0066orbidden\u0020fruit"}', r'{"a": "x\nforbidden\tfruit"}'])
async def test_arguments_that_the_client_will_read_are_judged_as_it_reads_them(mode, arguments):
    client = await Client().ask(Says(item=ToolCall(call_id="c", name="f", arguments=arguments)), output(mode=mode))

    assert client.finished.reason == "content_filter"
    assert "orbidden" not in repr(client.events)


COMPLETIONS = OpenAICompletions()


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ["all is well", f"say {SECRET}"]},
        {"prompt": "x", "suffix": f"and {SECRET}"},
        {"prompt": [[1, 2, 3]]},
        {"prompt": [1, 2, 3]},
    ],
)
async def test_no_prompt_of_the_completions_api_goes_unjudged(body):
    asked = call(content=COMPLETIONS.decode_call({"model": "m", **body}))
    model = Says("all is well")

    with pytest.raises(ContentBlocked):
        await Client().ask(model, rail(when="input"), asked=asked)
    assert model.calls == []


@pytest.mark.parametrize("field", ["documents", "chat_template", "chat_template_kwargs", "prediction", "system"])
async def test_what_servers_put_into_the_prompt_is_judged_with_it(field):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], field: {"text": [SECRET]}}

    with pytest.raises(ContentBlocked):
        await Client().ask(Says("ok"), rail(when="input"), asked=call(content=OPENAI_CHAT.decode_call(body)))


async def test_an_edit_reaches_what_stands_beside_the_conversation():
    body = {"model": "m", "prompt": ["first", f"pay {IBAN}"], "suffix": f"or {IBAN}"}
    model = Says("ok")

    await Client().ask(model, rail(REDACTS, when="input"), asked=call(content=COMPLETIONS.decode_call(body)))
    assert IBAN not in repr(model.calls[0].content)
    assert "pay [IBAN]" in repr(model.calls[0].content)


@pytest.mark.parametrize("word", ["\u0412ADWORD", "BAD\u0412ORD BADWORD"])
def test_capitals_of_another_alphabet_do_not_hide_a_word(word):
    assert list(Words(["badword"]).find(word))


@pytest.mark.parametrize(
    "content", [EmbeddingInput(inputs=((1, 2),)), COMPLETIONS.decode_call({"model": "m", "prompt": [[1]]})]
)
def test_tokens_are_what_cannot_be_looked_into(content):
    assert holds_attachment(content)
