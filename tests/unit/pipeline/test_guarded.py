"""What must not be seen is not delivered, in any mode, however it is cut; and a guardrail that fails does what it was told to."""

import anyio
import pytest
from structlog.testing import capture_logs

from gateway.core.content import EmbeddingInput
from gateway.core.errors import ContentBlocked, Unavailable, UpstreamUnreachable
from gateway.core.events import (
    Embeddings,
    Finished,
    ItemFinished,
    ItemStarted,
    Verbatim,
)
from gateway.core.items import Message, Text, ToolCall
from gateway.pipeline.guarded_checks import PiiJudge
from gateway.protection.matching import Match
from gateway.protection.verdict import ALLOW, Edit, Verdict
from tests.unit.pipeline.guarding import SECRET, STARTED, USAGE, Client, Says, call, failing, output, rail


async def never(texts, call):
    await anyio.sleep_forever()


async def allow(texts, call):
    return ALLOW


@pytest.mark.parametrize("mode", ["buffer", "async"])
async def test_a_request_that_does_not_pass_is_refused_and_nothing_of_it_is_told(mode):
    inner, client = Says("answer"), Client()
    with capture_logs() as logs, pytest.raises(ContentBlocked) as raised:
        await client.ask(inner, rail(when="input", mode=mode), asked=call(f"tell me of the {SECRET.upper()}"))

    assert (raised.value.status, raised.value.code) == (400, "content_blocked")
    assert SECRET not in repr((logs, raised.value.message)).lower()
    assert (client.streamed, client.verdicts) == ("", [("g", "block")])


async def test_before_a_request_has_passed_the_model_is_not_asked():
    inner = Says("answer")
    with pytest.raises(ContentBlocked):
        await Client().ask(inner, rail(when="input"), asked=call(SECRET))

    assert inner.calls == []


@pytest.mark.parametrize("mode", ["buffer", "async"])
async def test_a_request_that_passes_is_answered(mode):
    client = await Client().ask(Says("ans", "wer"), rail(when="input", mode=mode))

    assert (client.streamed, client.document, client.verdicts) == ("answer", "answer", [("g", "allow")])


async def test_the_operators_own_instructions_are_not_judged():
    client = await Client().ask(Says("ok"), rail(when="input"), asked=call("hi"))

    assert client.streamed == "ok"


async def test_an_input_judged_beside_keeps_the_answer_waiting():
    asked, decided = anyio.Event(), anyio.Event()

    async def slowly(texts, call):
        asked.set()
        await decided.wait()
        return ALLOW

    client = Client()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.ask, Says("answer"), rail(slowly, when="input", mode="async"))
            await asked.wait()
            await anyio.wait_all_tasks_blocked()
            assert client.streamed == ""
            decided.set()

    assert client.streamed == "answer"


@pytest.mark.parametrize("mode", ["buffer", "async"])
@pytest.mark.parametrize("judge", [failing(), failing(OSError("no")), never], ids=["error", "os", "late"])
async def test_an_input_guardrail_that_fails_is_open_or_closed(mode, judge):
    fields = {"when": "input", "mode": mode, "timeout": 0.02}
    client = await Client().ask(Says("answer"), rail(judge, fails="open", **fields))

    assert (client.streamed, client.verdicts) == ("answer", [("g", "failed")])
    closed = Client()
    with pytest.raises(Unavailable):
        await closed.ask(Says("answer"), rail(judge, fails="closed", **fields))
    assert (closed.streamed, closed.verdicts) == ("", [("g", "failed")])


async def test_an_input_is_changed_where_the_verdict_says_so():
    async def change(texts, call):
        return Verdict(decision="replace", edits=tuple((Edit(0, len(text), "new"),) for text in texts))

    inner = Says("ok")
    await Client().ask(inner, rail(change, when="input"), asked=call("old"))

    assert [item.parts[0].text for item in inner.calls[0].content.items] == [f"never say {SECRET}", "new"]
    assert b"old" not in inner.calls[0].body


