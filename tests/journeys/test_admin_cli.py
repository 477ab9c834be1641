"""The promise: whoever may administer does it from the command line, against the running server, and sees what became of it."""

import anyio
import pytest

from tests.journeys.administering import CONFIG, SCRIPT, Operator, administered, call
from tests.journeys.running_gateway import served_process


@pytest.fixture
async def operator(tmp_path):
    async with administered(tmp_path) as operator:
        yield operator


async def test_from_the_first_key_to_a_team_that_calls_and_is_billed(operator):
    assert "owner" in await operator.run("whoami")
    team = await operator.json("team", "create", "search")
    ada = await operator.json("user", "create", "Ada", "--team", team["id"], "--role", "admin")
    key = await operator.json(
        "key", "create", "laptop", "--user", ada["id"], "--model", "talker", "--tag", "project=apollo"
    )

    assert (await call(operator, key["key"])).status_code == 200
    assert (await call(operator, key["key"], "other")).status_code in (403, 404)
    with anyio.fail_after(10):
        while not (usage := await operator.json("usage", "--by", "team,tag:project", "--team", team["id"]))["data"]:
            await anyio.sleep(0.05)

    assert usage["data"][0]["tag:project"] == "apollo"
    assert usage["data"][0]["cost"] == "0.0014"
    await operator.run("key", "revoke", key["id"])
    assert (await call(operator, key["key"])).status_code == 401
    assert "sound" in await operator.run("audit", "verify")
    listed = await operator.run("audit", "list", "--action", "key.")
    assert "key.created" in listed
    assert "key.revoked" in listed
    assert key["key"] not in listed + operator.log.read_text()


async def test_a_key_for_calls_administers_nothing_and_an_owner_reloads(operator):
    plain = (await operator.json("key", "create", "plain"))["key"]

    async def reloaded(key):
        return (await operator.http.post("/admin/reload", headers={"authorization": f"Bearer {key}"})).status_code

    assert await reloaded(plain) == 403
    assert await reloaded(operator.key) == 200
    owner, operator.key = operator.key, plain
    assert "no administrative role" in await operator.run("key", "list", code=1)
    operator.key = owner
    assert "plain" in await operator.run("key", "list")


async def test_a_server_without_a_database_says_so(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = "\n".join(CONFIG.splitlines()[3:])
    async with served_process(tmp_path, config) as server:
        operator = Operator(tmp_path, server, "anything")
        assert "needs a key with a role" in await operator.run("team", "list", code=1)
