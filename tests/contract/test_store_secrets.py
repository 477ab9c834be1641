"""Encrypted secrets on every database: never in clear where they lie, bound to their place, and rotated without a gap."""

import base64
import itertools
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from sqlalchemy import delete, select, update

from gateway.config.secret import Secret
from gateway.core.caller import DEFAULT_TENANT
from gateway.stores.audit import AuditActor, AuditQuery
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database
from gateway.stores.secrets import MasterKeyMissing, SecretSnapshot, SecretUnreadable
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.secrets_sql import SqlSecrets
from gateway.stores.secrets_tables import SECRETS

CANARY = "sk-CANARY-0123456789-abcdefghijklmnop"
ALICE = AuditActor(id="key_alice", tenant="default", role="owner")
ROOT = Path(__file__).resolve().parents[2]


def master_key(fill: int) -> Secret:
    return Secret(base64.b64encode(bytes([fill]) * 32).decode(), source=f"env:MASTER_{fill}")


OLD, NEW, OTHER = master_key(1), master_key(2), master_key(3)


def secrets_with(database, present: Secret, *old: Secret) -> SqlSecrets:
    return SqlSecrets(database, open_cipher(present, old), SqlAudit(database))


async def value_of(secrets: SqlSecrets, name: str, tenant: str = DEFAULT_TENANT) -> str:
    return (await secrets.load(tenant=tenant))[name]()


@pytest.fixture
def secrets(database):
    return secrets_with(database, OLD)


async def actions(database) -> list[str]:
    found = await SqlAudit(database).find(AuditQuery(tenant=None, limit=500))
    return [entry.event.action for entry in reversed(found)]


async def test_a_secret_is_kept_changed_and_forgotten(database, secrets):
    first = await secrets.put("openai", f" {CANARY}\n", actor=ALICE)
    second = await secrets.put("openai", "another", actor=ALICE)

    assert (first.version, second.version, second.created_at) == (1, 2, first.created_at)
    assert await value_of(secrets, "openai") == "another"
    assert [info.name for info in await secrets.find_all()] == ["openai"]
    assert await secrets.remove("openai", actor=ALICE)
    assert not await secrets.remove("openai", actor=ALICE)
    assert await secrets.find_all() == ()
    assert await actions(database) == ["secret.created", "secret.changed", "secret.deleted"]


async def test_what_is_no_name_is_refused(secrets):
    for name in ("", "a b", "../x", "a/b", ".x", "x" * 129, "a\n", "a'--"):
        with pytest.raises(ValueError, match="letters, digits"):
            await secrets.put(name, CANARY, actor=ALICE)


async def test_what_is_no_value_is_refused_and_not_shown(secrets):
    for value in ("", " \n", "a\0b", "x" * 70_000):
        with pytest.raises(ValueError, match="value") as caught:
            await secrets.put("name", value, actor=ALICE)
        assert "xxx" not in str(caught.value)


async def test_two_tenants_have_secrets_of_the_same_name(secrets):
    await secrets.put("hook", "of a", actor=ALICE, tenant="a")
    await secrets.put("hook", "of b", actor=ALICE, tenant="b")

    assert await value_of(secrets, "hook", "a") == "of a"
    assert await value_of(secrets, "hook", "b") == "of b"
    assert [info.tenant for info in await secrets.find_all(tenant="a")] == ["a"]
    assert len(await secrets.find_all(tenant=None)) == 2


async def test_no_value_is_in_the_database_the_log_or_a_repr(
    database, database_settings, secrets, request, caplog, capfd
):
    with caplog.at_level(logging.DEBUG):
        await secrets.put("openai", CANARY, actor=ALICE)
        await secrets.put("openai", CANARY + "-two", actor=ALICE)
        await secrets.rewrap(actor=ALICE)
    async with database.connect() as connection:
        row = (await connection.execute(select(SECRETS))).mappings().one()
    if database.kind == "sqlite":
        folder = Path(database_settings.path).parent
        stored = b"".join(path.read_bytes() for path in folder.iterdir())
    else:
        server = request.getfixturevalue("postgres_server")
        stored = server._run("pg_dump", "--inserts", database_settings.url.reveal()).encode()
        assert b"openai" in stored
    seen = "".join(
        (*capfd.readouterr(), caplog.text, repr(secrets), repr(secrets._cipher), repr(secrets._cipher.present))
    )
    seen += repr(await secrets.find_all()) + repr(await secrets.load())

    assert b"CANARY" not in stored
    assert b"CANARY" not in row["wrapped"] + row["ciphertext"]
    assert "CANARY" not in seen
    assert base64.b64encode(CANARY.encode())[:20] not in stored
    assert CANARY.encode().hex().encode()[:40] not in stored


