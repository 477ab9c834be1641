"""The stage that answers from what was answered before: what is kept, for how long, for whom, and what stands in where a model fails."""

import msgspec
import pytest

from gateway.cache.key import Keys
from gateway.core.answer import Answer
from gateway.core.cached import CacheWish
from gateway.core.call import opened
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, UpstreamTimeout
from gateway.core.events import Cached as Told
from gateway.core.events import CutShort, Degraded, Finished, Started, Verbatim
from gateway.core.items import Foreign, Refusal, Text
from gateway.core.usage import Usage
from gateway.pipeline.cached import renewal
from gateway.pipeline.cached_recording import Recording
from gateway.pipeline.cached_shelf import MOST_QUESTION
from tests.unit.pipeline.caching_doubles import ADA, TARGET, USED, Heard, World


async def test_an_answer_is_given_again_for_an_hour_and_no_longer():
    world = World(ttl=3600, jitter=0.0)
    first = await world.ask()
    world.clock.now += 3599
    second = await world.ask()
    world.clock.now += 2
    third = await world.ask()

    assert [heard.told for heard in (first, second, third)] == ["miss", "exact", "miss"]
    assert (second.text, third.text) == ("answer 1", "answer 2")
    assert second.of(Told)[0].age == 3599
    assert second.of(Told)[0].saved == USED


async def test_answers_do_not_all_end_at_the_same_time():
    world = World(ttl=1000, jitter=0.5, chance=lambda: 0.5)
    await world.ask()
    (entry,) = world.store._by_key.values()

    assert entry.fresh_until - world.clock.now == 750


@pytest.mark.parametrize("scope", ["tenant", "key", "user"])
async def test_two_tenants_never_share_an_answer(scope):
    """Everything else about the callers is the same."""
    world = World(scope=scope)
    await world.ask()
    other = msgspec.structs.replace(ADA, tenant="globex")

    assert (await world.ask(caller=other)).told == "miss"
    assert (await world.ask()).told == "exact"


async def test_an_entry_that_a_store_gives_for_another_tenant_is_not_served():
    """The key says whose it is; should a store mix them up, nothing is given away."""
    world = World()
    await world.ask()
    (entry,) = world.store._by_key.values()

    class Mixed:
        async def find(self, key):
            return msgspec.structs.replace(entry, tenant="globex")

        def keep(self, entry):
            pass

    world.cached._shelf = msgspec.structs.replace(world.shelf, store=Mixed())
    assert (await world.ask()).told == "miss"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("finished", Finished(reason="length", usage=USED)),
        ("finished", Finished(reason="content_filter", usage=USED)),
        ("finished", Finished(reason="refusal", usage=USED)),
        ("finished", Finished(reason="tool_calls", usage=USED)),
        ("finished", Finished(reason="pause", usage=USED)),
        ("finished", Finished(error="upstream_error", usage=USED)),
        ("parts", (Text(text="Well"), Refusal(text="no"))),
        ("parts", (Text(text="Well"), Foreign(dialect="openai_chat", raw={"type": "audio"}))),
        ("parts", (Text(text=""),)),
        ("parts", (Text(text="x" * 3000),)),
        ("target", "other/m"),
        ("extra", (CutShort(usage=USED),)),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_is_not_a_whole_answer_of_the_model_is_not_kept(name, value):
    world = World()
    setattr(world.model, name, value)
    told = [(await world.ask()).told for _ in range(2)]

    assert told == ["miss", "miss"]
    assert world.store.held().entries == 0


async def test_of_an_answer_that_is_too_large_no_more_is_held_than_may_be_kept():
    """However long the stream."""
    recording = Recording(Heard(), 1000)
    for _ in range(500):
        await recording(Verbatim(b"x" * 100))

    assert sum(map(len, recording._pieces)) <= 1000


async def test_an_answer_that_ended_with_a_stop_sequence_is_whole():
    world = World()
    world.model.finished = Finished(reason="stop_sequence", stop_sequence="#", usage=USED)
    await world.ask()
    again = await world.ask()

    assert again.of(Finished)[0].stop_sequence == "#"


async def test_what_data_protection_has_touched_is_not_kept():
    world = World(touched=["call_" + f"{1:024x}"])
    assert [(await world.ask()).told for _ in range(3)] == ["miss", "miss", "exact"]


@pytest.mark.parametrize("more", [{}, {"stream": False, "content": False}], ids=["stream", "document"])
async def test_an_answer_that_was_held_to_a_form_says_so_again(more):
    """Stream or document, the header is that of the answer which was kept."""
    world = World()
    world.model.structured = "native; repairs=1"
    await world.ask()

    for _ in range(2):
        heard = await world.ask(**more)
        assert (heard.told, heard.of(Started)[0].structured) == ("exact", "native; repairs=1")


