"""The audit log on every database: one gapless chain whoever appends, and every way to falsify it is found.

The falsifiers here have the rights of the database's owner: they take the triggers away first.
"""

import contextlib
import sqlite3

import anyio
import pytest
from msgspec.structs import replace
from sqlalchemy import text

from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.stores.audit import AuditActor, AuditEvent, AuditObject, AuditQuery
from gateway.stores.audit_chain import GENESIS, HeadSigner, digest_of, hash_of
from gateway.stores.audit_export import verify_lines
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database

KEY = "a-key-that-signs-the-heads-of-the-tests"
ROOT = AuditActor(id="key_root", tenant="default", role="owner", address="192.0.2.7")
SQLITE_TRIGGERS = (
    "audit_entries_no_update",
    "audit_entries_no_delete",
    "audit_entries_append",
    "audit_head_forward",
    "audit_head_no_delete",
)


def event(number: int, tenant: str = "default") -> AuditEvent:
    about = AuditObject(kind="key", id=f"key_{number}", tenant=tenant)
    return AuditEvent(
        id=f"aud_{number:024}",
        at=1_000_000 + number,
        action="key.created",
        actor=ROOT,
        object=about,
        details={"number": number},
    )


def copy_as(seq: int, of: int) -> str:
    """SQL that puts a copy of an entry in another place."""
    columns = (
        "at, written, action, actor_id, actor_tenant, actor_role, actor_address, object_kind, object_id, tenant, details, "
        "previous, digest, hash"
    )
    return f"INSERT INTO audit_entries (seq, id, {columns}) SELECT {seq}, 'new', {columns} FROM audit_entries WHERE seq = {of}"


QUERIES = [
    (AuditQuery(tenant="a"), [9, 7, 5, 3, 1]),
    (AuditQuery(tenant="nobody"), []),
    (AuditQuery(tenant=None, before=3), [2, 1]),
    (AuditQuery(tenant=None, kind="key", object="key_4"), [4]),
    (AuditQuery(tenant="a", kind="key", object="key_4"), []),
    (AuditQuery(tenant=None, since=1_000_003, until=1_000_005), [4, 3]),
    (AuditQuery(tenant=None, action="key.", limit=1), [10]),
    (AuditQuery(tenant=None, action="key"), []),
    (AuditQuery(tenant=None, action="%."), []),
    (AuditQuery(tenant=None, action="' OR 1=1 --"), []),
    (AuditQuery(tenant=None, actor="key_root", before=2), [1]),
    (AuditQuery(tenant=None, limit=-1), []),
]
REFUSED = [
    "UPDATE audit_entries SET action = 'x' WHERE seq = 3",
    "DELETE FROM audit_entries WHERE seq = 10",
    "DELETE FROM audit_entries",
    "UPDATE audit_head SET seq = 4",
    "UPDATE audit_head SET hash = 'x'",
    "DELETE FROM audit_head",
    copy_as(0, of=3),
]
# What somebody does to the tables, what is found then, and at which entry.
FORGERIES = [
    (["UPDATE audit_entries SET action = 'key.revoked' WHERE seq = 3"], "changed", 3),
    (["UPDATE audit_entries SET details = '{\"number\" \\: 3}' WHERE seq = 3"], "changed", 3),
    (["UPDATE audit_entries SET details = 'x' WHERE seq = 3"], "changed", 3),
    (["UPDATE audit_entries SET actor_address = '' WHERE seq = 10"], "changed", 10),
    (["UPDATE audit_entries SET tenant = 'a' WHERE seq = 4"], "changed", 4),
    (["UPDATE audit_entries SET at = at + 1 WHERE seq = 1"], "changed", 1),
    (["UPDATE audit_entries SET written = 0 WHERE seq = 1"], "changed", 1),
    (["UPDATE audit_entries SET id = 'aud_other' WHERE seq = 1"], "changed", 1),
    ([f"UPDATE audit_entries SET hash = '{'f' * 64}' WHERE seq = 5"], "changed", 5),
    ([f"UPDATE audit_entries SET digest = '{'f' * 64}' WHERE seq = 5"], "changed", 5),
    (["DELETE FROM audit_entries WHERE seq = 5"], "missing", 5),
    (["DELETE FROM audit_entries WHERE seq = 1"], "missing", 1),
    (["DELETE FROM audit_entries WHERE seq = 10"], "truncated", 10),
    (["DELETE FROM audit_entries WHERE seq > 2"], "truncated", 10),
    (["DELETE FROM audit_entries"], "truncated", 10),
    (["DELETE FROM audit_entries WHERE seq = 10", "UPDATE audit_head SET seq = 9"], "head", 9),
    (["DELETE FROM audit_head"], "head", 10),
    (["UPDATE audit_head SET at = at + 1"], "signature", 10),
    (["UPDATE audit_head SET signature = '', key = ''"], "signature", 10),
    (
        [
            "DELETE FROM audit_entries WHERE seq = 4",
            "UPDATE audit_entries SET seq = seq - 1 WHERE seq = 5",
            "UPDATE audit_entries SET seq = seq - 1 WHERE seq = 6",
        ],
        "changed",
        4,
    ),
    (
        [
            "UPDATE audit_entries SET seq = 1003 WHERE seq = 3",
            "UPDATE audit_entries SET seq = 3 WHERE seq = 4",
            "UPDATE audit_entries SET seq = 4 WHERE seq = 1003",
        ],
        "changed",
        3,
    ),
    (
        [copy_as(11, of=10)],
        "head",
        10,
    ),
    (
        [copy_as(0, of=10)],
        "order",
        0,
    ),
]


