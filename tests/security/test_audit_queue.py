"""No action without its entry: whatever happens to the database, the disk or the process, and no secret in it."""

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.config.database_settings import SqliteSettings
from gateway.config.secret import Secret
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, StoreUnavailable
from gateway.stores import audit_queue
from gateway.stores.audit import SYSTEM, Appended, AuditActor, AuditEvent, AuditObject, AuditQuery
from gateway.stores.audit_anchor import AnchorFile, read_anchors
from gateway.stores.audit_chain import GENESIS, AuditHead, ChainCheck, HeadSigner
from gateway.stores.audit_details import MOST_BYTES, canonical
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.database import open_database

ROOT = Path(__file__).resolve().parents[2]
ABOUT = AuditObject(kind="key", id="key_1", tenant="default")
CANARY = "sk-CANARY-0123456789-abcdefghijklmnop"


class Away:
    """A store whose database is away."""

    async def append(self, events) -> Appended:
        del events
        raise StoreUnavailable("The database cannot be reached.")


class Kept:
    """A store that keeps what it is given, in a list."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def append(self, events) -> Appended:
        self.events += [event for event in events if event.id not in {kept.id for kept in self.events}]
        return Appended(entries=(), head=AuditHead(seq=len(self.events), hash=GENESIS, at=0))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.action, event.details.get("outcome", "")) for event in self.events]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "queue"


@contextlib.asynccontextmanager
async def running(log: AuditLog):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.run)
        yield
        tasks.cancel_scope.cancel()


async def emptied(log: AuditLog) -> None:
    with anyio.fail_after(10):
        while log.waiting or log.lost:
            await anyio.sleep(0.01)


async def test_what_waits_is_taken_up_by_the_next_process(folder):
    first = AuditLog(Away(), AuditQueue(folder))
    async with running(first):
        await first.append("key.created", actor=SYSTEM, about=ABOUT)
        first.record_later("config.reloaded", about=ABOUT)
    store = Kept()
    second = AuditLog(store, AuditQueue(folder))
    async with running(second):
        await emptied(second)

    assert store.told == [("key.created", ""), ("config.reloaded", "")]
    assert list(folder.iterdir()) == []


async def test_what_waits_in_a_process_that_lives_is_its_own(folder):
    first = AuditLog(Away(), AuditQueue(folder))
    first.record_later("config.reloaded", about=ABOUT)

    second = AuditLog(Kept(), AuditQueue(folder))

    assert (first.waiting, second.waiting) == (1, 0)


async def test_an_action_is_told_with_what_became_known_of_it(folder):
    store = Kept()
    log = AuditLog(store, AuditQueue(folder))

    async with log.around("key.created", actor=SYSTEM, about=ABOUT, details={"team": "t"}) as found:
        found["key"] = "key_9"

    (event,) = store.events
    assert event.details == {"team": "t", "key": "key_9"}


@pytest.mark.parametrize(
    ("fault", "told"), [(Conflict("The name is taken."), []), (StoreUnavailable("Lost."), [("key.created", "unknown")])]
)
async def test_an_action_that_failed_is_not_told_and_one_that_may_have_is(folder, fault, told):
    store = Kept()
    log = AuditLog(store, AuditQueue(folder))

    with pytest.raises(type(fault)):
        async with log.around("key.created", actor=SYSTEM, about=ABOUT):
            raise fault

    assert store.told == told
    assert log.waiting == 0


async def test_a_client_that_leaves_in_the_midst_leaves_an_unknown_outcome(folder):
    store = Kept()
    log = AuditLog(store, AuditQueue(folder))

    with anyio.move_on_after(0.01):
        async with log.around("key.created", actor=SYSTEM, about=ABOUT):
            await anyio.sleep_forever()

    assert store.told == [("key.created", "unknown")]


DYING = """
import sys, anyio
from pathlib import Path
from gateway.stores.audit import SYSTEM, AuditObject
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue

