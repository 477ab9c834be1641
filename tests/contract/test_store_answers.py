"""One contract for all who keep answers: in this process, and in Redis with this process in front of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from uuid import uuid4

import anyio
import msgspec
import pytest

from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest
from gateway.core.usage import Usage
from gateway.stores.answers import AnswerStore, Entry, Listed, Selection
from gateway.stores.answers_memory import MemoryAnswers
from gateway.stores.answers_redis import RedisAnswers
from gateway.stores.answers_shared import SharedAnswers
from tests.servers import missing_servers

KINDS = ["memory", *(["redis", "redis with a front"] if "redis" not in missing_servers() else [])]
PATIENT = 5.0  # this machine has other things to do
NOW = 1_800_000_000.0


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: self.now)


class Store:
    """A store, the time that it sees, and how to wait until what was kept is kept for all."""

    def __init__(self, answers: AnswerStore, hand: Hand, told: Callable[[], Awaitable[None]]) -> None:
        self.answers = answers
        self.hand = hand
        self.told = told

    async def keep(self, *entries: Entry) -> None:
        for one in entries:
            self.answers.keep(one)
        await self.told()

    async def found(self, *names: str) -> list[str]:
        """Of these questions, those that have an answer."""
        return [name for name in names if await self.answers.find(key_of(name)) is not None]


def key_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def entry(name: str, *, age: float = 0.0, ttl: float = 100.0, **rest) -> Entry:
    given = {
        "id": f"ce_{name}",
        "key": key_of(name),
        "tenant": "acme",
        "model": "chat",
        "dialect": "openai_chat",
        "operation": "chat",
        "target": "scripted",
        "made": NOW - age,
        "fresh_until": NOW - age + ttl,
        "kept_until": NOW - age + ttl,
        "answer": name.encode(),
    }
    return Entry(**(given | rest))


def listed(one: Entry) -> Listed:
    return Listed(
        entry=msgspec.structs.replace(one, question="", answer=b""), size=len(one.answer + one.question.encode())
    )


async def nothing() -> None:
    """What is kept in this process is kept at once."""


@pytest.fixture(params=KINDS)
async def store(request) -> AsyncIterator[Store]:
    hand = Hand()
    local = MemoryAnswers(most_bytes=2**20, entry_bytes=2**14, clock=hand.clock, chance=lambda: 0.5)
    if request.param == "memory":
        yield Store(local, hand, nothing)
        return
    server = request.getfixturevalue("redis_server")
    redis = RedisAnswers(server.url, clock=hand.clock, timeout=PATIENT, find_timeout=PATIENT, name=uuid4().hex)
    shared = SharedAnswers(redis, local, clock=hand.clock, chance=lambda: 0.5)

    async def told() -> None:
        with anyio.fail_after(10):
            while not shared.up or shared._waiting or shared._writing:
                await anyio.sleep(0.001)
        if request.param == "redis":
            # As another replica would: nothing is here.
            local.clear()
            shared._fresh.clear()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.run)
        await told()
        yield Store(shared, hand, told)
        tasks.cancel_scope.cancel()


FULL = {
    "partition": "p" * 64,
    "question": "What is a busbar? なに 🔌",
    "version": "v2",
    "namespace": "support",
    "tags": ("docs", "faq"),
    "usage": Usage(input=12, cache_read=3, output=40, reasoning=7, estimated=True),
    "answer": bytes(range(256)),
    "kept_until": NOW + 500.0,
}


async def test_what_is_kept_is_found_whole(store):
    one = entry("a", **FULL)
    await store.keep(one)

    assert await store.answers.find(one.key) == one
    assert await store.answers.entries([one.id, "ce_unknown"]) == (one,)


async def test_what_nobody_kept_is_not_found(store):
    assert await store.answers.find(key_of("nothing")) is None
    assert await store.answers.entries(["ce_nothing"]) == ()


async def test_an_entry_is_kept_instead_of_the_one_that_its_key_had(store):
    old, new = entry("a"), entry("a", id="ce_newer", answer=b"newer")
    await store.keep(old)
    await store.keep(new)

    assert await store.answers.find(old.key) == new
    assert await store.answers.entries([old.id, new.id]) == (new,)
    assert (await store.answers.select(Selection(), limit=10)).entries == (listed(new),)


async def test_an_entry_is_found_while_it_is_stale_and_not_when_it_is_over(store):
    await store.keep(entry("a", ttl=10.0, kept_until=NOW + 20.0))

    store.hand.now = NOW + 15.0
    assert await store.found("a") == ["a"]
    store.hand.now = NOW + 20.0
    assert await store.found("a") == []
    assert await store.answers.entries(["ce_a"]) == ()
    assert (await store.answers.select(Selection(), limit=10)).entries == ()
    assert await store.answers.remove(Selection()) == ()


async def test_what_is_over_already_and_what_is_too_large_is_not_kept(store):
    await store.keep(
        entry("over", age=200.0),
        entry("large", answer=bytes(2**14 + 1)),
        entry("long", question="?" * 2**14),
        entry("fits", answer=bytes(2**14 - 10)),
    )

    assert await store.found("over", "large", "long", "fits") == ["fits"]
    assert store.answers.held().let_go["refused"] == 3


SELECTIONS = [
    (Selection(), "abcdef"),
    (Selection(tenant="acme"), "abcde"),
    (Selection(tenant="other"), "f"),
    (Selection(tenant="nobody"), ""),
    (Selection(model="small"), "c"),
    (Selection(tenant="acme", model="chat"), "abde"),
    (Selection(tenant="acme", namespace="support"), "b"),
    (Selection(namespace=""), "acdef"),
    (Selection(tag="faq"), "de"),
    (Selection(tenant="acme", tag="faq", model="small"), ""),
    (Selection(tenant="acme", prefix="What is"), "de"),
    (Selection(prefix="ce_b"), "b"),
    (Selection(entry="ce_c"), "c"),
    (Selection(entry="ce_c", tenant="other"), ""),
    (Selection(entry="ce_"), ""),
]


async def fill(store: Store) -> None:
    await store.keep(
        entry("a", age=6.0),
        entry("b", age=5.0, namespace="support"),
        entry("c", age=4.0, model="small"),
        entry("d", age=3.0, tags=("docs", "faq"), question="What is a busbar?", partition="p"),
        entry("e", age=2.0, tags=("faq",), question="What is a relay?"),  # similar questions do not find it; people do
        entry("f", age=1.0, tenant="other", question="Who?", partition="q"),
    )


@pytest.mark.parametrize(("selection", "names"), SELECTIONS)
async def test_a_selection_shows_what_fits_all_that_it_says_the_newest_first(store, selection, names):
    await fill(store)

    shown = (await store.answers.select(selection, limit=10)).entries

    assert [one.entry.id for one in shown] == [f"ce_{name}" for name in reversed(names)]


@pytest.mark.parametrize(("selection", "names"), SELECTIONS)
async def test_a_selection_removes_what_it_shows_and_nothing_else(store, selection, names):
    await fill(store)

    would = await store.answers.remove(selection, dry_run=True)
    assert await store.found(*"abcdef") == list("abcdef")
    removed = await store.answers.remove(selection)

    assert sorted(removed) == sorted(would) == [f"ce_{name}" for name in names]
    assert await store.found(*"abcdef") == [name for name in "abcdef" if name not in names]
    assert await store.answers.remove(selection) == ()
    assert await store.answers.entries([f"ce_{name}" for name in names]) == ()


async def test_no_selection_of_a_tenant_shows_or_removes_what_is_anothers(store):
    """Whatever else it says, and however alike the entries are but for whose they are."""
    for tenant in ("acme", "acme2", "ac", "ACME", "acme\x1fchat", ""):
        await store.keep(entry(f"of {tenant}", id=f"ce_{key_of(tenant)}", tenant=tenant, question="Q?", tags=("t",)))
    more = [{}, {"model": "chat"}, {"tag": "t"}, {"prefix": "Q"}, {"namespace": ""}, {"entry": f"ce_{key_of('ac')}"}]

    for rest in more:
        for tenant in ("acme", "chat", "acme2"):
            page = await store.answers.select(Selection(tenant=tenant, **rest), limit=10)
            assert {one.entry.tenant for one in page.entries} <= {tenant}
    await store.answers.remove(Selection(tenant="acme"))

    left = (await store.answers.select(Selection(), limit=10)).entries
    assert {one.entry.tenant for one in left} == {"acme2", "ac", "ACME", "acme\x1fchat", ""}


async def test_pages_follow_each_other_without_a_gap_or_a_repetition(store):
    """Also where many were made at the same moment, and while others come and go."""
    names = [f"n{number:03}" for number in range(50)]
    await store.keep(*(entry(name, age=float(number // 20)) for number, name in enumerate(names)))
    seen: list[str] = []
    after, pages = "", 0
    while pages == 0 or after:
        page = await store.answers.select(Selection(tenant="acme"), limit=7, after=after)
        assert len(page.entries) <= 7
        seen += [one.entry.id for one in page.entries]
        after, pages = page.following, pages + 1
        await store.answers.remove(Selection(entry=page.entries[-1].entry.id))
        await store.keep(entry(f"newer{pages}", age=-1.0))

    assert pages == 8
    assert sorted(seen) == [f"ce_{name}" for name in names]


@pytest.mark.parametrize("after", ["nonsense", "x:y", ":"])
async def test_a_place_that_no_page_gave_is_refused(store, after):
    with pytest.raises(InvalidRequest):
        await store.answers.select(Selection(), limit=10, after=after)


async def test_those_who_watch_hear_what_was_removed(store):
    heard: list[str] = []
    store.answers.watch(heard.extend)
    await fill(store)
    await store.answers.remove(Selection(tenant="acme", tag="faq"), dry_run=True)
    assert heard == []

    await store.answers.remove(Selection(tenant="acme", tag="faq"))

    assert sorted(set(heard)) == ["ce_d", "ce_e"]


async def test_what_is_held_is_counted(store):
    await fill(store)
    held = store.answers.held()
    if held.away is None or held.entries:  # else all is in Redis alone
        assert held.entries == 6
        assert held.bytes > sum(len(name) for name in "abcdef") + 6 * 64

    await store.answers.remove(Selection())

    after = store.answers.held()
    assert (after.entries, after.bytes, after.let_go["removed"]) == (0, 0, 6)


async def test_many_who_find_and_keep_at_once_get_their_own(store):
    await store.keep(*(entry(f"m{number}") for number in range(100)))

    found = await asyncio.gather(*(store.answers.find(key_of(f"m{number}")) for number in range(100)))

    assert [one.answer for one in found if one] == [f"m{number}".encode() for number in range(100)]
