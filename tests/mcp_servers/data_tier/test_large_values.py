"""Values of many megabytes in PostgreSQL: they are cut there, and neither fill this program's memory nor show what is masked."""

import os
import tracemalloc

import pytest

from mcp_servers.data_tier.guard import rewrite
from mcp_servers.data_tier.postgres_reader import PostgresReader
from mcp_servers.data_tier.settings import Limits, Postgres, Table
from mcp_servers.verbs import Refused

MEGABYTES = 1024 * 1024
FILES = """
CREATE TYPE pair AS (a text, b int);
CREATE TABLE files (
  id int, body text, data bytea, doc json, docb jsonb, list text[], sum numeric, bits bit varying, two pair, short varchar(20), secret text, at timestamp
);
INSERT INTO files SELECT n, repeat('ä', 4000000), convert_to(repeat('b', 4000000), 'UTF8'), json_build_object('x', repeat('j', 4000000)),
  jsonb_build_object('x', repeat('k', 4000000)), ARRAY[repeat('l', 4000000)], repeat('9', 100000)::numeric, repeat('1', 4000000)::bit varying,
  ROW(repeat('p', 4000000), n)::pair, 'short', repeat('s', 4000000), '2026-01-01' FROM generate_series(1, 3) AS n;
INSERT INTO files VALUES (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO files VALUES (5, repeat('ä', 16), '\\x6162', '{"x": 1}', '{"x": 1}', '{a,b}', 12.50, '1', '(p,1)', 'é', 'abcdefghijkl', '2026-01-01');
INSERT INTO files SELECT n, repeat('w', 4000000) FROM generate_series(10, 60) AS n;
"""
COLUMNS = ("id", "body", "data", "doc", "docb", "list", "sum", "bits", "two", "short", "secret", "at")
FILES_TABLE = {"files": Table(columns=COLUMNS, mask={"secret": "last4"})}


@pytest.fixture
def read(postgres_server, monkeypatch):
    url = postgres_server.new_database()
    postgres_server.execute(FILES, url)
    monkeypatch.setenv("FILES_URL", url)
    reader = PostgresReader(
        Postgres(url="env:FILES_URL", tables=FILES_TABLE), limits := Limits(cell=16, seconds=60, rows=500)
    )

    async def read(sql):
        written = rewrite(sql, dialect="postgres", schema="public", tables=FILES_TABLE, rows=limits.rows + 1)
        return await reader.read(written, [])

    assert os.environ["FILES_URL"]
    return read


async def test_values_that_are_too_large_do_not_come_here(read):
    """51 rows of 8 MB: 400 MB, of which sixteen characters each are shown."""
    tracemalloc.start()
    try:
        found = await read("SELECT id, body FROM files ORDER BY id")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(found.rows) == 56
    assert found.rows[0] == [1, "ä" * 16 + "… [4000000 characters]"]
    assert peak < 8 * MEGABYTES


async def test_values_of_every_kind_are_cut_where_they_are(read):
    tracemalloc.start()
    try:
        found = await read("SELECT * FROM files WHERE id < 4")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    row = dict(zip(found.columns, found.rows[0], strict=True))
    assert found.columns == list(COLUMNS)
    assert row["data"] == "[4000000 bytes] YmJiYmJiYmJiYmJiYmJiYg=="
    assert row["sum"] == "9" * 16 + "… [100000 characters]"
    assert row["doc"].endswith("characters]")
    assert row["docb"].startswith('{"x": "kkkkkkkkk… [')
    assert (row["list"], row["bits"]) == ("{lllllllllllllll… [4000002 characters]", "1" * 16 + "… [4000000 characters]")
    assert (row["short"], row["at"], row["secret"]) == ("short", "2026-01-01T00:00:00", "***ssss")
    assert peak < 8 * MEGABYTES


async def test_values_that_are_small_come_as_they_are(read):
    found = await read("SELECT * FROM files WHERE id IN (4, 5) ORDER BY id")

    assert found.rows[0] == [4, *[None] * 9, "***", None]
    assert found.rows[1] == [
        5, "ä" * 16, "[2 bytes] YWI=", '{"x": 1}', '{"x": 1}', '["a", "b"]', "12.50", '"<BitString 1>"', '"<Record a=\'p\' b… [20 characters]', "é", "***ijkl", "2026-01-01T00:00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", ["interval '1 day' * 1000000000", "cast('99999-01-01' AS date)", "cast('4713-01-01 BC' AS timestamp)"]
)
async def test_times_that_only_the_database_knows_are_no_fault_of_ours(read, value):
    with pytest.raises(Refused, match="ask for it as text"):
        await read(f"SELECT {value} FROM files WHERE id = 4")

    assert len((await read(f"SELECT cast({value} AS text) FROM files WHERE id = 4")).rows) == 1


async def test_two_columns_of_one_name_and_rows_as_a_whole_are_still_read(read):
    found = await read("SELECT id AS a, short AS a, 'x' AS \"c1\", f FROM files AS f WHERE id = 3")

    assert found.columns == ["a", "a", "c1", "f"]
    assert found.rows[0][:3] == [3, "short", "x"]
    assert found.rows[0][3].startswith("(3,ää")
    assert "ssss" not in found.rows[0][3]
