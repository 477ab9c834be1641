"""A shop in both kinds of database: with a table that is listed, one that is not, a column that is masked, and one that is not listed."""

import sqlite3

import pytest

from tests.servers import postgres_server as run_postgres

TABLES = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total NUMERIC, placed_at TIMESTAMP);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, password TEXT);
CREATE TABLE secrets (id INTEGER, word TEXT);
INSERT INTO customers VALUES (1, 'Ada', 'ada.lovelace@example.com', 'sesame');
INSERT INTO customers VALUES (2, 'Bob', 'b@x.org', 'opensesame');
INSERT INTO secrets VALUES (1, 'hidden');
"""
ORDERS = "INSERT INTO orders VALUES ({0}, {1}, {0}.5, '2026-01-{2:02d} 10:00:00');"
LISTED = """
    tables:
      orders: {columns: [id, customer, total, placed_at], description: What was bought}
      customers: {columns: [id, name, email], mask: {email: last4}}
"""
QUERIES = """
queries:
  late:
    database: shop
    description: Orders after a day.
    sql: "SELECT id, total FROM orders WHERE placed_at > :day ORDER BY id"
    parameters: {day: TYPE}
"""


def statements():
    return TABLES + "".join(ORDERS.format(number, number % 2 + 1, number % 28 + 1) for number in range(1, 61))


@pytest.fixture(scope="session")
def postgres_server():
    with run_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request, tmp_path):
    """Give a configuration of the shop, to which more can be added."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_shop")
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript(statements())
    connection.close()
    config = tmp_path / "data_tier.yaml"
    queries = QUERIES.replace("TYPE", "string")
    config.write_text(f"databases:\n  shop:\n    kind: sqlite\n    path: shop.db{LISTED}{queries}")
    return config


@pytest.fixture
def postgres_shop(postgres_server, tmp_path, monkeypatch):
    """The same in PostgreSQL alone."""
    url = postgres_server.new_database()
    postgres_server.execute(statements(), url)
    monkeypatch.setenv("SHOP_URL", url)
    config = tmp_path / "data_tier.yaml"
    queries = QUERIES.replace("TYPE", "timestamp")
    config.write_text(f"databases:\n  shop:\n    kind: postgres\n    url: env:SHOP_URL{LISTED}{queries}")
    return config
