"""The data tier over real databases, through a real MCP client: what is listed is read, and nothing else, whatever is asked."""

import contextlib
import json
import os
import sqlite3
import sys
from pathlib import Path

import anyio
import pytest
import yaml
from mcp import Client, StdioServerParameters

from mcp_servers.data_tier.program import build
from mcp_servers.data_tier.settings import Limits, Table
from mcp_servers.data_tier.sqlite_reader import SqliteReader
from mcp_servers.data_tier.sqlite_texts import put_in
from mcp_servers.serving import ConfigurationError
from mcp_servers.verbs import Refused

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load(Path(__file__).with_name("attacks.sql.yaml").read_text())
COMMAND = "-m", "mcp_servers.data_tier", "--config"


@contextlib.asynccontextmanager
async def client_of(config):
    """The program as whoever uses it runs it, by stdio."""
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]} | (
        {"SHOP_URL": os.environ["SHOP_URL"]} if "SHOP_URL" in os.environ else {}
    )
    with anyio.fail_after(120):
        async with Client(
            StdioServerParameters(command=sys.executable, args=[*COMMAND, str(config)], env=env)
        ) as client:
            yield client


async def ask(client, sql, *, tool="query"):
    return await client.call_tool(tool, {"database": "shop", "sql": sql})


def said(result):
    return result.content[0].text


async def test_it_says_what_can_be_read_and_what_is_masked(shop):
    async with client_of(shop) as client:
        tools = (await client.list_tools()).tools
        listed = (await client.call_tool("list_tables", {})).structured_content
        described = (
            await client.call_tool("describe_table", {"database": "shop", "table": "customers"})
        ).structured_content

    assert [tool.name for tool in tools] == ["describe_table", "explain", "list_tables", "query", "query_late"]
    assert all(tool.annotations.read_only_hint and tool.output_schema for tool in tools)
    [database] = listed["databases"]
    assert {table["name"]: table["masked"] for table in database["tables"]} == {"orders": [], "customers": ["email"]}
    assert [column["name"] for column in described["columns"]] == ["id", "name", "email"]
    assert described["columns"][2]["mask"] == "last4"
    assert described["columns"][1]["type"].lower() == "text"
    assert "password" not in json.dumps([listed, described])


SELECTS = [
    ("SELECT count(*) FROM orders", [[60]]),
    ("SELECT id, total FROM orders ORDER BY id LIMIT 2", [[1, "1.5"], [2, "2.5"]]),
    ("SELECT name, email FROM customers ORDER BY id", [["Ada", "***.com"], ["Bob", "***"]]),
    (
        (
            "WITH big AS (SELECT customer, total FROM orders WHERE total > 50) SELECT c.name, count(*) AS n FROM big AS b "
            "JOIN customers AS c ON c.id = b.customer GROUP BY c.name HAVING count(*) > 1 ORDER BY n DESC, c.name"
        ),
        [["Ada", 6], ["Bob", 5]],
    ),
    ("SELECT id FROM orders WHERE customer IN (SELECT id FROM customers WHERE name = 'Ada') AND id < 5", [[2], [4]]),
    ("SELECT id, row_number() OVER (ORDER BY id DESC) AS n FROM orders ORDER BY n LIMIT 1", [[60, 1]]),
    ("SELECT CASE WHEN id > 1 THEN 'more' ELSE 'one' END AS size FROM customers ORDER BY id", [["one"], ["more"]]),
    ("SELECT 1 AS a UNION ALL SELECT 2 ORDER BY 1 -- a comment", [[1], [2]]),
    ("SELECT ID FROM Orders AS O WHERE o.id = 3", [[3]]),
]


async def test_a_select_gives_its_rows(shop):
    async with client_of(shop) as client:
        told = [await ask(client, sql) for sql, _ in SELECTS]

    for (sql, rows), result in zip(SELECTS, told, strict=True):
        assert not result.is_error, (sql, said(result))
        found = result.structured_content
        values = [[str(value) if isinstance(value, float) else value for value in row] for row in found["rows"]]
        assert (values, found["count"], found["cut"]) == (rows, len(rows), ""), sql


async def test_what_must_not_be_asked_is_refused_and_changes_nothing(shop):
    async with client_of(shop) as client:
        told = [(sql, await ask(client, sql)) for sql in CASES["refused"]]
        explained = [(sql, await ask(client, sql, tool="explain")) for sql in CASES["refused"]]
        left = (await ask(client, "SELECT count(*), sum(total) FROM orders")).structured_content["rows"]

    assert [sql for sql, result in [*told, *explained] if not result.is_error] == []
    assert [sql for sql, result in told if "hidden" in said(result) or "sesame" in said(result)] == []
    assert [str(value) for value in left[0]] in (["60", "1860"], ["60", "1860.0"])


