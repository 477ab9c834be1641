"""Files and batches on every database: kept within a tenant, changed once, and never apart from each other."""

import msgspec
import pytest

from gateway.core.caller import Caller
from gateway.core.errors import Conflict
from gateway.stores.batches import Batch, BatchUsage, Fault
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.files import FileQuery, StoredFile
from gateway.stores.files_sql import SqlFiles

replace = msgspec.structs.replace
NOTES = StoredFile(
    id="file-1",
    tenant="acme",
    owner="key_1",
    purpose="batch",
    filename="ключ'; DROP TABLE files; --.jsonl",
    bytes=5_000_000_000,
    created_at=1.5,
    expires_at=100.0,
)
OWNER = Caller(id="key_1", kind="key", tenant="acme", tags=(("project", "apollo"),), models=("gpt-*",))
BATCH = Batch(
    id="batch_1",
    tenant="acme",
    caller=OWNER,
    endpoint="/v1/chat/completions",
    input_file="file-1",
    window="24h",
    status="validating",
    created_at=2.0,
    expires_at=86_402.0,
    faults=(Fault(code="invalid_json", message="no", line=3),),
    metadata={"job": "nightly"},
)


@pytest.fixture
def files(database):
    return SqlFiles(database)


@pytest.fixture
def batches(database):
    return SqlBatches(database)


async def test_a_file_comes_back_as_it_was_given(files):
    assert await files.add(NOTES)

    assert await files.find("acme", "file-1", now=99.0) == NOTES
    assert list(await files.list(FileQuery(tenant="acme", now=99.0))) == [NOTES]


async def test_a_tenant_sees_only_its_own_files(files):
    await files.add(NOTES)

    assert await files.find("globex", "file-1", now=0) is None
    assert not await files.remove("globex", "file-1")
    assert list(await files.list(FileQuery(tenant="globex", now=0))) == []
    assert await files.bytes_of("globex") == 0


async def test_an_expired_file_is_not_there_and_then_forgotten(files):
    await files.add(NOTES)

    assert await files.find("acme", "file-1", now=100.0) is None
    assert list(await files.list(FileQuery(tenant="acme", now=100.0))) == []
    assert list(await files.remove_expired(99.0)) == []
    assert list(await files.remove_expired(100.0)) == ["file-1"]
    assert await files.find("acme", "file-1", now=0) is None


async def test_a_tenants_files_have_room_together(files):
    await files.add(NOTES)

    assert not await files.add(replace(NOTES, id="file-2"), most_bytes=9_999_999_999)
    assert await files.add(replace(NOTES, id="file-2"), most_bytes=10_000_000_000)
    assert await files.bytes_of("acme") == 10_000_000_000


async def test_files_are_listed_page_by_page_in_both_orders(files):
    for number in range(5):
        await files.add(replace(NOTES, id=f"file-{number}", created_at=float(number // 2)))
    await files.add(replace(NOTES, id="file-o", purpose="batch_output"))

    def query(**more):
        return FileQuery(tenant="acme", now=0, purpose="batch", limit=2, **more)

    async def walk(newest_first):
        ids, after = [], ""
        while page := await files.list(query(after=after, newest_first=newest_first)):
            ids += [file.id for file in page]
            after = page[-1].id
        return ids

    ascending = [f"file-{number}" for number in range(5)]
    assert await walk(newest_first=False) == ascending
    assert await walk(newest_first=True) == ascending[::-1]
    assert list(await files.list(query(after="file-none"))) == []


async def test_a_file_that_a_batch_reads_stays(files, batches):
    await files.add(NOTES)
    await batches.add(BATCH, most_unfinished=1)

    with pytest.raises(Conflict, match="batch_1"):
        await files.remove("acme", "file-1")
    assert list(await files.remove_expired(1000.0)) == []
    assert await files.find("acme", "file-1", now=0) == NOTES

    await batches.replace(replace(BATCH, status="completed", version=2))
    assert await files.remove("acme", "file-1")


async def test_a_batch_comes_back_as_it_was_given(files, batches):
    await files.add(NOTES)
    assert await batches.add(BATCH, most_unfinished=1)

    assert await batches.find("acme", "batch_1") == BATCH
    assert await batches.find(None, "batch_1") == BATCH
    assert await batches.find("globex", "batch_1") is None
    assert list(await batches.list("globex")) == []


async def test_a_batch_needs_its_file(batches):
    with pytest.raises(Conflict):
        await batches.add(BATCH, most_unfinished=1)


async def test_a_tenant_has_so_many_unfinished_batches(files, batches):
    await files.add(NOTES)
    await batches.add(BATCH, most_unfinished=1)

    assert not await batches.add(replace(BATCH, id="batch_2"), most_unfinished=1)
    await batches.replace(replace(BATCH, status="failed", version=2))
    assert await batches.add(replace(BATCH, id="batch_2"), most_unfinished=1)
    assert list(await batches.unfinished()) == ["batch_2"]


async def test_of_two_changes_of_the_same_version_one_is_kept_with_its_files(files, batches):
    await files.add(NOTES)
    await batches.add(BATCH, most_unfinished=1)
    output = replace(NOTES, id="file-o", purpose="batch_output")

    assert await batches.replace(replace(BATCH, status="completed", version=2), [output])
    assert not await batches.replace(replace(BATCH, status="cancelling", version=2), [replace(output, id="file-x")])

    found = await batches.find("acme", "batch_1")
    assert found is not None
    assert found.status == "completed"
    assert await files.find("acme", "file-o", now=0) == output
    assert await files.find("acme", "file-x", now=0) is None


async def test_batches_are_listed_newest_first_page_by_page(files, batches):
    await files.add(NOTES)
    for number in range(5):
        await batches.add(replace(BATCH, id=f"batch_{number}", created_at=float(number // 2)), most_unfinished=9)

    ids, after = [], ""
    while page := await batches.list("acme", after=after, limit=2):
        ids += [batch.id for batch in page]
        after = page[-1].id

    assert ids == [f"batch_{number}" for number in (4, 3, 2, 1, 0)]
    assert list(await batches.list("globex", after="batch_1")) == []


async def test_bytes_of_nobody_are_known_as_such(files, batches):
    await files.add(NOTES)
    await batches.add(replace(BATCH, output_file="file-o", error_file="file-e"), most_unfinished=1)

    assert list(await files.missing(["file-1", "file-o", "file-e", "file-?"])) == ["file-?"]


async def test_what_ended_long_ago_is_forgotten(files, batches):
    await files.add(NOTES)
    moments = ("completed_at", "failed_at", "expired_at", "cancelled_at")
    states = ("completed", "failed", "expired", "cancelled")
    for number, (status, moment) in enumerate(zip(states, moments, strict=True)):
        ended = replace(BATCH, id=f"batch_{number}", status=status, **{moment: 100.0 + number})
        assert await batches.add(ended, most_unfinished=100)
    await batches.add(replace(BATCH, id="running", created_at=0.0), most_unfinished=100)

    assert [batch.id for batch in await batches.remove_ended(102.0)] == ["batch_0", "batch_1"]
    assert list(await batches.remove_ended(102.0)) == []
    assert {batch.id for batch in await batches.list(None)} == {"batch_2", "batch_3", "running"}
    assert [batch.id for batch in await batches.list(None, status="expired")] == ["batch_2"]


async def test_what_was_used_comes_back(files, batches):
    await files.add(NOTES)
    used = replace(BATCH, model="m", usage=BatchUsage(input_tokens=5_000_000_000, reasoning_tokens=1))
    await batches.add(used, most_unfinished=100)

    assert await batches.find("acme", "batch_1") == used
