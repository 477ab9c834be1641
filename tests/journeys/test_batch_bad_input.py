"""What is wrong with a file, a batch or a line is said where it is wrong, and nothing of it is kept."""

import openai
import pytest

from gateway.config import ConfigError, load
from tests.journeys.batch_world import CHAT, batch_world, jsonl, line
from tests.journeys.running_gateway import running

FORM = {"files": {"file": ("in.jsonl", b"{}")}, "data": {"purpose": "batch"}}


@pytest.fixture
async def world(tmp_path):
    async with batch_world(tmp_path, more="file_bytes: 20000, tenant_bytes: 30000") as world:
        yield world


def kept(world):
    return [path.name for path in (world.folder / "data" / "files").iterdir()]


@pytest.mark.parametrize(
    ("form", "status", "param"),
    [
        ({"files": FORM["files"]}, 400, "purpose"),
        ({**FORM, "data": {"purpose": "fine-tune"}}, 400, "purpose"),
        ({**FORM, "data": {"purpose": "batch", "colour": "red"}}, 400, "colour"),
        ({**FORM, "data": {"purpose": "batch", "expires_after[seconds]": "7200"}}, 400, "expires_after[anchor]"),
        (
            {**FORM, "data": {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "1e4"}},
            400, "expires_after[seconds]",
        ),
        (
            {**FORM, "data": {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"}},
            400, "expires_after[seconds]",
        ),
        ({"data": {"purpose": "batch"}}, 415, None),
        ({"json": {"purpose": "batch"}}, 415, None),
        ({"files": {"file": ("in.jsonl", b"x" * 20_001)}, "data": {"purpose": "batch"}}, 413, "file"),
        ({"files": {"file": ("in.jsonl", b"x" * 900_000)}, "data": {"purpose": "batch"}}, 413, None),
    ],
)  # fmt: skip
async def test_a_bad_upload_is_refused_and_leaves_nothing(world, form, status, param):
    answer = await world.raw("POST", "/v1/files", **form)

    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert kept(world) == []


async def test_a_tenants_room_is_bounded(world):
    big = {"files": {"file": ("in.jsonl", b"x" * 16_000)}, "data": {"purpose": "batch"}}
    assert (await world.raw("POST", "/v1/files", **big)).status_code == 200

    refused = await world.raw("POST", "/v1/files", **big)
    assert refused.status_code == 400
    assert "no room" in refused.json()["error"]["message"]
    assert len(kept(world)) == 1
    assert (await world.raw("POST", "/v1/files", "theirs", **big)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"input_file_id": "file-000000000000000000000000"}, 404, "input_file_id"),
        ({"input_file_id": "../../etc/passwd"}, 400, "input_file_id"),
        ({"input_file_id": 7}, 400, "input_file_id"),
        ({"endpoint": "/v1/moderations"}, 400, "endpoint"),
        ({"endpoint": "/admin/keys"}, 400, "endpoint"),
        ({"completion_window": "1h"}, 400, "completion_window"),
        ({"metadata": {"a": 1}}, 400, None),
        ({"metadata": {str(number): "x" for number in range(17)}}, 400, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, 400, "output_expires_after.seconds"),
        ({"priority": 1}, 400, "priority"),
    ],
)
async def test_a_bad_batch_is_refused(world, changes, status, param):
    file = await world.ours.files.create(file=("a", jsonl([line("a")])), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | changes

    answer = await world.raw("POST", "/v1/batches", json=body)

    assert answer.status_code == status, answer.text
    assert param is None or answer.json()["error"]["param"] == param
    assert [batch async for batch in world.ours.batches.list()] == []


async def test_a_result_is_no_input(world):
    batch = await world.ended((await world.batch(jsonl([line("a")]))).id)

    with pytest.raises(openai.BadRequestError, match="batch_output"):
        await world.ours.batches.create(input_file_id=batch.output_file_id, endpoint=CHAT, completion_window="24h")


async def test_each_bad_line_is_named_with_its_number_and_none_is_asked(world):
    data = (
        jsonl([line("a")]) + b"{nonsense\n\n" + jsonl([line("a"), line("c", url="/v1/embeddings"), {"custom_id": "d"}])
    )
    world.gateway.forget()
    batch = await world.ended((await world.batch(data)).id)

    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "invalid_json_line"),
        (4, "duplicate_custom_id"),
        (5, "mismatched_url"),
        (6, "missing_required_parameter"),
    ]
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert [record for record in world.gateway.records if record.model == "talker"] == []