async def test_of_a_long_question_its_beginning_is_kept_as_a_text_that_every_store_takes():
    world = World()
    messages = [{"role": "user", "content": "\ud83d" + "long " * 1000}]
    call = msgspec.structs.replace(world.call(), fields={"model": "m", "messages": messages})
    answer = Answer(started=Started(id="1", model="m", created=1, target=TARGET), finished=Finished())
    world.shelf.keep(call, "key", answer, entry="entry_1")

    (entry,) = await world.store.entries(["entry_1"])
    assert entry.question == "?" + ("long " * 1000)[: MOST_QUESTION - 1]


async def test_an_answer_that_a_guardrail_stops_on_its_way_is_not_kept():
    world = World()

    class Stopped(Exception):
        pass

    async def stopping(event):
        if isinstance(event, Finished):
            raise Stopped

    with pytest.raises(Stopped):
        await world.cached(world.call(), stopping)

    assert world.store.held().entries == 0
    assert len(world.means.flights) == 0


async def test_a_guarded_call_finds_what_the_same_call_has_kept():
    world = World()
    await world.ask()
    heard = type(await world.ask())()
    await world.cached(opened(world.call()), heard)

    assert heard.told == "exact"


async def test_documents_are_written_once_and_are_every_calls_own():
    world = World()
    await world.ask()
    documents = []
    for _ in range(2):
        world.clock.now += 7
        heard = await world.ask(stream=False, content=False)
        documents.append(msgspec.json.decode(heard.of(Verbatim)[0].data))
        assert heard.of(Started)[0].content_type == "application/json"

    one, other = documents
    assert one["choices"] == other["choices"]
    assert one["choices"][0]["message"]["content"] == "answer 1"
    assert one["id"] != other["id"]
    assert (one["created"], other["created"]) == (1_700_000_007, 1_700_000_014)
    assert one["model"] == "m-2026"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (CacheWish(mode="off"), ["miss", "bypass; off", "exact"]),
        (CacheWish(mode="read"), ["miss", "exact", "exact"]),
        (CacheWish(mode="write"), ["miss", "miss; write", "exact"]),
        (CacheWish(namespace="mine"), ["miss", "miss", "exact"]),
        (CacheWish(max_age=4.0), ["miss", "miss", "exact"]),
        (CacheWish(max_age=6.0), ["miss", "exact", "exact"]),
    ],
    ids=str,
)
async def test_wishes_hold_for_one_call(wish, told):
    world = World()
    found = [await world.ask()]
    world.clock.now += 5
    found += [await world.ask(cache=wish), await world.ask()]

    assert [heard.told for heard in found] == told


async def test_a_wish_to_only_read_keeps_nothing_and_one_to_write_makes_it_anew():
    world = World()
    await world.ask(cache=CacheWish(mode="read"))
    assert world.store.held().entries == 0

    await world.ask()
    anew = await world.ask(cache=CacheWish(mode="write"))
    assert (anew.text, (await world.ask()).text) == ("answer 3", "answer 3")


async def test_a_caller_says_for_how_long():
    world = World(jitter=0.0)
    await world.ask(cache=CacheWish(ttl=10.0))
    world.clock.now += 11

    assert (await world.ask()).told == "miss"


async def test_an_old_answer_is_given_while_a_new_one_is_made_once():
    """RFC 5861, stale-while-revalidate."""
    started = []
    world = World(ttl=10, jitter=0.0, stale_while_revalidate=60, beside=started.append)
    world.cached.renew = renewal(world.cached.make)
    await world.ask()
    world.clock.now += 30
    old = [await world.ask() for _ in range(3)]

    assert [heard.told for heard in old] == ["stale"] * 3
    assert {heard.text for heard in old} == {"answer 1"}
    assert len(started) == 1, "it is made anew once, however many ask"
    await started[0]()
    assert world.model.asked[-1].id != world.model.asked[0].id
    fresh = await world.ask()
    assert (fresh.told, fresh.text) == ("exact", "answer 2")
    world.clock.now += 71
    assert (await world.ask()).told == "miss"


async def test_a_renewal_that_fails_may_be_tried_again():
    started = []
    world = World(ttl=10, jitter=0.0, stale_while_revalidate=60, beside=started.append)
    world.cached.renew = renewal(world.cached.make)
    await world.ask()
    world.clock.now += 30
    world.model.error = UpstreamTimeout("too slow")
    await world.ask()
    await started[0]()

    assert (await world.ask()).told == "stale"
    assert len(started) == 2


