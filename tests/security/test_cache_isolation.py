"""Two tenants with the same questions, over HTTP, with keys of their own: none has ever an answer that was made for the other."""

import itertools

import httpx2
import pytest

from tests.faults.faulty_upstream import asked
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker:
    embedding_dimensions: 4
    answers: [{say: "You said: {input}", usage: {input: 3, output: 2}}]
"""
CONFIG = """
database: {kind: sqlite, path: data/x.db}
access: {bootstrap_key_file: data/first.key}
providers: {play: {kind: scripted, document: script.yaml}}
cache: {models: {mode: exact, stale_while_revalidate: 100, stale_if_error: 100}}
models:
  shared: play/talker
  by_key: {targets: [{provider: play, model: talker}], cache: {scope: key}}
  by_user: {targets: [{provider: play, model: talker}], cache: {scope: user}}
"""
APIS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
}
TENANTS = ("acme", "globex")


class World:
    """A gateway, and two keys of each of two tenants."""

    def __init__(self, gateway, http, keys):
        self.gateway = gateway
        self.http = http
        self.keys = keys

    async def ask(self, key, path, body, **headers):
        answer = await self.http.post(path, json=body, headers={"authorization": f"Bearer {key}", **headers})
        assert answer.status_code == 200, answer.text
        return answer.headers["x-switchgear-cache"]


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isolation")
    (folder / "script.yaml").write_text(SCRIPT)
    async with running(folder, CONFIG) as gateway, httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        admin = {"authorization": f"Bearer {(folder / 'data/first.key').read_text().strip()}"}

        async def make(path, **body):
            answer = await http.post(f"/admin/{path}", json=body, headers=admin)
            assert answer.status_code == 200, answer.text
            return answer.json()

        keys = {}
        for tenant in TENANTS:
            made = await make("tenants", name=tenant)
            keys[tenant] = [(await make("keys", name=f"key {n}", tenant=made["id"]))["key"] for n in range(2)]
        yield World(gateway, http, keys)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, {"namespace": "the-same"}], ids=["plain", "namespace"])
async def test_the_same_question_of_two_tenants_is_asked_twice(world, api, stream, more):
    if api == "embeddings" and stream:
        return
    body = {
        **asked(api, stream=stream, model="shared", text=f"{api} {stream} {more}"),
        **({"cache": more} if more else {}),
    }
    acme, globex = world.keys["acme"], world.keys["globex"]

    assert await world.ask(acme[0], APIS[api], body) == "miss"
    assert await world.ask(globex[0], APIS[api], body) == "miss"
    assert await world.ask(acme[1], APIS[api], body) == "exact", "another key of the tenant"
    assert await world.ask(globex[1], APIS[api], body) == "exact"


async def test_what_one_tenant_claims_to_be_makes_it_no_other(world):
    """Neither what the body says of users and tenants nor a header leads to another's answers."""
    body = asked("chat", stream=False, model="shared", text="claims")
    claims = {"user": "acme", "safety_identifier": "acme", "metadata": {"user_id": "acme", "tenant": "acme"}}
    await world.ask(world.keys["acme"][0], APIS["chat"], body)
    told = await world.ask(
        world.keys["globex"][0], APIS["chat"], {**body, **claims}, **{"x-tenant": "acme", "x-switchgear-tenant": "acme"}
    )

    assert told == "miss"


async def test_keys_and_users_share_nothing_where_they_are_the_scope(world):
    one, other = world.keys["acme"]
    for model in ("by_key", "by_user"):
        body = asked("chat", stream=False, model=model, text="scopes")
        assert [await world.ask(key, APIS["chat"], body) for key in (one, other, one)] == ["miss", "miss", "exact"]
    body = asked("chat", stream=False, model="by_user", text="of users")
    told = [await world.ask(one, APIS["chat"], {**body, "user": user}) for user in ("ada", "bob", "ada")]
    assert told == ["miss", "miss", "exact"]


async def test_no_entry_leads_from_one_tenant_to_another(world):
    """All that is kept names its tenant, and no two tenants have a key in common."""
    store = world.gateway.application.caching.store
    body = asked("chat", stream=False, model="shared", text="kept")
    for tenant in TENANTS:
        await world.ask(world.keys[tenant][0], APIS["chat"], body)
    by_tenant = {}
    for entry in store._by_key.values():
        by_tenant.setdefault(entry.tenant, set()).add(entry.key)

    assert len(by_tenant) == len(TENANTS)
    for one, other in itertools.combinations(by_tenant.values(), 2):
        assert not one & other
    assert "" not in by_tenant


async def test_neither_keys_nor_headers_tell_what_was_asked(world):
    body = asked("chat", stream=False, model="shared", text="a-canary-question")
    answer = await world.http.post(
        APIS["chat"], json=body, headers={"authorization": f"Bearer {world.keys['acme'][0]}"}
    )
    metrics = (await world.http.get("/metrics")).text

    assert not [value for value in answer.headers.values() if "canary" in value]
    assert "canary" not in metrics
    assert all(
        "canary" not in entry.key + entry.id for entry in world.gateway.application.caching.store._by_key.values()
    )