async def test_what_cannot_be_changed_any_more_is_refused():
    async def change(texts, call):
        return Verdict(decision="replace", edits=((Edit(0, 1, "x"),),))

    content = EmbeddingInput(inputs=("old",))
    with pytest.raises(ContentBlocked):
        await Client().ask(Says("ok"), rail(change, when="input"), asked=call(operation="embed", content=content))
    with pytest.raises(ContentBlocked):
        await Client().ask(Says("ok"), rail(change, when="input", mode="async"))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("mode", ["buffer", "window"])
async def test_no_part_of_a_banned_span_is_delivered_however_it_is_cut(mode, size):
    text = "a" * 300 + f" the {SECRET} " + "b" * 300
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    inner = Says(*pieces)
    client = await Client().ask(inner, output(mode=mode, window=32))

    assert "forbidden" not in client.streamed + client.document
    assert text.startswith(client.streamed)
    assert client.streamed == client.document
    assert client.finished == Finished(reason="content_filter", usage=USAGE)
    assert client.verdicts == [("g", "block")]


async def test_a_window_stops_the_upstream_soon_after_the_span():
    pieces = ["abcdefgh "] * 50 + [SECRET + " "] + ["abcdefgh "] * 5000
    inner = Says(*pieces)
    client = await Client().ask(inner, output(mode="window", window=32))

    assert inner.sent < 65
    assert len(client.streamed) > 350


@pytest.mark.parametrize("mode", ["buffer", "window", "async"])
@pytest.mark.parametrize("size", [1, 4, 1000])
async def test_an_answer_that_passes_is_delivered_whole(mode, size):
    text = "An answer of some length, with nothing in it that anybody minds. " * 10
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    client = await Client().ask(Says(*pieces), output(mode=mode, window=32))

    assert (client.streamed, client.document) == (text, text)
    assert (client.finished.reason, client.finished.usage) == ("stop", USAGE)
    assert client.verdicts == [("g", "allow")]


async def test_a_window_holds_back_no_more_than_it_says():
    class Watching(Client):
        held = 0

        async def __call__(self, event):
            await super().__call__(event)
            self.held = max(self.held, inner.sent - len(self.streamed))

    inner, client = Says(*("x" * 400)), Watching()
    await client.ask(inner, output(allow, mode="window", window=40))

    assert client.held <= 40 + 40 // 4 + 1


@pytest.mark.parametrize("mode", ["buffer", "window", "async"])
@pytest.mark.parametrize("judge", [failing(), never], ids=["error", "late"])
async def test_an_output_guardrail_that_fails_is_open_or_closed(mode, judge):
    fields = {"mode": mode, "timeout": 0.02, "window": 16}
    client = await Client().ask(Says(*("answer " * 5)), output(judge, fails="open", **fields))

    assert (client.streamed, client.verdicts) == ("answer " * 5, [("g", "failed")])
    closed = Client()
    with pytest.raises(Unavailable):
        await closed.ask(Says(*("answer " * 5)), output(judge, fails="closed", **fields))
    if mode != "async":
        assert closed.streamed == ""
    assert not [event for event in closed.events if isinstance(event, Finished)]


@pytest.mark.parametrize("mode", ["buffer", "window", "async"])
async def test_a_report_lets_everything_pass(mode):
    client = await Client().ask(Says(SECRET), output(mode=mode, action="report"))

    assert (client.streamed, client.finished.reason, client.verdicts) == (SECRET, "stop", [("g", "report")])


async def test_beside_a_stream_nothing_waits_but_the_end():
    decided = anyio.Event()

    async def slowly(texts, call):
        await decided.wait()
        return ALLOW

    client = Client()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.ask, Says("an", "swer"), output(slowly, mode="async", window=16))
            await anyio.wait_all_tasks_blocked()
            assert client.streamed == "answer"
            assert not any(isinstance(event, Finished) for event in client.events)
            decided.set()

    assert client.finished.reason == "stop"