async def test_what_may_be_asked_shows_nothing_that_is_not_listed(shop):
    async with client_of(shop) as client:
        told = [(sql, said(await ask(client, sql))) for sql in CASES["harmless"]]

    for word in ("hidden", "sesame", "lovelace", "x.org", "LOVELACE"):
        assert [sql for sql, text in told if word in text.replace(sql, "")] == [], word


async def test_a_saved_query_takes_its_parameter_and_nothing_else(shop):
    async with client_of(shop) as client:
        found = (await client.call_tool("query_late", {"day": "2026-01-27 00:00:00"})).structured_content
        injected = await client.call_tool("query_late", {"day": "2026-01-01' OR '1'='1"})
        missing = await client.call_tool("query_late", {})
        more = await client.call_tool("query_late", {"day": "2026-01-27", "x": 1})

    assert [row[0] for row in found["rows"]] == [26, 27, 54, 55]
    assert injected.is_error or injected.structured_content["count"] <= 60
    assert missing.is_error
    assert "'day' is a required property" in said(missing)
    assert more.is_error


async def test_rows_bytes_and_values_are_bounded(shop):
    shop.write_text(shop.read_text() + "limits: {rows: 10, bytes: 1024, cell: 16}\n")
    async with client_of(shop) as client:
        many = (await ask(client, "SELECT id FROM orders ORDER BY id")).structured_content
        large = (
            await ask(
                client, "SELECT 'a long text that is repeated' AS a, 'again and again and again' AS b, id FROM orders o"
            )
        ).structured_content
        wide = (
            await ask(client, f"SELECT {', '.join(repr('x' * 30) + f' AS c{n}' for n in range(40))} FROM orders")
        ).structured_content

    assert (many["count"], many["cut"]) == (10, "There are more than 10 rows.")
    assert large["rows"][0][0] == "a long text that… [28 characters]"
    assert wide["count"] < 10
    assert "larger than 1024 bytes" in wide["cut"]


async def test_a_query_that_takes_too_long_is_ended(shop):
    shop.write_text(shop.read_text() + "limits: {seconds: 0.5, cost: 1.0e+30}\n")
    product = ", ".join(f"orders AS o{number}" for number in range(8))
    async with client_of(shop) as client:
        result = await ask(client, f"SELECT count(*) FROM {product}")
        after = await ask(client, "SELECT 1 AS one")

    assert result.is_error
    assert said(result) == "The query took more than 0.5 seconds: ask for less, or narrow it."
    assert after.structured_content["rows"] == [[1]]


async def test_a_query_that_is_too_expensive_is_not_begun(postgres_shop):
    """SQLite expects no cost: there the time bounds it."""
    postgres_shop.write_text(postgres_shop.read_text() + "limits: {cost: 100}\n")
    async with client_of(postgres_shop) as client:
        result = await ask(client, "SELECT count(*) FROM orders AS a, orders AS b, orders AS c")
        cheap = await ask(client, "SELECT count(*) FROM orders")
        planned = await ask(client, "SELECT count(*) FROM orders AS a, orders AS b, orders AS c", tool="explain")

    assert result.is_error
    assert "too expensive" in said(result)
    assert not cheap.is_error
    assert planned.structured_content["cost"] > 100


async def test_a_plan_is_told(shop):
    async with client_of(shop) as client:
        planned = (await ask(client, "SELECT * FROM orders WHERE id = 3", tool="explain")).structured_content

    assert "orders" in planned["plan"]


async def test_the_largest_query_is_refused_before_it_is_read(shop):
    async with client_of(shop) as client:
        long = await ask(client, "SELECT 1 " + " " * 20_000)
        deep = await ask(client, "SELECT " + "(" * 2000 + "1" + ")" * 2000)
        wide = await ask(client, "SELECT 1 WHERE " + " OR ".join(f"{n}=1" for n in range(1500)))

    assert "too long" in said(long)
    assert deep.is_error
    assert wide.is_error


