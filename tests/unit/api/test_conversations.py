"""Conversations over a real store: made, shown, changed and forgotten, with items that are whole, in pages, and within bounds."""

import pytest

from gateway.api import conversations
from gateway.app import Application
from gateway.config import load
from gateway.config.database_settings import SqliteSettings
from gateway.loading import Loader
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from tests.unit.api.run_desk_double import ask

LIST, ONE, ITEMS, ITEM = (
    conversations.LIST_PATH,
    conversations.ONE_PATH,
    conversations.ITEMS_PATH,
    conversations.ITEM_PATH,
)
HELLO = {"role": "user", "content": "Hello."}
MOST = 30


@pytest.fixture
async def to(tmp_path):
    config = tmp_path / "c.yaml"
    (tmp_path / "script.yaml").write_text("models: {demo: {answers: [{say: hello}]}}")
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")
    application = Application(load(config, {}), Loader(config, dict), config_path=config)
    database = await open_database(SqliteSettings(path=str(tmp_path / "c.db")))
    endpoints = conversations.endpoints(application.edge, SqlConversations(database), most=MOST)

    async def to(method, path, body=None, *, query="", **params):
        return await ask(endpoints[path], method, path, body, query=query, params=params)

    yield to
    await database.aclose()


async def made(to, **fields):
    answered = await to("POST", LIST, fields)
    assert answered.status == 200, answered.body
    return answered.json()["id"]


async def test_a_conversation_is_made_shown_changed_and_forgotten(to):
    new = (await to("POST", LIST, {"metadata": {"topic": "relays"}})).json()
    assert new == {
        "id": new["id"],
        "object": "conversation",
        "created_at": new["created_at"],
        "metadata": {"topic": "relays"},
    }
    assert new["id"].startswith("conv_")
    assert isinstance(new["created_at"], int)
    assert (await to("GET", ONE, conversation=new["id"])).json() == new

    changed = (await to("POST", ONE, {"metadata": {"topic": "fuses"}}, conversation=new["id"])).json()
    assert changed == {**new, "metadata": {"topic": "fuses"}}
    gone = (await to("DELETE", ONE, conversation=new["id"])).json()
    assert gone == {"id": new["id"], "object": "conversation.deleted", "deleted": True}

    assert (await to("GET", ONE, conversation=new["id"])).status == 404


async def test_a_conversation_may_be_made_of_nothing(to):
    assert (await to("POST", LIST, b"")).json()["metadata"] == {}
    assert (await to("POST", LIST, {"items": None, "metadata": None})).status == 200


async def test_items_are_given_back_whole(to):
    sent = [
        HELLO,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/a.png"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {"type": "reasoning", "encrypted_content": "gAAAA", "summary": []},
        {"type": "compaction", "encrypted_content": "x", "id": "cmp_1"},
    ]
    name = await made(to)

    added = (await to("POST", ITEMS, {"items": sent}, conversation=name)).json()

    kept = added["data"]
    assert (added["object"], added["first_id"], added["last_id"], added["has_more"]) == (
        "list",
        kept[0]["id"],
        "cmp_1",
        False,
    )
    assert kept[0] == {
        "id": kept[0]["id"], "type": "message", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": "Hello."}],
    }  # fmt: skip
    assert kept[1]["content"] == [{"type": "output_text", "text": "Hi.", "annotations": []}]
    assert kept[2]["content"][0]["detail"] == "auto"
    assert [item["id"].split("_")[0] for item in kept] == ["msg", "msg", "msg", "fc", "fco", "rs", "cmp"]
    assert [item.get("status") for item in kept] == ["completed"] * 5 + [None, None]
    assert (await to("GET", ITEM, conversation=name, item=kept[3]["id"])).json() == kept[3]
    listed = (await to("GET", ITEMS, query="order=asc", conversation=name)).json()["data"]
    assert listed == kept


async def test_an_item_is_taken_out(to):
    name = await made(to, items=[HELLO, HELLO])
    first = (await to("GET", ITEMS, query="order=asc&limit=1", conversation=name)).json()["first_id"]

    answered = await to("DELETE", ITEM, conversation=name, item=first)

    assert answered.json()["id"] == name
    assert len((await to("GET", ITEMS, conversation=name)).json()["data"]) == 1
    assert [(await to(method, ITEM, conversation=name, item=first)).status for method in ("GET", "DELETE")] == [
        404,
        404,
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_miss_nothing(to, order):
    name = await made(to, items=[{"role": "user", "content": str(number)} for number in range(7)])
    seen, after, more = [], "", True

    while more:
        page = (await to("GET", ITEMS, query=f"order={order}&limit=3{after}", conversation=name)).json()
        seen += [item["content"][0]["text"] for item in page["data"]]
        after, more = f"&after={page['last_id']}", page["has_more"]

    assert seen == sorted("0123456", reverse=order == "desc")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"items": [HELLO] * 21}, "items"),
        ({"items": "hello"}, "items"),
        ({"items": [HELLO, "hello"]}, "items[1]"),
        ({"items": [{"role": "captain", "content": "x"}]}, "items[0].role"),
        ({"items": [HELLO, {"type": "function_call", "name": "f", "arguments": ""}]}, "items[1].call_id"),
        ({"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0]"),
        ({"items": [{**HELLO, "id": "a b"}]}, "items[0].id"),
        ({"items": [{**HELLO, "id": "x" * 129}]}, "items[0].id"),
        ({"items": [{**HELLO, "id": "msg_1"}] * 2}, "items[1].id"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"x": "y" * 513}}, "metadata.x"),
        ({"metadata": {"x" * 65: "y"}}, "metadata"),
        ({"metadata": {"x": 1}}, "metadata.x"),
        ({"topic": "x"}, "topic"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(to, fields, param):
    answered = await to("POST", LIST, fields)

    assert (answered.status, answered.json()["error"]["param"]) == (400, param)


async def test_a_conversation_has_an_end(to):
    name = await made(to, items=[HELLO] * 20)

    refused = await to("POST", ITEMS, {"items": [HELLO] * 11}, conversation=name)
    taken = await to("POST", ITEMS, {"items": [HELLO] * 10}, conversation=name)

    assert (refused.status, taken.status) == (409, 200)


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": None}])
async def test_to_add_is_to_add_something(to, body):
    answered = await to("POST", ITEMS, body, conversation=await made(to))

    assert (answered.status, answered.json()["error"]["param"]) == (400, "items")


@pytest.mark.parametrize("name", ["conv_absent", "x" * 129, "conv_'", ""])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", ONE, None), ("POST", ONE, {"metadata": {}}), ("DELETE", ONE, None), ("GET", ITEMS, None),
        ("POST", ITEMS, {"items": [HELLO]}), ("GET", ITEM, None), ("DELETE", ITEM, None),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(to, name, method, path, body):
    assert (await to(method, path, body, conversation=name, item="msg_1")).status == 404