@pytest.fixture
def audit(database):
    return SqlAudit(database, key=KEY)


@pytest.fixture
async def ten(audit):
    """A chain of ten entries, of two tenants in turn."""
    await audit.append([event(number, tenant="a" if number % 2 else "b") for number in range(1, 11)])
    return audit


async def falsify(database, *statements: str) -> None:
    """Change what is stored as its owner can, triggers or not."""
    async with database.begin() as connection:
        if database.kind == "sqlite":
            away = [f"DROP TRIGGER IF EXISTS {name}" for name in SQLITE_TRIGGERS]
        else:
            away = ["ALTER TABLE audit_entries DISABLE TRIGGER USER", "ALTER TABLE audit_head DISABLE TRIGGER USER"]
        for statement in (*away, *statements):
            await connection.execute(text(statement))


async def lines_of(audit, tenant=None) -> list[bytes]:
    return [line async for line in audit.export(tenant=tenant)]


async def test_what_is_appended_is_found_newest_first(ten):
    found = await ten.find(AuditQuery(tenant=None, limit=3))

    assert [entry.seq for entry in found] == [10, 9, 8]
    assert found[0].event == event(10, tenant="b")
    assert (found[0].previous, found[0].written >= 0) == (found[1].hash, True)


async def test_entries_are_found_by_what_is_asked(ten):
    found = [(query, [entry.seq for entry in await ten.find(query)]) for query, _ in QUERIES]

    assert found == QUERIES


async def test_the_chain_follows_its_documented_rules(ten):
    """The four rules of `audit_chain`, followed by hand."""
    (first,) = await ten.find(AuditQuery(tenant=None, before=2))
    content = {
        "action": "key.created",
        "actor": {"address": "192.0.2.7", "id": "key_root", "role": "owner", "tenant": "default"},
        "at": 1_000_001,
        "details": {"number": 1},
        "id": f"aud_{1:024}",
        "object": {"id": "key_1", "kind": "key", "tenant": "a"},
        "written": first.written,
    }

    assert first.previous == GENESIS
    assert first.digest == digest_of(content)
    assert first.hash == hash_of(seq=1, previous=GENESIS, digest=first.digest)
    assert HeadSigner(KEY).accepts(await ten.head())