async def main():
    log = AuditLog(None, AuditQueue(Path(sys.argv[1])))  # it dies before it has anything to append
    async with log.around("key.created", actor=SYSTEM, about=AuditObject(kind="key")):
        print("inside", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def die_inside(folder: Path) -> None:
    command = [sys.executable, "-c", DYING, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "inside\n"
        os.kill(process.pid, signal.SIGKILL)


async def test_an_action_in_whose_midst_the_process_is_killed_is_told(folder):
    """kill -9 between the change and its entry: the next process tells that there may have been one."""
    await anyio.to_thread.run_sync(die_inside, folder)
    store = Kept()
    log = AuditLog(store, AuditQueue(folder))
    async with running(log):
        await emptied(log)

    assert store.told == [("key.created", "unknown")]


async def test_an_entry_whose_queue_was_not_cleared_is_not_told_twice(folder, tmp_path):
    """Killed after the chain had it and before the queue knew."""
    database = await open_database(SqliteSettings(path=str(tmp_path / "a.db")))
    store = SqlAudit(database)
    queue = AuditQueue(folder)
    log = AuditLog(store, queue)
    log.record_later("config.reloaded", about=ABOUT)
    await store.append(queue.first(10))
    async with running(log):
        await emptied(log)
    found = await store.find(AuditQuery(tenant=None))
    await database.aclose()

    assert len(found) == 1


async def test_a_full_queue_refuses_actions_and_tells_of_what_was_lost(folder, monkeypatch):
    monkeypatch.setattr(audit_queue, "MOST_WAITING", 3)
    away = AuditLog(Away(), AuditQueue(folder))
    for _ in range(3):
        await away.append("key.created", actor=SYSTEM, about=ABOUT)

    with pytest.raises(StoreUnavailable, match="full"):
        await away.append("key.created", actor=SYSTEM, about=ABOUT)
    with pytest.raises(StoreUnavailable, match="full"):
        async with away.around("key.created", actor=SYSTEM, about=ABOUT):
            pytest.fail("nothing may be changed that cannot be told of")
    away.record_later("config.reloaded", about=ABOUT)
    assert (away.waiting, away.lost) == (3, 1)

    away.store = store = Kept()
    async with running(away):
        await emptied(away)
    assert [action for action, _ in store.told] == ["key.created"] * 3 + ["audit.lost"]
    assert store.events[-1].details == {"events": 1}


async def test_a_full_disk_refuses_actions_and_breaks_no_line(folder):
    log = AuditLog(Away(), AuditQueue(folder))
    log.record_later("config.reloaded", about=ABOUT)
    (path,) = folder.iterdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, hard))
    try:
        # The limit is this process's: what pytest captures would meet it too.
        with capture_logs():
            with pytest.raises(StoreUnavailable):
                async with log.around("key.created", actor=SYSTEM, about=ABOUT):
                    pytest.fail("nothing may be changed that cannot be told of")
            log.record_later("config.reloaded", about=ABOUT)
        assert (log.waiting, log.lost) == (1, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    log.record_later("config.reloaded", about=ABOUT)
    assert path.read_bytes().count(b"\n") == 2
    assert path.read_bytes().endswith(b"\n")


async def test_the_anchor_follows_the_chain_and_its_loss_stops_nothing(folder, tmp_path):
    store = Kept()
    anchor = tmp_path / "outside" / "anchor"
    log = AuditLog(store, AuditQueue(folder), anchor=AnchorFile(anchor))
    await log.append("key.created", actor=SYSTEM, about=ABOUT)
    assert [head.seq for head in read_anchors(anchor)] == [1]

    with anchor.open("ab") as file:
        file.write(b'{"seq": 2, "ha')  # a power cut
    await log.append("key.created", actor=SYSTEM, about=ABOUT)
    assert anchor.read_bytes().splitlines()[-1].startswith(b'{"at":0')
    findings = ChainCheck(HeadSigner(None), read_anchors(anchor)).finish(None).findings
    assert findings[0].message == "line 2 of the anchor cannot be read"

    anchor.unlink()
    anchor.mkdir()
    await log.append("key.created", actor=SYSTEM, about=ABOUT)
    assert (len(store.events), log.anchor_failures) == (3, 1)


SECRETS = [
    CANARY,
    "Bearer CANARY0123456789abcdef",
    "postgresql://user:CANARY-password@db/x",
    "eyJhbGciOiJub25lQ0FO.eyJzdWIiOiJDQU5BUlkifQ.CANARY",
    "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----",
    "x" * 1990 + CANARY,
]


@pytest.mark.parametrize("secret", SECRETS)
def test_an_event_holds_no_secret_that_was_overlooked(secret):
    """The second line of defence: who tells leaves secrets out."""
    event = AuditEvent(
        id="aud_1",
        at=1,
        action="key.created",
        actor=AuditActor.of(Caller(id=secret), address=secret),
        object=AuditObject(kind="key", id=secret),
        details={
            "said": secret,
            "deep": [{"deeper": {secret: secret}}],
            "password": "CANARY",
            "key": Secret(secret, source="env:K"),
        },
    )

    assert "CANARY" not in repr(event)


ODD = (
    1.5,
    10**5000,
    -(2**70),
    b"x",
    object(),
    {1: {2: {3: {4: {5: {6: {7: 8}}}}}}},
    "\ud800\0",
    float("nan"),
    "é" * 9000,
)


def test_details_are_plain_bounded_and_stay_as_they_are():
    for value in ODD:
        event = AuditEvent(id="aud_1", at=1, action="a", actor=SYSTEM, object=ABOUT, details={"v": value, "é" * 300: 1})

        assert replace(event, details=event.details) == event
        assert len(canonical(event.details)) < MOST_BYTES


def test_too_many_details_are_told_by_their_hash():
    event = AuditEvent(
        id="aud_1", at=1, action="a", actor=SYSTEM, object=ABOUT, details={f"n{i}": "x" * 1900 for i in range(100)}
    )

    assert list(event.details) == ["left_out", "sha256"]


async def test_the_log_tells_of_trouble_without_details(folder, caplog, capfd):
    log = AuditLog(Away(), AuditQueue(folder))
    with caplog.at_level(logging.DEBUG):
        log.record_later("secret.set", about=ABOUT, details={"said": "a private thing"})
        async with running(log):
            await log.append("secret.set", actor=SYSTEM, about=ABOUT, details={"said": "a private thing"})

    assert "private" not in "".join((*capfd.readouterr(), caplog.text))
