"""Shadows: which calls are copied, what that costs the others, and what is kept of two answers."""

import time

import anyio
import pytest
from msgspec.structs import replace

from gateway.config.shadow_settings import ShadowBudgetSettings, ShadowSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import ClientLeft, Forbidden, RateLimited, UpstreamTimeout
from gateway.core.events import Finished, ItemFinished, Started, TextDelta
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.pipeline.shadowed import Shadowed
from gateway.pipeline.shadowed_copy import copied, on_the_books
from gateway.pipeline.shadowed_plan import ShadowLane, ShadowPlan
from gateway.pipeline.shadowing import Shadowing
from gateway.routing.overload.ladder import STATIC_TARGET

USAGE = Usage(input=10, output=5)
CALL = Call(
    id="call_1",
    operation="generate",
    dialect="openai_chat",
    model="chat",
    stream=False,
    caller=Caller(id="key_1", tenant="acme", team="red", user="ada", tags=(("a", "b"),)),
    received=100.0,
    body=b"{}",
    fields={"model": "chat", "messages": []},
)


class Says:
    """A responder that says a text, or raises."""

    def __init__(self, text="Paris.", error=None, target="up/big"):
        self.text = text
        self.error = error
        self.target = target
        self.calls = []

    async def __call__(self, call, send):
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        await send(Started(id="1", model="m", created=0, target=self.target))
        await send(TextDelta(index=0, text=self.text))
        await send(ItemFinished(index=0, item=Message(role="assistant", parts=(Text(text=self.text),))))
        await send(Finished(usage=USAGE))


class Kept:
    """A store that keeps in memory what it is given."""

    def __init__(self):
        self.kept = []

    async def add(self, shadows):
        self.kept.extend(shadows)

    async def remove_expired(self, now):
        return 0

    async def remove_beyond(self, model, rows):
        return 0

    async def spent(self, model, since):
        return 0


class World:
    """A model with a shadow, and time that stands still until it is moved."""

    def __init__(self, original=None, shadow=None, clean=None, **settings):
        self.now = 100.0
        self.original = original or Says()
        self.shadow = shadow or Says(target="up/small")
        self.store = Kept()
        self.toss = 0.0
        self.held = 0
        self.shadowing = Shadowing(
            self.store,
            clock=Clock(monotonic=lambda: self.now, wall=lambda: self.now),
            new_id=lambda prefix: f"{prefix}2",
        )
        plan = ShadowPlan(
            model="chat",
            settings=ShadowSettings(model="next", share=0.05, **settings),
            answer=self.shadow,
            relays=lambda dialect: True,
            priced=True,
            cost=lambda target, usage: usage.total,
            clean=clean,
            hold=lambda: self.hold(1),
            release=lambda: self.hold(-1),
        )
        self.stage = Shadowed(self.original, plan, self.shadowing, lambda: self.toss)

    def hold(self, more):
        self.held += more

    async def ask(self, call=CALL):
        async def send(event):
            pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.shadowing.run)
            await anyio.wait_all_tasks_blocked()
            try:
                await self.stage(call, send)
            finally:
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()

    @property
    def outcomes(self):
        lines = self.shadowing.metrics[0].render()
        return {line.split('outcome="')[1].split('"')[0]: int(line.rpartition(" ")[2]) for line in lines}


async def test_a_sampled_call_is_copied_once_its_answer_is_out():
    world = World()
    await world.ask()

    [copy] = world.shadow.calls
    assert (copy.model, copy.shadow_of, copy.fields["model"]) == ("next", "call_1", "next")
    [kept] = world.store.kept
    assert (kept.call, kept.same, kept.tenant, kept.user) == ("call_1", True, "acme", "ada")
    assert kept.original.cost_nano == 15
    assert (world.outcomes, world.held) == ({"sent": 1}, 0)


async def test_the_others_are_not():
    world = World()
    world.toss = 0.05
    await world.ask()

    assert (world.shadow.calls, world.outcomes) == ([], {})


async def test_a_call_that_is_not_sampled_costs_the_toss_of_a_coin():
    world = World()
    world.toss = 0.5
    inner, stage, rounds = world.original.__call__, world.stage, 20_000

    class Nothing:
        def __call__(self, call, send):
            return None

    stage._inner = inner = Nothing()
    times = {}
    for name, ask in (("alone", inner), ("sampled", stage)):
        best = 1.0
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(rounds):
                ask(CALL, None)
            best = min(best, time.perf_counter() - began)
        times[name] = best / rounds

    assert times["sampled"] - times["alone"] < 2e-6


