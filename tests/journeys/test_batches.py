"""The official openai client runs batches as with OpenAI: upload, make, wait, read; and cancels, lists and deletes."""

import json

import anyio
import openai
import pytest

from tests.journeys.batch_world import CHAT, batch_world, jsonl, line

ENDPOINTS = (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings")


@pytest.fixture
async def world(tmp_path):
    async with batch_world(tmp_path) as world:
        yield world


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_batch_is_answered_line_by_line(world, endpoint):
    data = jsonl(line(f"line-{number}", f"word {number}", url=endpoint) for number in range(30))
    file = await world.ours.files.create(file=("input.jsonl", data), purpose="batch")
    assert (file.bytes, file.filename, file.purpose, file.object) == (len(data), "input.jsonl", "batch", "file")

    batch = await world.ours.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"job": "nightly"}
    )
    assert (batch.status, batch.metadata) == ("validating", {"job": "nightly"})
    batch = await world.ended(batch.id)

    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 30, "completed": 30, "failed": 0}
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at < batch.expires_at
    assert batch.error_file_id is None
    lines = await world.lines(batch.output_file_id)
    assert {each["custom_id"] for each in lines} == {f"line-{number}" for number in range(30)}
    assert len({each["id"] for each in lines}) == len(lines) == 30
    for each in lines:
        assert each["error"] is None
        assert each["response"]["status_code"] == 200
        assert each["response"]["request_id"].startswith("call_")
        if endpoint == CHAT:
            number = each["custom_id"].removeprefix("line-")
            assert each["response"]["body"]["choices"][0]["message"]["content"] == f"You said: word {number}"


async def test_lines_are_calls_with_records_rows_and_prices(world):
    batch = await world.ended((await world.batch(jsonl([line("a"), line("b")]))).id)
    lines = await world.lines(batch.output_file_id)

    records = [record for record in world.gateway.records if record.model == "talker"]
    assert {record.caller for record in records} == {world.keys["ours_id"]}
    assert {record.id for record in records} == {each["response"]["request_id"] for each in lines}
    assert {record.cost_nano for record in records} == {14_000}


async def test_lines_that_fail_are_in_the_error_file_and_the_others_are_answered(world):
    data = jsonl([line("good"), line("odd", "status400"), line("down", "status500"), line("who", model="nobody")])
    batch = await world.ended((await world.batch(data)).id)

    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 4, "completed": 1, "failed": 3}
    assert [each["custom_id"] for each in await world.lines(batch.output_file_id)] == ["good"]
    errors = {each["custom_id"]: each["response"] for each in await world.lines(batch.error_file_id)}
    assert {name: answer["status_code"] for name, answer in errors.items()} == {"odd": 400, "down": 502, "who": 404}
    assert errors["who"]["body"]["error"]["code"] == "model_not_found"


async def test_a_batch_is_cancelled_and_every_line_is_accounted_for(world):
    lines = [line("first"), *(line(f"slow-{number}", "slow") for number in range(20))]
    made = await world.batch(jsonl(lines))
    with anyio.fail_after(10):
        while (await world.ours.batches.retrieve(made.id)).request_counts.completed == 0:
            await anyio.sleep(0.02)

    cancelling = await world.ours.batches.cancel(made.id)
    assert cancelling.status == "cancelling"
    world.gateway.application.end_streams()  # what is in flight would take half a minute
    batch = await world.ended(made.id)

    assert batch.status == "cancelled"
    assert batch.cancelling_at <= batch.cancelled_at
    assert [each["custom_id"] for each in await world.lines(batch.output_file_id)] == ["first"]
    errors = await world.lines(batch.error_file_id)
    assert {each["custom_id"] for each in errors} == {f"slow-{number}" for number in range(20)}
    assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
    with pytest.raises(openai.ConflictError):
        await world.ours.batches.cancel(made.id)


async def test_files_are_listed_downloaded_and_deleted(world):
    data = jsonl([line("ü\u2028")])
    files = [await world.ours.files.create(file=(f"n {number}.jsonl", data), purpose="batch") for number in range(3)]

    listed = [file.id async for file in world.ours.files.list(limit=2)]
    assert set(listed) == {file.id for file in files}
    assert (await world.ours.files.retrieve(files[0].id)).filename == "n 0.jsonl"
    assert (await world.ours.files.content(files[0].id)).content == data
    assert (await world.ours.files.delete(files[0].id)).deleted
    with pytest.raises(openai.NotFoundError):
        await world.ours.files.retrieve(files[0].id)
    assert not (world.folder / "data" / "files" / files[0].id).exists()


async def test_an_upload_may_be_larger_than_other_bodies(world):
    data = jsonl(line(f"l{number}", "x" * 20_000) for number in range(20))
    assert len(data) > 65_536

    file = await world.ours.files.create(file=("a.jsonl", data), purpose="batch")

    assert (await world.ours.files.content(file.id)).content == data
    with pytest.raises(openai.APIStatusError) as refused:
        await world.ours.chat.completions.create(model="talker", messages=[{"role": "user", "content": "x" * 70_000}])
    assert refused.value.status_code == 413