async def test_too_many_lines_and_none_fail(world):
    many = await world.ended((await world.batch(jsonl(line(f"l{number}") for number in range(101)))).id)
    none = await world.ended((await world.batch(b"\n")).id)

    assert [error.code for error in many.errors.data] == ["too_many_requests"]
    assert [error.code for error in none.errors.data] == ["empty_file"]


async def test_a_body_that_the_endpoint_does_not_take_is_an_answer_in_the_error_file(world):
    data = jsonl([line("a", messages=7), line("b", temperature="hot"), line("c")])
    batch = await world.ended((await world.batch(data)).id)

    errors = {each["custom_id"]: each["response"]["status_code"] for each in await world.lines(batch.error_file_id)}
    assert errors == {"a": 400, "b": 400}


async def test_a_file_that_a_batch_reads_is_not_deleted(world):
    made = await world.batch(jsonl([line(f"s{number}", "slow") for number in range(9)]))

    with pytest.raises(openai.ConflictError, match=made.id):
        await world.ours.files.delete(made.input_file_id)

    await world.ours.batches.cancel(made.id)
    world.gateway.application.end_streams()
    await world.ended(made.id)
    assert (await world.ours.files.delete(made.input_file_id)).deleted


async def test_a_tenant_has_a_bounded_number_of_unfinished_batches(world):
    made = [await world.batch(jsonl([line("s", "slow")])) for _ in range(3)]

    with pytest.raises(openai.RateLimitError):
        await world.batch(jsonl([line("s")]))
    for batch in made:
        await world.ours.batches.cancel(batch.id)
    world.gateway.application.end_streams()
    for batch in made:
        await world.ended(batch.id)
    await world.batch(jsonl([line("s")]))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/files?limit=0", 400),
        ("GET", "/v1/files?limit=10001", 400),
        ("GET", "/v1/files?order=up", 400),
        ("GET", "/v1/files?colour=red", 400),
        ("GET", "/v1/files?after=file-nothing", 200),
        ("GET", "/v1/batches?limit=101", 400),
        ("PUT", "/v1/files", 405),
        ("GET", "/v1/files/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/files/..%2fswitchgear.db/content", 404),
        ("GET", "/v1/files/%00/content", 404),
        ("DELETE", "/v1/files/file-' OR 1=1", 404),
        ("POST", "/v1/batches/nothing/cancel", 404),
        ("GET", "/v1/batches/nothing/cancel", 405),
    ],
)
async def test_odd_requests_get_plain_answers(world, method, path, status):
    answer = await world.raw(method, path)

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/x", "/v1/files/x/content", "/v1/batches", "/v1/batches/x"])
async def test_nobody_is_let_in_without_a_key(world, path):
    assert (await world.http.get(path, headers={"authorization": "Bearer no-key-of-ours"})).status_code == 401


async def test_without_the_section_there_are_neither_files_nor_batches(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {m: {answers: [{say: hello}]}}")
    config = "providers: {play: {kind: scripted, document: script.yaml}}\nmodels: {m: play/m}\n"
    async with running(tmp_path, config) as gateway:
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
        with pytest.raises(openai.NotFoundError, match="set `batches`"):
            await client.files.list()
        with pytest.raises(openai.NotFoundError, match="set `batches`"):
            await client.batches.list()
        await client.close()


def test_batches_without_a_database_are_refused_at_load(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("providers: {local: {kind: embedded}}\nmodels: {small: local/smollm2-135m-instruct}\nbatches: {}\n")

    with pytest.raises(ConfigError) as refused:
        load(path, {})
    (fault,) = refused.value.faults
    assert (fault.path, fault.line) == ("batches", 3)
    assert "set database" in fault.message