@pytest.mark.parametrize("error", [ClientLeft("It left."), RateLimited("No."), Forbidden("No.")])
async def test_a_call_that_was_refused_or_left_has_no_copy(error):
    world = World(Says(error=error))
    with pytest.raises(BaseExceptionGroup):
        await world.ask()

    assert (world.shadow.calls, world.outcomes, world.stage._lane.busy) == ([], {}, 0)


async def test_a_call_that_its_upstream_failed_is_copied():
    world = World(Says(error=UpstreamTimeout("Too late.")))
    with pytest.raises(BaseExceptionGroup):
        await world.ask()

    [kept] = world.store.kept
    assert (kept.original.error, kept.shadow.error, kept.same) == ("upstream_timeout", "", None)


async def test_a_text_that_stood_in_for_a_model_is_compared_with_nothing():
    for sides in ((Says(target=STATIC_TARGET), None), (None, Says(target=STATIC_TARGET))):
        world = World(*sides)
        await world.ask()

        [kept] = world.store.kept
        failed, answered = (kept.original, kept.shadow) if sides[0] else (kept.shadow, kept.original)
        assert (failed.error, failed.content, answered.error, kept.same) == ("degraded", None, "", None)


async def test_one_whose_caller_may_not_use_the_shadow_is_not_sent():
    world = World(shadow=Says(error=Forbidden("Not this one.")))
    await world.ask()

    assert (world.store.kept, world.outcomes) == ([], {"skipped_policy": 1})


async def test_a_bug_in_a_copy_is_nobodys_problem():
    world = World(shadow=Says(error=RuntimeError("Oh.")))
    await world.ask()

    assert (world.outcomes, world.stage._lane.busy, world.held) == ({"failed": 1}, 0, 0)


async def test_what_may_not_be_kept_is_not():
    async def nothing(call, content):
        return None

    world = World(clean=nothing)
    await world.ask()

    [kept] = world.store.kept
    assert [(side.content, side.withheld) for side in (kept.original, kept.shadow)] == [(None, True)] * 2
    assert kept.same is True


async def test_long_answers_are_cut_but_compared_whole():
    world = World(Says("x" * 1000 + "a"), Says("x" * 1000 + "b"), answer_bytes=256)
    await world.ask()

    [kept] = world.store.kept
    assert kept.same is False
    assert (kept.original.content, kept.original.cut) == ({"text": "x" * 256}, True)


def test_the_days_money_is_new_money_at_midnight():
    lane, settings = ShadowLane("chat"), ShadowSettings(model="next", budget=ShadowBudgetSettings(usd_per_day=1.0))
    lane.spend(999_999_999, 86_399.0)
    assert lane.affords(settings, priced=True, wall=86_399.0)
    lane.spend(1, 86_399.0)

    assert not lane.affords(settings, priced=True, wall=86_399.0)
    assert lane.affords(settings, priced=True, wall=86_400.0)
    assert not lane.affords(settings, priced=False, wall=86_400.0)


def test_what_other_processes_spent_counts():
    lane, settings = ShadowLane("chat"), ShadowSettings(model="next", budget=ShadowBudgetSettings(usd_per_day=1.0))
    lane.heard(2_000_000_000, 10.0)

    assert not lane.affords(settings, priced=True, wall=10.0)


def test_copies_of_a_minute_are_counted_anew_after_it():
    lane, settings = ShadowLane("chat"), ShadowSettings(model="next", budget=ShadowBudgetSettings(calls_per_minute=1))

    assert [lane.take(settings, now) for now in (0.0, 59.9, 60.0, 60.1)] == [True, False, True, False]


def test_a_copy_is_on_nobodys_books():
    copy = copied(CALL, model="next", call_id="call_2", now=1.0)

    caller = on_the_books(copy).caller
    assert (caller.id, caller.team, caller.tags) == ("shadow", "", ())
    assert (caller.tenant, caller.user) == ("acme", "ada")
    assert copy.caller == CALL.caller  # who is asked for what may be done


async def test_encrypted_reasoning_does_not_go_to_another_provider():
    block = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [block, {"type": "text", "text": "Yes?"}]},
    ]
    call = replace(CALL, dialect="anthropic_messages", fields={"model": "chat", "messages": turns})

    kept = copied(call, model="next", call_id="call_2", now=1.0)
    stripped = copied(call, model="next", call_id="call_2", now=1.0, foreign=True)

    assert b"c2lnbmVk" in kept.body
    assert stripped.fields["messages"] == [
        turns[0],
        {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
    ]