async def test_a_chain_that_nobody_touched_is_sound(ten):
    verdict = await ten.verify(anchors=[await ten.head()])

    assert (verdict.sound, verdict.entries, verdict.signature) == (True, 10, "valid")
    assert (verdict.anchors, verdict.signed_anchors) == (1, 1)


async def test_an_empty_chain_is_sound(audit):
    assert (await audit.verify()).sound
    assert verify_lines(await lines_of(audit), key=KEY).sound


async def test_an_event_that_comes_twice_is_written_once(ten):
    again = await ten.append([event(3), event(11), event(11)])

    assert [entry.seq for entry in again.entries] == [11]
    assert (await ten.append([event(3)])).head == again.head
    assert (await ten.verify()).sound


async def test_many_at_once_make_one_gapless_chain(database, database_settings):
    """Two replicas with connections of their own, forty tasks on each."""
    other = await open_database(database_settings)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 81):
                replica = SqlAudit(database if number % 2 else other, key=KEY)
                tasks.start_soon(replica.append, [event(number)])
    verdict = await SqlAudit(other, key=KEY).verify()
    await other.aclose()

    assert verdict.sound, verdict.findings
    assert (verdict.entries, verdict.head.seq) == (80, 80)


async def test_an_entry_is_kept_with_what_it_tells_of_or_not_at_all(database, audit):
    async def fail_halfway() -> None:
        async with database.begin() as connection:
            await audit.append_within(connection, [event(1)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_halfway()

    assert (await audit.head()).seq == 0
    assert await audit.find(AuditQuery(tenant=None)) == ()


async def test_the_database_refuses_to_change_the_chain(database, ten):
    async def change(statement: str) -> None:
        async with database.begin() as connection:
            await connection.execute(text(statement))

    for statement in [
        *REFUSED,
        *(["TRUNCATE audit_entries", "TRUNCATE audit_head"] if database.kind == "postgres" else []),
    ]:
        with pytest.raises(SwitchgearError):
            await change(statement)

    assert (await ten.verify()).sound


async def test_a_falsified_chain_is_found_and_where(database, ten):
    tables = ("audit_entries", "audit_head")
    await falsify(database, *(f"CREATE TABLE saved_{table} AS SELECT * FROM {table}" for table in tables))
    missed = []
    for statements, kind, seq in FORGERIES:
        await falsify(database, *statements)
        found = {(finding.kind, finding.seq) for finding in (await ten.verify()).findings}
        if (kind, seq) not in found:
            missed.append((statements, kind, seq, found))
        # Its export tells the same to somebody who has nothing else. Without a head there is no export; what lies outside
        # of the chain's numbers is not in it.
        if kind != "order" and statements != [copy_as(11, of=10)] and statements != ["DELETE FROM audit_head"]:
            assert not verify_lines(await lines_of(ten), key=KEY).sound, statements
        for table in tables:
            await falsify(database, f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM saved_{table}")

    assert missed == []
    assert (await ten.verify()).sound


async def test_a_chain_cut_off_with_a_new_head_needs_the_key(database, ten):
    """Who cuts the end off can write a head that fits, but not sign it."""
    (ninth,) = (entry for entry in await ten.find(AuditQuery(tenant=None)) if entry.seq == 9)
    forged = HeadSigner("a-key-that-somebody-else-made-for-himself").sign(seq=9, hash_=ninth.hash, at=ninth.written)
    await falsify(
        database,
        "DELETE FROM audit_entries WHERE seq = 10",
        f"UPDATE audit_head SET seq = 9, hash = '{forged.hash}', signature = '{forged.signature}', key = '{forged.key}'",
    )

    kinds = {finding.kind for finding in (await ten.verify()).findings}

    assert kinds == {"signature"}


async def test_what_was_true_once_is_found_to_be_old_by_the_anchor(database, ten):
    """The head of entry 8 was signed by the right key; only what is kept outside knows that there was more."""
    chain = await ten.find(AuditQuery(tenant=None))
    old = HeadSigner(KEY).sign(seq=8, hash_=chain[2].hash, at=chain[2].written)
    anchors = [await ten.head()]
    await falsify(
        database,
        "DELETE FROM audit_entries WHERE seq > 8",
        f"UPDATE audit_head SET seq = 8, hash = '{old.hash}', signature = '{old.signature}', at = {old.at}",
    )
    assert (await ten.verify()).sound

    verdict = await ten.verify(anchors=anchors)

    assert [(finding.kind, finding.seq) for finding in verdict.findings] == [("truncated", 10)]

    await ten.append([event(21), event(22), event(23)])
    rewritten = await ten.verify(anchors=anchors)
    assert [(finding.kind, finding.seq) for finding in rewritten.findings] == [("anchor", 10)]


async def test_an_auditor_of_a_tenant_sees_its_own_and_can_check_the_whole(ten):
    lines = await lines_of(ten, tenant="a")

    verdict = verify_lines(lines, key=KEY)

    assert (verdict.sound, verdict.entries, verdict.hidden) == (True, 10, 5)
    shown = b"".join(lines)
    assert b"key_3" in shown
    assert not any(f"key_{number}".encode() in shown for number in (2, 4, 6, 8)), "objects of another tenant"


async def test_the_chain_may_grow_while_it_is_verified_and_exported(ten):
    verdicts, exports = [], []

    async def append() -> None:
        for number in range(100, 130):
            await ten.append([event(number)])

    async def verify() -> None:
        for _ in range(10):
            verdicts.append(await ten.verify())
            exports.append(verify_lines(await lines_of(ten), key=KEY))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(append)
            tasks.start_soon(verify)

    assert all(verdict.sound for verdict in (*verdicts, *exports))


async def test_long_chains_are_read_in_pages(audit):
    await audit.append([event(number) for number in range(1, 1203)])

    assert (await audit.verify()).entries == 1202
    lines = await lines_of(audit)
    assert len(lines) == 1203
    assert verify_lines(lines, key=KEY).sound
    assert len(await audit.find(AuditQuery(tenant=None, limit=10_000))) == 500


@pytest.fixture
def away(request, database_settings):
    """Takes the database away while a block runs: a locked file, a stopped server."""

    @contextlib.contextmanager
    def taken():
        if database_settings.kind == "sqlite":
            with contextlib.closing(sqlite3.connect(database_settings.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
        else:
            server = request.getfixturevalue("postgres_server")
            server.pause()
            try:
                yield
            finally:
                server.resume()

    return taken


async def test_what_happens_while_the_database_is_away_comes_later_in_order(database_settings, away, tmp_path):
    """In its order, with its own time, and nothing twice."""
    database = await open_database(replace(database_settings, timeout=0.3))
    now = 1000.0
    store = SqlAudit(database, key=KEY)
    log = AuditLog(store, AuditQueue(tmp_path / "queue"), clock=Clock(wall=lambda: now))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.run)
        await log.append("key.created", actor=ROOT, about=AuditObject(kind="key", id="first"))
        with away():
            now = 2000.0
            log.record_later("config.reloaded", about=AuditObject(kind="config", id="second"))
            now = 3000.0
            assert await log.append("key.revoked", actor=ROOT, about=AuditObject(kind="key", id="third")) is None
            assert log.waiting == 2
        with anyio.fail_after(20):
            while log.waiting:
                await anyio.sleep(0.02)
        await log.append("key.created", actor=ROOT, about=AuditObject(kind="key", id="fourth"))
        tasks.cancel_scope.cancel()
    entries = await store.find(AuditQuery(tenant=None))
    verdict = await store.verify()
    await database.aclose()

    assert [entry.event.object.id for entry in reversed(entries)] == ["first", "second", "third", "fourth"]
    assert [entry.event.at for entry in reversed(entries)] == [1_000_000, 2_000_000, 3_000_000, 3_000_000]
    assert verdict.sound
    assert list((tmp_path / "queue").iterdir()) == []
