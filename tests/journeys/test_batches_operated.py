"""Batches as operators meet them: all callers' batches, cancelling them, the audit log, what was used, and forgetting."""

import json

import anyio
import anyio.to_thread
import pytest

from tests.journeys.batch_world import CHAT, batch_world
from tests.journeys.command_line import Workplace


def lines(*texts, model="talker"):
    for number, text in enumerate(texts):
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        yield json.dumps({"custom_id": str(number), "method": "POST", "url": CHAT, "body": body})


def data(*texts, **more):
    return "\n".join(lines(*texts, **more)).encode()


@pytest.fixture
async def world(tmp_path):
    async with batch_world(tmp_path) as world:
        yield world


async def audited(world, action):
    answer = await world.http.get("/admin/audit", params={"action": action})
    return answer.json()["data"]


async def test_a_batch_says_its_model_and_what_it_used(world):
    batch = await world.ended((await world.batch(data("a", "b", "status400"))).id)

    assert batch.model == "talker"
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (12, 8, 20)
    assert batch.usage.input_tokens_details.cached_tokens == 0


async def test_a_batch_of_several_models_names_none(world):
    mixed = data("a") + b"\n" + data("b", model="other").replace(b'"0"', b'"1"')
    batch = await world.ended((await world.batch(mixed)).id)

    assert batch.model is None
    assert batch.usage.total_tokens == 20


async def test_operators_see_all_batches_and_whose_they_are(world):
    batch = await world.ended((await world.batch(data("a"))).id)
    listed = (await world.http.get("/admin/batches")).json()

    assert [one["id"] for one in listed["data"]] == [batch.id]
    assert listed["data"][0]["tenant"] != "default"
    assert (await world.http.get("/admin/batches?status=cancelled")).json()["data"] == []
    assert (await world.http.get("/admin/batches?status=done")).status_code == 400
    assert (await world.http.get(f"/admin/batches/{batch.id}")).json() == listed["data"][0]
    assert (await world.http.get("/admin/batches/batch_0")).status_code == 404


async def test_callers_are_no_operators(world):
    batch = await world.batch(data("a"))
    headers = {"authorization": f"Bearer {world.keys['ours']}"}

    assert (await world.http.get("/admin/batches", headers=headers)).status_code == 403
    assert (await world.http.post(f"/admin/batches/{batch.id}/cancel", headers=headers)).status_code == 403


async def test_an_operator_cancels_a_batch_and_that_is_written_down(world):
    batch = await world.batch(data("slow", "slow too"))
    answer = await world.http.post(f"/admin/batches/{batch.id}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    [entry] = await audited(world, "batch.cancelled")
    assert (entry["about"]["id"], entry["about"]["tenant"]) == (batch.id, answer.json()["tenant"])
    assert entry["actor"]["role"] == "owner"


async def test_what_callers_do_is_written_down(world):
    batch = await world.batch(data("slow"))
    await world.ours.batches.cancel(batch.id)
    extra = await world.ours.files.create(file=("extra.jsonl", data("a")), purpose="batch")
    await world.ours.files.delete(extra.id)
    with anyio.fail_after(10):
        while not (deleted := await audited(world, "file.deleted")):
            await anyio.sleep(0.05)

    [made], [cancelled] = await audited(world, "batch.created"), await audited(world, "batch.cancelled")
    assert made["about"]["id"] == cancelled["about"]["id"] == batch.id
    assert deleted[0]["about"]["id"] == extra.id
    assert made["actor"]["id"] == cancelled["actor"]["id"]


async def test_the_command_line_shows_and_cancels_them(world, tmp_path):
    batch = await world.batch(data("slow"))
    (tmp_path / "cli").mkdir()
    workplace = Workplace(tmp_path / "cli")

    async def run(*args):
        done = await anyio.to_thread.run_sync(lambda: workplace.run("batch", *args, "--url", world.gateway.url))
        assert done.returncode == 0, done.stderr
        return done.stdout

    workplace.env["SWITCHGEAR_ADMIN_KEY"] = world.keys["owner"]
    assert batch.id in await run("list")
    assert "total 1" in await run("show", batch.id)
    assert json.loads(await run("cancel", batch.id, "--json"))["status"] == "cancelling"