async def test_a_row_in_the_place_of_another_does_not_open(database, secrets):
    await secrets.put("other", CANARY, actor=ALICE, tenant="b")
    await secrets.put("other", CANARY, actor=ALICE, tenant="b")
    for columns in (("ciphertext",), ("wrapped",), ("ciphertext", "wrapped"), ("master_key",), ("version",)):
        await secrets.put("mine", "my own", actor=ALICE, tenant="a")
        async with database.begin() as connection:
            taken = (await connection.execute(select(SECRETS).where(SECRETS.c.tenant == "b"))).mappings().one()
            values = {name: {**taken, "master_key": "f" * 16, "version": 77}[name] for name in columns}
            await connection.execute(update(SECRETS).where(SECRETS.c.tenant == "a").values(**values))

        with pytest.raises(SecretUnreadable) as caught:
            await value_of(secrets, "mine", "a")

        assert "CANARY" not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_a_row_that_is_another_tenants_now_does_not_open(database, secrets):
    await secrets.put("hook", CANARY, actor=ALICE, tenant="b")
    async with database.begin() as connection:
        await connection.execute(update(SECRETS).values(tenant="a"))

    with pytest.raises(SecretUnreadable):
        await value_of(secrets, "hook", "a")


async def test_a_flipped_bit_is_seen(database, secrets):
    for column, place in itertools.product(("wrapped", "ciphertext"), (0, 12, 20, -1)):
        await secrets.put("one", CANARY, actor=ALICE)
        async with database.begin() as connection:
            data = bytearray((await connection.execute(select(SECRETS.c[column]))).scalar_one())
            data[place] ^= 1
            await connection.execute(update(SECRETS).values({column: bytes(data)}))

        with pytest.raises(SecretUnreadable, match="was changed"):
            await value_of(secrets, "one")


async def test_a_truncated_row_is_unreadable_and_nothing_worse(database, secrets):
    await secrets.put("one", CANARY, actor=ALICE)
    async with database.begin() as connection:
        await connection.execute(update(SECRETS).values(wrapped=b"", ciphertext=b""))

    with pytest.raises(SecretUnreadable):
        await value_of(secrets, "one")


async def test_a_rotation_leaves_every_value_and_needs_the_old_key_no_more(database, secrets):
    for number in range(120):
        await secrets.put(f"s{number}", f"value {number}", actor=ALICE)
    both = secrets_with(database, NEW, OLD)
    assert await value_of(both, "s7") == "value 7"

    done = await both.rewrap(actor=ALICE)

    assert (done.done, done.unreadable) == (120, ())
    only_new = secrets_with(database, NEW)
    assert [(await only_new.load())[f"s{number}"]() for number in range(120)] == [f"value {n}" for n in range(120)]
    with pytest.raises(SecretUnreadable, match="not configured"):
        await value_of(secrets, "s7")
    assert (await both.rewrap(actor=ALICE)).done == 0
    assert (await actions(database))[120:] == ["secrets.rewrapped"] * 3 + ["secrets.rotated"] * 2
    assert (await SqlAudit(database).verify()).sound


async def test_a_rotation_says_what_it_cannot_read(database, secrets):
    await secrets.put("good", "value", actor=ALICE)
    await secrets_with(database, OTHER).put("lost", CANARY, actor=ALICE)

    done = await secrets_with(database, NEW, OLD).rewrap(actor=ALICE)

    assert (done.done, [info.name for info in done.unreadable]) == (1, ["lost"])
    assert await value_of(secrets_with(database, OTHER), "lost") == CANARY