async def test_beside_a_stream_a_block_cuts_it():
    gate = anyio.Event()
    client = Client()
    with anyio.fail_after(5):
        await client.ask(Says("x " * 10, SECRET + " " * 20, gate=gate), output(mode="async", window=16))

    assert client.finished == Finished(reason="content_filter", usage=USAGE)
    assert client.verdicts == [("g", "block")]


@pytest.mark.parametrize("mode", ["buffer", "window"])
async def test_personal_data_is_taken_out_of_an_answer(mode):
    judge = PiiJudge({"email": "redact", "card": "redact"})
    text = "x" * 100 + " write to jane@example.com or pay 4111 1111 1111 1111 now " + "y" * 100
    client = await Client().ask(Says(*text), output(judge, mode=mode, window=64))

    assert client.streamed == client.document
    assert client.streamed == "x" * 100 + " write to [EMAIL] or pay [CARD] now " + "y" * 100
    assert client.verdicts == [("g", "replace")]


@pytest.mark.parametrize("mode", ["buffer", "window"])
async def test_a_tool_call_comes_whole_or_not_at_all(mode):
    good = ToolCall(call_id="c", name="f", arguments='{"a":"fine"}')
    bad = ToolCall(call_id="c", name="f", arguments=f'{{"a":"{SECRET}"}}')
    passed = await Client().ask(Says(item=good), output(mode=mode, window=16))
    stopped = await Client().ask(Says(item=bad), output(mode=mode, window=16))

    assert [event.item for event in passed.events if isinstance(event, ItemFinished)] == [good]
    assert not any(isinstance(getattr(event, "item", None), ToolCall) for event in stopped.events)
    assert stopped.finished.reason == "content_filter"


async def test_an_answer_without_pieces_is_judged_too():
    class Whole(Says):
        async def answer(self, send):
            item = Message(role="assistant", parts=(Text(text=SECRET),))
            await send(ItemStarted(index=0, item=Message(role="assistant", parts=())))
            await send(ItemFinished(index=0, item=item))
            await send(Finished(usage=USAGE))

    client = await Client().ask(Whole(), output(mode="window", window=16))

    assert (client.document, client.finished.reason) == ("", "content_filter")


async def test_the_upstreams_own_failure_stays_what_it_is():
    async def broken(call, send):
        raise UpstreamUnreachable("gone")

    for mode in ("buffer", "window", "async"):
        with pytest.raises(UpstreamUnreachable):
            await Client().ask(broken, output(mode=mode))
    with pytest.raises(UpstreamUnreachable):
        await Client().ask(broken, rail(allow, when="input", mode="async"))


async def test_a_client_that_leaves_ends_everything():
    for mode in ("buffer", "window", "async"):
        with anyio.fail_after(5), anyio.move_on_after(0.02) as scope:
            await Client().ask(Says("x", gate=anyio.Event()), output(never if mode == "async" else allow, mode=mode))
        assert scope.cancelled_caught


async def test_bytes_cannot_be_judged_and_are_not_delivered():
    async def relayed(call, send):
        await send(STARTED)
        await send(Verbatim(SECRET.encode()))

    for mode in ("buffer", "window", "async"):
        client = Client()
        with pytest.raises(RuntimeError, match="bytes"):
            await client.ask(relayed, output(mode=mode))
        assert client.events in ([STARTED], [])


async def test_a_guarded_call_goes_out_by_its_items():
    inner = Says("ok")
    await Client().ask(inner, output(), output(mode="window"))

    assert inner.calls[0].opened


async def test_who_does_not_match_is_not_judged():
    inner = Says(SECRET)
    client = await Client().ask(
        inner, output(match=Match(tenants=("other",))), rail(when="input", match=Match(teams=("x",)))
    )

    assert (client.streamed, client.verdicts, inner.calls[0].dialect) == (SECRET, [], "openai_chat")


async def test_vectors_pass_an_output_guardrail():
    async def embed(call, send):
        await send(STARTED)
        await send(Embeddings(vectors=((1.0,),)))
        await send(Finished())

    client = await Client().ask(embed, output(), asked=call(operation="embed", content=EmbeddingInput(inputs=("x",))))

    assert Embeddings(vectors=((1.0,),)) in client.events
