"""Conversations on every database: items in the order in which they were said, each once, and within a tenant."""

import anyio
import msgspec
import pytest
import sqlalchemy

from gateway.core.errors import Conflict
from gateway.core.tools import Label
from gateway.stores.conversations import Conversation, ConversationItem
from gateway.stores.conversations_sql import SqlConversations

replace = msgspec.structs.replace
THREAD = Conversation(id="conv_1", tenant="acme", created_at=1.5, metadata={"topic": "café \0 \U0001f469"})


@pytest.fixture
def conversations(database):
    return SqlConversations(database)


def said(*numbers: int, run: str = "", text: str = "Hi") -> list[ConversationItem]:
    """Items as they are handed in: which place they get is not theirs to say."""
    return [ConversationItem(id=f"msg_{n}", place=77, run=run, body={"type": "message", "text": text}) for n in numbers]


async def ids(conversations, conversation: str = "conv_1", **query) -> list[str]:
    page = await conversations.items("acme", conversation, **{"order": "asc", "limit": 100} | query)
    return [item.id for item in page]


async def append(conversations, *numbers: int, most: int = 100, **more):
    return await conversations.append("acme", "conv_1", said(*numbers, **more), most=most)


async def test_a_conversation_comes_back_as_it_was_given(conversations):
    await conversations.add(THREAD, said(1, 2))

    assert await conversations.find("acme", "conv_1") == THREAD
    kept = await conversations.items("acme", "conv_1", order="asc")
    assert kept == [replace(item, place=place) for place, item in enumerate(said(1, 2))]
    assert await conversations.find_item("acme", "conv_1", "msg_2") == kept[1]


async def test_where_an_item_came_from_is_kept(conversations):
    label = Label(source="wiki/read", integrity="untrusted", confidentiality="sensitive")
    first, second, third = said(1, 2, 3)
    await conversations.add(THREAD, [replace(first, label=label)])
    await conversations.append("acme", "conv_1", [second, replace(third, label=Label(source="model"))], most=9)

    kept = await conversations.items("acme", "conv_1", order="asc")
    assert [item.label for item in kept] == [label, None, Label(source="model")]


async def test_an_id_is_taken_once(conversations):
    await conversations.add(THREAD)

    with pytest.raises(Conflict):
        await conversations.add(replace(THREAD, tenant="globex"), said(1))
    assert await ids(conversations) == []


async def test_first_items_of_the_same_id_leave_no_conversation(conversations):
    with pytest.raises(Conflict):
        await conversations.add(THREAD, said(1, 1))
    assert await conversations.find("acme", "conv_1") is None


async def test_metadata_is_replaced_as_a_whole(conversations):
    await conversations.add(THREAD)

    changed = await conversations.set_metadata("acme", "conv_1", {"a": "b"})
    assert changed == replace(THREAD, metadata={"a": "b"})
    assert await conversations.find("acme", "conv_1") == changed


async def test_items_are_appended_in_their_order(conversations):
    await conversations.add(THREAD, said(9))
    first = await append(conversations, 3, 1, 2)
    second = await append(conversations, 0, run="resp_1")

    assert [(item.id, item.place) for item in first] == [("msg_3", 1), ("msg_1", 2), ("msg_2", 3)]
    assert [(item.id, item.place, item.run) for item in second] == [("msg_0", 4, "resp_1")]
    assert await ids(conversations) == ["msg_9", "msg_3", "msg_1", "msg_2", "msg_0"]


async def test_who_appends_again_finds_what_was_appended(conversations):
    await conversations.add(THREAD)
    first = await append(conversations, 1, 2)
    again = await append(conversations, 2, 3, 1, text="changed")

    assert again == [first[1], replace(said(3, text="changed")[0], place=2), first[0]]
    assert await ids(conversations) == ["msg_1", "msg_2", "msg_3"]
    assert await append(conversations, 1, 2, 3) == [first[0], first[1], again[1]]


async def test_an_item_that_comes_twice_at_once_is_kept_once_as_it_came_first(conversations):
    await conversations.add(THREAD)
    kept = await conversations.append("acme", "conv_1", [*said(1, 2), *said(1, text="changed")], most=2)

    assert [(item.id, item.place) for item in kept] == [("msg_1", 0), ("msg_2", 1)]
    assert kept[0].body["text"] == "Hi"
    assert await ids(conversations) == ["msg_1", "msg_2"]


async def test_appending_nothing_changes_nothing(conversations):
    await conversations.add(THREAD)

    assert await append(conversations) == []
    assert await conversations.append("acme", "conv_2", [], most=5) is None


async def test_a_full_conversation_takes_all_or_nothing(conversations):
    await conversations.add(THREAD, said(1, 2))

    with pytest.raises(Conflict):
        await append(conversations, 3, 4, most=3)
    assert await ids(conversations) == ["msg_1", "msg_2"]
    await append(conversations, 1, 3, most=3)
    assert len(await append(conversations, 3, 2, most=3)) == 2
    with pytest.raises(Conflict):
        await append(conversations, 4, most=3)
    await conversations.remove_item("acme", "conv_1", "msg_1")
    await append(conversations, 4, most=3)
    assert await ids(conversations) == ["msg_2", "msg_3", "msg_4"]


async def test_many_who_append_at_once_each_have_places_of_their_own(conversations):
    await conversations.add(THREAD)
    full = []

    async def speak(number: int) -> None:
        try:
            await append(conversations, 2 * number, 2 * number + 1, most=30)
        except Conflict:
            full.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(speak, number)

    kept = await conversations.items("acme", "conv_1", order="asc", limit=100)
    assert [item.place for item in kept] == list(range(30))
    assert len(full) == 5
    numbers = [int(item.id.removeprefix("msg_")) for item in kept]
    assert all(second == first + 1 for first, second in zip(numbers[::2], numbers[1::2], strict=True))


