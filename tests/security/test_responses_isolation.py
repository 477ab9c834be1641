"""A tenant's stored responses and conversations are not there for any other: not to read, change, end, delete or go on from.

What is answered for a foreign id is to the byte what is answered for one that never was.
"""

import pytest

from gateway.api.openapi_responses import OPERATIONS
from tests.journeys.responses_world import responses_world

ABSENT = {"response": "resp_" + "0" * 24, "conversation": "conv_" + "0" * 24, "item": "msg_" + "0" * 24}
HELLO = {"role": "user", "content": "Hello."}
BODIES = {
    "/v1/conversations/{conversation}": {"metadata": {"x": "y"}},
    "/v1/conversations/{conversation}/items": {"items": [HELLO]},
}
WAYS = [
    *((operation.method, operation.path, "") for operation in OPERATIONS if "{" in operation.path),
    ("get", "/v1/responses/{response}", "?stream=true"),
    ("get", "/v1/responses/{response}", "?stream=true&starting_after=1"),
]


@pytest.fixture
async def world(tmp_path):
    async with responses_world(tmp_path) as world:
        yield world


@pytest.fixture
async def ids(world):
    """What our tenant has."""
    conversation = await world.ours.conversations.create(items=[HELLO])
    response = await world.ours.responses.create(model="talker", input="hello", background=True)
    await world.ended(response.id)
    (item,) = (await world.ours.conversations.items.list(conversation.id)).data
    return {"response": response.id, "conversation": conversation.id, "item": item.id}


def unnamed(answer, ids):
    """All that a client can tell of an answer, but for the name that it sent itself."""
    body = answer.text
    for name in ids.values():
        body = body.replace(name, "NAME")
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-switchgear-call-id")}
    return answer.status_code, headers, body


@pytest.mark.parametrize(("method", "path", "query"), WAYS)
async def test_a_foreign_object_is_to_the_byte_what_an_absent_one_is(world, ids, method, path, query):
    body = BODIES.get(path) if method == "post" else None
    ours = await world.raw("GET", f"/v1/conversations/{ids['conversation']}/items")

    foreign, absent = [
        await world.raw(method.upper(), path.format(**names) + query, key="theirs", json=body)
        for names in (ids, ABSENT)
    ]

    assert foreign.status_code == 404
    assert unnamed(foreign, ids) == unnamed(absent, ABSENT)
    assert (await world.raw("GET", f"/v1/responses/{ids['response']}")).json()["status"] == "completed"
    assert (await world.raw("GET", f"/v1/conversations/{ids['conversation']}/items")).json() == ours.json()


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens"])
@pytest.mark.parametrize("more", [{}, {"background": True}, {"stream": True}, {"store": False}])
@pytest.mark.parametrize(("field", "noun"), [("previous_response_id", "response"), ("conversation", "conversation")])
async def test_nobody_goes_on_from_what_is_anothers(world, ids, path, more, field, noun):
    if "stream" in more and path.endswith("tokens"):
        more = {}
    foreign, absent = [
        await world.raw(
            "POST", path, key="theirs", json={"model": "talker", "input": "and then?", field: names[noun], **more}
        )
        for names in (ids, ABSENT)
    ]

    assert (foreign.status_code, foreign.json()["error"]["param"]) == (404, field)
    assert unnamed(foreign, ids) == unnamed(absent, ABSENT)
    assert len((await world.ours.conversations.items.list(ids["conversation"])).data) == 1


async def test_an_item_of_one_conversation_is_not_in_another(world, ids):
    other = await world.theirs.conversations.create(items=[HELLO])

    for method in ("GET", "DELETE"):
        answer = await world.raw(method, f"/v1/conversations/{other.id}/items/{ids['item']}", key="theirs")
        assert answer.status_code == 404
    assert (await world.raw("GET", f"/v1/conversations/{ids['conversation']}/items/{ids['item']}")).status_code == 200


async def test_every_caller_of_a_tenant_sees_what_it_has(world, ids):
    tenant = (await world.raw("GET", "/admin/keys", key="owner", params={"limit": 100})).json()["data"]
    mine = next(key["tenant"] for key in tenant if key["name"] == "ours")
    made = (await world.raw("POST", "/admin/keys", key="owner", json={"name": "second", "tenant": mine})).json()
    world.keys["second"] = made["key"]

    assert (await world.raw("GET", f"/v1/responses/{ids['response']}", key="second")).status_code == 200


async def test_without_a_key_nothing_is_told(world, ids):
    for method, path, query in WAYS:
        answer = await world.http.request(method.upper(), path.format(**ids) + query)
        assert answer.status_code == 401, path