async def test_an_old_answer_stands_in_where_the_model_fails():
    """RFC 5861, stale-if-error; the record says what failed."""
    world = World(ttl=10, jitter=0.0, stale_if_error=60)
    await world.ask()
    world.clock.now += 30
    world.model.error = UpstreamTimeout("too slow")
    heard = await world.ask()

    assert (heard.told, heard.text) == ("stale", "answer 1")
    assert heard.of(Degraded) == [Degraded("stale", "upstream_timeout")]
    world.model.error = None
    assert (await world.ask()).text == "answer 3"


@pytest.mark.parametrize("error", [InvalidRequest("no", param="seed")])
async def test_what_is_the_calls_own_fault_is_told(error):
    world = World(ttl=10, jitter=0.0, stale_if_error=60)
    await world.ask()
    world.clock.now += 30
    world.model.error = error

    with pytest.raises(InvalidRequest):
        await world.ask()


async def test_nothing_stands_in_after_an_answer_has_begun():
    world = World(ttl=10, jitter=0.0, stale_if_error=60)
    await world.ask()
    world.clock.now += 30

    async def breaking(call, send):
        await send(Started(id="", model="m", created=0, target=TARGET))
        raise UpstreamTimeout("in the middle")

    world.cached.around(breaking)
    with pytest.raises(UpstreamTimeout):
        await world.ask()


async def test_the_ladder_may_ask_for_the_old_answer():
    world = World(ttl=10, jitter=0.0, stale_if_error=60)
    await world.ask()
    world.clock.now += 30

    async def descending(call, send):
        assert await world.cached.give_old(call, send, "overloaded")

    world.cached.around(descending)
    heard = await world.ask()
    assert (heard.told, heard.text) == ("stale", "answer 1")
    assert heard.of(Degraded)[0].error == "overloaded"
    assert not world.cached._waiting
    assert world.store.held().entries == 1


async def test_the_ladder_finds_nothing_where_nothing_is_old():
    world = World(stale_if_error=60)
    found = []

    async def descending(call, send):
        found.append(await world.cached.give_old(call, send, "overloaded"))
        await world.model(call, send)

    world.cached.around(descending)
    await world.ask()
    assert found == [False]


async def test_what_cannot_be_read_any_more_is_asked_again():
    world = World()
    await world.ask()
    (entry,) = world.store._by_key.values()
    world.store.keep(msgspec.structs.replace(entry, answer=b"garbage"))

    assert [(await world.ask(stream=stream, content=stream)).told for stream in (True, False)] == ["miss", "exact"]


async def test_anonymous_users_of_different_keys_share_nothing_where_users_are_the_scope():
    world = World(scope="user")
    callers = [Caller(id=name, kind="key", tenant="acme") for name in ("one", "other")]

    assert [(await world.ask(caller=caller)).told for caller in callers] == ["miss", "miss"]


async def test_an_entry_says_all_that_is_needed_to_find_and_remove_it():
    world = World()
    caller = msgspec.structs.replace(ADA, tags=(("app", "shop"),))
    await world.ask(caller=caller, cache=CacheWish(namespace="n"))
    (entry,) = world.store._by_key.values()

    assert (entry.tenant, entry.model, entry.namespace, entry.tags) == ("acme", "m", "n", ("app=shop",))
    assert (entry.dialect, entry.operation, entry.target, entry.usage) == ("openai_chat", "generate", TARGET, USED)


async def test_an_estimate_is_what_was_saved_where_nobody_counted():
    world = World()
    world.model.finished = Finished(estimate=Usage(input=3, estimated=True))
    await world.ask()

    assert (await world.ask()).of(Told)[0].saved == Usage(input=3, estimated=True)


async def test_who_is_sent_to_another_target_by_a_rule_has_another_answer():
    """The rule looks at who asks, which is in no body: what the one is told is not the other's."""
    world = World()
    vip = msgspec.structs.replace(ADA, id="key_vip", team="vip")
    other = msgspec.structs.replace(ADA, id="key_other", team="other")
    keys = Keys(world.shelf.depends, outside=lambda call: b"%r" % (call.caller.team == "vip"))
    world.cached._shelf = msgspec.structs.replace(world.shelf, keys=keys)

    assert [(await world.ask(caller=who)).told for who in (vip, ADA, other, vip)] == ["miss", "miss", "exact", "exact"]


async def test_what_was_answered_when_the_rules_choice_had_changed_is_not_kept():
    world = World()
    keys = Keys(world.shelf.depends, outside=lambda call: b"%d" % (world.clock.now // 3600))
    world.cached._shelf = msgspec.structs.replace(world.shelf, keys=keys)
    inner = world.cached._inner

    async def slow(call, send):
        world.clock.now += 3600 if len(world.model.asked) == 0 else 0
        await inner(call, send)

    world.cached.around(slow)
    assert [(await world.ask()).told for _ in range(3)] == ["miss", "miss", "exact"]
    assert len(world.store._by_key) == 1