async def test_pages_go_both_ways(conversations):
    await conversations.add(THREAD)
    await append(conversations, *range(7))
    everything = [f"msg_{number}" for number in range(7)]

    async def walk(order):
        found, after = [], ""
        while page := await conversations.items("acme", "conv_1", after=after, limit=3, order=order):
            found += [item.id for item in page]
            after = page[-1].id
        return found

    assert await walk("asc") == everything
    assert await walk("desc") == everything[::-1]
    assert [item.id for item in await conversations.items("acme", "conv_1", limit=2)] == ["msg_6", "msg_5"]
    assert await ids(conversations, after="msg_99") == []


async def test_an_item_that_is_taken_out_leaves_the_others_in_order(conversations):
    await conversations.add(THREAD, said(1, 2, 3))

    assert await conversations.remove_item("acme", "conv_1", "msg_2")
    assert not await conversations.remove_item("acme", "conv_1", "msg_2")
    assert await conversations.find_item("acme", "conv_1", "msg_2") is None
    (new,) = await append(conversations, 2)
    assert new.place == 3
    assert await ids(conversations) == ["msg_1", "msg_3", "msg_2"]


async def test_the_same_item_may_be_in_two_conversations(conversations):
    await conversations.add(THREAD, said(1))
    await conversations.add(replace(THREAD, id="conv_2"), said(1, text="another"))
    await conversations.remove_item("acme", "conv_1", "msg_1")

    kept = await conversations.find_item("acme", "conv_2", "msg_1")
    assert kept is not None
    assert kept.body["text"] == "another"


async def test_a_conversation_that_is_removed_leaves_nothing(conversations, database):
    await conversations.add(THREAD, said(1, 2))
    await conversations.add(replace(THREAD, id="conv_2"), said(1))

    assert await conversations.remove("acme", "conv_1")
    assert not await conversations.remove("acme", "conv_1")
    assert await conversations.find("acme", "conv_1") is None
    assert await conversations.items("acme", "conv_1") is None
    assert await ids(conversations, "conv_2") == ["msg_1"]
    async with database.connect() as connection:
        assert await connection.scalar(sqlalchemy.text("SELECT count(*) FROM conversation_items")) == 1


@pytest.mark.parametrize(
    ("tenant", "conversation"),
    [("globex", "conv_1"), ("acme", "conv_2"), ("acme", "conv_1\0"), ("acme", "\ud800"), ("acme", ""), ("", "conv_1")],
)
async def test_what_a_tenant_does_not_have_is_not_there_whoever_has_it(conversations, tenant, conversation):
    await conversations.add(THREAD, said(1))

    assert await conversations.find(tenant, conversation) is None
    assert await conversations.set_metadata(tenant, conversation, {"mine": "now"}) is None
    assert await conversations.append(tenant, conversation, said(2), most=9) is None
    assert await conversations.items(tenant, conversation) is None
    assert await conversations.items(tenant, conversation, after="msg_1") is None
    assert await conversations.find_item(tenant, conversation, "msg_1") is None
    assert not await conversations.remove_item(tenant, conversation, "msg_1")
    assert not await conversations.remove(tenant, conversation)

    assert await conversations.find("acme", "conv_1") == THREAD
    assert await ids(conversations) == ["msg_1"]


@pytest.mark.parametrize("unknown", ["msg_2", "msg_1\0", "\ud800", ""])
async def test_an_item_that_is_not_there_is_not_found(conversations, unknown):
    await conversations.add(THREAD, said(1))

    assert await conversations.find_item("acme", "conv_1", unknown) is None
    assert not await conversations.remove_item("acme", "conv_1", unknown)
    assert not unknown or await ids(conversations, after=unknown) == []


async def test_any_text_and_a_megabyte_of_it_come_back_as_they_were(conversations):
    odd = "\0 \u2028 \U0001f469\u200d\U0001f469 \\u0000 \"' \r\n\t\x7f العربية"
    body = {"z": odd * 30_000, "a": [None, True, 1, 1.5, 2**53, {"": {}}], odd: odd}
    await conversations.add(THREAD)
    await conversations.append("acme", "conv_1", [ConversationItem(id="msg_1", place=0, body=body)], most=5)

    kept = await conversations.find_item("acme", "conv_1", "msg_1")
    assert kept is not None
    assert kept.body == body
    assert list(kept.body) == list(body)


async def test_thousands_of_items_are_appended_at_once_and_again(conversations):
    await conversations.add(THREAD)
    many = said(*range(3000))

    for _ in range(2):
        kept = await conversations.append("acme", "conv_1", many, most=3000)
        assert kept is not None
        assert [item.place for item in kept] == list(range(3000))


async def test_items_are_found_by_their_ids_within_a_tenant(conversations):
    label = Label(source="wiki/read", integrity="untrusted")
    [first, *others] = said(1, 2, 3)
    await conversations.add(THREAD, [replace(first, label=label), *others])
    await conversations.add(replace(THREAD, id="conv_2", created_at=2.5), said(1, text="later"))
    await conversations.add(replace(THREAD, id="conv_3", tenant="globex", created_at=3.5), said(1, text="theirs"))

    found = await conversations.find_items("acme", ["msg_1", "msg_3", "msg_9", "msg_\0"])

    assert {item.id: item.body["text"] for item in found} == {"msg_1": "later", "msg_3": "Hi"}
    assert await conversations.find_items("acme", []) == []
    assert [item.body["text"] for item in await conversations.find_items("globex", ["msg_1"])] == ["theirs"]
    many = [f"no_{number}" for number in range(1200)]
    assert len(await conversations.find_items("acme", [*many, "msg_2"])) == 1