@pytest.mark.parametrize(
    ("changed", "to", "says"),
    [
        ("columns: [id, name, email]", "columns: []", "`$.databases[...].tables[...].columns`"),
        ("mask: {email: last4}", "mask: {phone: last4}", "phone is not one of the columns"),
        ("kind: ", "kindred: ", "kind"),
        ("database: shop", "database: shp", "queries.late.database: there is no database 'shp'"),
        ("FROM orders WHERE", "FROM secrets WHERE", "queries.late.sql: There is no table 'secrets' here"),
        ("parameters: {day:", "parameters: {night:", "queries.late.sql: There is no parameter 'day'"),
        ("queries:", "querys:", "querys"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_place(shop, changed, to, says):
    assert changed in shop.read_text()
    shop.write_text(shop.read_text().replace(changed, to))

    with pytest.raises(ConfigurationError) as error:
        build(shop)

    assert says in str(error.value)


def test_a_database_that_is_not_there_is_told_at_the_start(tmp_path):
    config = tmp_path / "data_tier.yaml"
    config.write_text("databases: {shop: {kind: sqlite, path: away.db, tables: {a: {columns: [b]}}}}")

    with pytest.raises(ConfigurationError, match=r"databases\.shop\.path: there is no file"):
        build(config)
    config.write_text("databases: {shop: {kind: postgres, url: 'env:NOT_SET_ANYWHERE', tables: {a: {columns: [b]}}}}")
    with pytest.raises(ConfigurationError, match="the environment has no NOT_SET_ANYWHERE"):
        build(config)


async def test_the_file_of_a_database_is_not_written(tmp_path):
    """Behind the guard: what came past it would find a file that is opened read-only, and an authorizer that allows listed columns alone."""
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("CREATE TABLE a (b, c); CREATE TABLE d (e); INSERT INTO a VALUES (1, 2);")
    connection.close()
    reader = SqliteReader(tmp_path / "shop.db", {"a": Table(columns=("b",))}, Limits())

    for sql in (
        "INSERT INTO a VALUES (1, 2)",
        "SELECT c FROM a",
        "SELECT * FROM d",
        "SELECT sqlite_version()",
        "PRAGMA query_only = OFF",
        "ATTACH '/x' AS y",
    ):
        with pytest.raises(Refused):
            await reader.read(sql, [])
    assert (await reader.read("SELECT b FROM a", [])).rows == [[1]]


async def test_texts_are_written_as_the_server_reads_them(postgres_server, postgres_shop):
    """With standard_conforming_strings off, a backslash would have a text end where the guard does not see it."""
    url = os.environ["SHOP_URL"]
    name = postgres_server.execute("SELECT current_database()", url).strip()
    postgres_server.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off", url)
    async with client_of(postgres_shop) as client:
        result = await ask(client, "SELECT 'a\\' AS x, ' , (SELECT word FROM public.secrets) -- ' AS y")

    assert result.structured_content["rows"] == [["a\\", " , (SELECT word FROM public.secrets) -- "]]


def long_text(zeros):
    text = "'aaaaaaaaaa'"
    for _ in range(zeros - 1):
        text = f"replace({text}, 'a', 'aaaaaaaaaa')"
    return text


@pytest.mark.parametrize(
    "expression",
    [
        f"position({long_text(6)} || 'b' IN {long_text(6)} || {long_text(6)})",
        f"replace({long_text(6)} || {long_text(6)}, {long_text(6)} || 'b', 'x') = ''",
        f"trim({long_text(6)}, replace({long_text(5)}, 'a', 'bcdefghijk') || 'b') = ''",
        f"{long_text(6)} LIKE '%{'a' * 5000}b'",
        f"{long_text(6)} LIKE '%{'a%' * 120}b'",
    ],
)
async def test_a_function_that_would_take_hours_on_long_texts_does_not(tmp_path, expression):
    """SQLite looks at the time between two instructions of its machine, and each of these is one."""
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("CREATE TABLE a (b)")
    connection.close()
    reader = SqliteReader(tmp_path / "shop.db", {"a": Table(columns=("b",))}, Limits())
    with anyio.fail_after(30), contextlib.suppress(Refused):
        assert (await reader.read(f"SELECT {expression}", [])).rows == [[0]]


async def test_no_text_grows_beyond_measure(tmp_path):
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("CREATE TABLE a (b)")
    connection.close()
    reader = SqliteReader(tmp_path / "shop.db", {"a": Table(columns=("b",))}, Limits())

    with pytest.raises(Refused, match="A text becomes too long"):
        await reader.read(f"SELECT replace({long_text(6)}, 'a', {long_text(6)})", [])


VALUES = (
    "'a'",
    "''",
    "'äbä'",
    "x'6162'",
    "x''",
    "12",
    "-3",
    "1.0",
    "0.1",
    "1e20",
    "-1.5e-7",
    "9e999",
    "NULL",
    "'  x '",
)


@pytest.mark.parametrize(
    "call", ["instr(?1, ?2)", "replace(?1, ?2, ?3)", "trim(?1, ?2)", "ltrim(?1)", "rtrim(?1)", "trim(?1)"]
)
def test_what_replaces_functions_of_sqlite_gives_what_they_give(call):
    ours, theirs = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    put_in(ours, 1000)
    for one in VALUES:
        for other in VALUES:
            sql = "SELECT " + call.replace("?1", one).replace("?2", other).replace("?3", "'-'")
            assert ours.execute(sql).fetchall() == theirs.execute(sql).fetchall(), sql