ROTATION = """
import sys, anyio
from tests.contract.test_store_secrets import ALICE, NEW, OLD, secrets_with
from gateway.config.database_settings import PostgresSettings, SqliteSettings
from gateway.config.secret import Secret
from gateway.stores.database import open_database
from gateway.stores import secrets_sql

secrets_sql._BATCH = 5

class Told(secrets_sql.SqlSecrets):
    async def _tell_batch(self, *args):
        await super()._tell_batch(*args)
        print("batch", flush=True)

async def main(kind, place):
    settings = SqliteSettings(path=place) if kind == "sqlite" else PostgresSettings(url=Secret(place, source="env:X"))
    database = await open_database(settings)
    whole = secrets_with(database, NEW, OLD)
    await Told(database, whole._cipher, whole._audit).rewrap(actor=ALICE)

anyio.run(main, *sys.argv[1:])
"""


def rotate_and_kill(kind: str, place: str) -> None:
    """Begin a rotation in a process of its own, and kill that after its first batch."""
    command = [sys.executable, "-c", ROTATION, kind, place]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("batch"):
                os.kill(process.pid, signal.SIGKILL)
                break


async def test_a_rotation_that_is_killed_is_taken_up_again(database, database_settings, secrets):
    """kill -9 in the midst: every secret opens with the two keys at any moment, and a second run ends it."""
    for number in range(60):
        await secrets.put(f"s{number:02}", f"value {number}", actor=ALICE)
    place = database_settings.path if database.kind == "sqlite" else database_settings.url.reveal()
    await anyio.to_thread.run_sync(rotate_and_kill, database.kind, place)
    both = secrets_with(database, NEW, OLD)
    halfway = {info.master_key for info in await both.find_all()}
    values = [value() for _, value in sorted((await both.load()).items())]

    done = await both.rewrap(actor=ALICE)

    assert values == [f"value {number}" for number in range(60)]
    assert len(halfway) in (1, 2)
    assert 0 < done.done <= 60
    assert {info.master_key for info in await both.find_all()} == {both._cipher.present.id}
    assert (await SqlAudit(database).verify()).sound


async def test_two_that_set_the_same_secret_at_once_count_on(database, database_settings):
    other = await open_database(database_settings)
    stores = [secrets_with(database, OLD), secrets_with(other, OLD)]
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(lambda n=number: stores[n % 2].put("one", f"value {n}", actor=ALICE))
    (info,) = await stores[0].find_all()
    await other.aclose()

    assert info.version == 20
    assert (await value_of(stores[0], "one")).startswith("value ")


async def test_a_snapshot_shows_changes_at_its_refresh_and_outlives_the_database(database, secrets):
    await secrets.put("one", "first", actor=ALICE)
    snapshot = SecretSnapshot(secrets)
    await snapshot.refresh()
    await secrets.put("one", "second", actor=ALICE)

    assert snapshot.find("one") == "first"
    assert snapshot.find("two") is None
    await snapshot.refresh()
    assert snapshot.find("one") == "second"
    async with database.begin() as connection:
        await connection.execute(delete(SECRETS))
    assert snapshot.find("one") == "second"


@pytest.mark.parametrize(
    "text", ["short", base64.b64encode(b"x" * 31).decode(), "!" * 44, base64.b64encode(b"x" * 33).decode()]
)
def test_what_is_no_master_key_is_refused_and_not_shown(text):
    with pytest.raises(MasterKeyMissing, match="from env:MASTER is not 32 bytes") as caught:
        open_cipher(Secret(text, source="env:MASTER"))

    assert text not in str(caught.value)


def test_a_master_key_is_read_in_both_alphabets_of_base64():
    key = bytes([251, 255] * 16)
    plain = open_cipher(Secret(base64.b64encode(key).decode(), source="env:A"))
    safe = open_cipher(Secret(base64.urlsafe_b64encode(key).decode(), source="env:B"))

    assert plain.present.id == safe.present.id


def test_without_a_master_key_there_are_no_secrets():
    with pytest.raises(MasterKeyMissing, match=r"secrets\.master_key"):
        open_cipher(None)