async def test_a_file_expires_when_it_was_told_to(world):
    file = await world.ours.files.create(
        file=("a.jsonl", b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    other = await world.ours.files.create(file=("b.jsonl", b"{}"), purpose="batch")

    assert file.expires_at == file.created_at + 3600
    assert other.expires_at == other.created_at + 30 * 86_400


async def test_batches_are_listed_page_by_page(world):
    made = []
    for _ in range(3):
        batch = await world.batch(jsonl([line("a")]))
        made.append((await world.ended(batch.id)).id)

    page = await world.ours.batches.list(limit=2)
    assert page.has_more
    assert {batch.id async for batch in world.ours.batches.list(limit=2)} == set(made)


async def test_a_tenants_files_and_batches_are_not_there_for_another(world):
    batch = await world.ended((await world.batch(jsonl([line("a")]))).id)
    paths = {
        f"/v1/files/{batch.input_file_id}": ("GET", "DELETE"),
        f"/v1/files/{batch.output_file_id}/content": ("GET",),
        f"/v1/batches/{batch.id}": ("GET",),
        f"/v1/batches/{batch.id}/cancel": ("POST",),
    }
    for path, methods in paths.items():
        absent = path.replace(path.split("/")[3], path.split("/")[3][:-4] + "0000")
        for method in methods:
            foreign, nothing = [await world.raw(method, each, "theirs") for each in (path, absent)]
            assert foreign.status_code == nothing.status_code == 404
            assert foreign.content == nothing.content
    with pytest.raises(openai.NotFoundError):
        await world.theirs.batches.create(input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h")
    assert [file async for file in world.theirs.files.list()] == []
    assert [each async for each in world.theirs.batches.list()] == []
    assert (await world.ours.files.retrieve(batch.input_file_id)).id == batch.input_file_id


async def test_a_line_that_a_limit_refuses_waits_and_is_answered(tmp_path):
    limits = "limits: {few: {limit: 2, window: 1s}}"
    async with batch_world(tmp_path, limits=limits) as world:
        batch = await world.ended((await world.batch(jsonl(line(f"l{number}") for number in range(5)))).id)

        assert batch.request_counts.model_dump() == {"total": 5, "completed": 5, "failed": 0}
        assert any(record.error == "rate_limit_exceeded" for record in world.gateway.records)


async def test_a_revoked_key_asks_nothing_more(world):
    lines = [line("first"), *(line(f"later-{number}", "slow") for number in range(8))]
    made = await world.batch(jsonl(lines))
    with anyio.fail_after(10):
        while (await world.ours.batches.retrieve(made.id)).request_counts.completed == 0:
            await anyio.sleep(0.02)
    again = await world.http.post("/admin/keys", json={"name": "again", "tenant": world.keys["ours_tenant"]})
    revoked = await world.http.post(f"/admin/keys/{world.keys['ours_id']}/revoke")
    assert revoked.status_code == 200, revoked.text
    await world.ours.close()
    world.ours = world.client(again.json()["key"])
    world.gateway.application.end_streams()
    batch = await world.ended(made.id)

    errors = await world.lines(batch.error_file_id)
    assert batch.status == "completed"
    assert len(errors) == 8
    assert {each["response"]["body"]["error"]["code"] for each in errors} == {"revoked_api_key"}


async def test_a_line_may_ask_no_model_that_its_key_may_not(world):
    body = {"name": "narrow", "tenant": world.keys["ours_tenant"], "models": ["other"]}
    narrow = (await world.http.post("/admin/keys", json=body)).json()["key"]
    await world.ours.close()
    world.ours = world.client(narrow)
    batch = await world.ended((await world.batch(jsonl([line("a", model="other"), line("b", model="talker")]))).id)

    assert [each["custom_id"] for each in await world.lines(batch.output_file_id)] == ["a"]
    (refused,) = await world.lines(batch.error_file_id)
    asked = await world.raw("POST", CHAT, json=line("b")["body"], headers={"authorization": f"Bearer {narrow}"})
    assert refused["response"]["status_code"] == asked.status_code
    assert refused["response"]["body"]["error"]["code"] == asked.json()["error"]["code"]


async def test_what_is_measured_is_shown(world):
    await world.ended((await world.batch(jsonl([line("a"), line("b", "status400")]))).id)

    metrics = (await world.http.get("/metrics")).text

    assert 'switchgear_batch_lines_total{outcome="completed"} 1' in metrics
    assert 'switchgear_batch_lines_total{outcome="failed"} 1' in metrics
    assert 'switchgear_batches_total{status="completed"} 1' in metrics
    assert "switchgear_batches_running 0" in metrics


async def test_answers_are_whole_lines_of_json(world):
    batch = await world.ended((await world.batch(jsonl([line("a", "two\nlines")]))).id)

    content = (await world.ours.files.content(batch.output_file_id)).content

    assert content.count(b"\n") == 1
    assert json.loads(content)["response"]["body"]["object"] == "chat.completion"
