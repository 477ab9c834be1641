"""The stores of a server with a database: opened in order, and what works on them. Loading it loads SQLAlchemy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from gateway.accounting.ledger import Ledger
from gateway.accounting.ledger_rows import Pricing
from gateway.api.admin_services import Services
from gateway.api.identity.bootstrap import bootstrap
from gateway.config import Settings
from gateway.config.audit_settings import AuditSettings
from gateway.config.database_settings import SqliteSettings
from gateway.core.clock import Clock
from gateway.core.errors import SwitchgearError
from gateway.core.ids import new_id
from gateway.dialects.openai_responses.compaction import PREFIX as COMPACTED
from gateway.governance.kept import Kept
from gateway.governance.refusal import GovernanceRefused
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.approval_messages_sql import SqlApprovalMessages
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.audit import AuditObject
from gateway.stores.audit_anchor import AnchorFile, read_anchors
from gateway.stores.audit_chain import AuditHead
from gateway.stores.audit_log import AuditLog
from gateway.stores.audit_queue import AuditQueue
from gateway.stores.audit_sql import SqlAudit
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.budgets_sql import SqlBudgets
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import Database, DatabaseRefused, open_database
from gateway.stores.directory_sql import SqlDirectory
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files_sql import SqlFiles
from gateway.stores.incident_threads_sql import SqlIncidentThreads
from gateway.stores.incidents_sql import SqlIncidents
from gateway.stores.key_ring import KeyRing
from gateway.stores.ledger_sql import SqlLedger
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.pepper import PepperFault, open_pepper_file, pepper_of
from gateway.stores.rollouts_sql import SqlRollouts
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.sealing import Seal
from gateway.stores.secrets import MasterKeyMissing
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.session_notes_sql import SqlSessionNotes
from gateway.stores.shadows_sql import SqlShadows
from gateway.stores.tool_calls_sql import SqlToolCalls
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.stores.tool_pins_sql import SqlPins


async def open_stores(settings: Settings, *, clock: Clock, pricing: Callable[[], Pricing]) -> Kept:
    """Open them. The paths in the settings are absolute. Raises GovernanceRefused."""
    if settings.database is None:
        msg = "there is no database to open"
        raise ValueError(msg)
    try:
        # Before the database is made: a pepper is never made beside one that exists.
        pepper = _pepper(settings)
        database = await open_database(settings.database)
        try:
            return await _on(database, settings, pepper, clock=clock, pricing=pricing)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await database.aclose()
            raise
    except (DatabaseRefused, MasterKeyMissing, OSError, PepperFault, SwitchgearError) as error:
        raise GovernanceRefused(str(error)) from error


async def _on(
    database: Database, settings: Settings, pepper: bytes, *, clock: Clock, pricing: Callable[[], Pricing]
) -> Kept:
    directory = SqlDirectory(database)
    audit = _audit_log(database, settings.audit, clock)
    file = settings.access.bootstrap_key_file
    first_key = await bootstrap(directory, pepper, file=None if file is None else Path(file), clock=clock)
    if first_key is not None:
        audit.record_later("key.bootstrapped", about=AuditObject(kind="key", tenant="default"))
    ring = KeyRing(directory.keys, pepper, poll=settings.access.keys_refresh, clock=clock)
    await ring.load()
    store = SqlLedger(database)
    ledger = Ledger(store, settings.ledger, pricing=pricing, clock=clock)
    batches, shadows, memories = SqlBatches(database), SqlShadows(database), SqlMemories(database, new_id)
    services = Services(
        clock=clock,
        new_id=new_id,
        directory=directory,
        ring=ring,
        ledger=store,
        budgets=SqlBudgets(database),
        batches=batches,
        shadows=shadows,
        memories=memories,
        audit=audit,
        anchors=_anchors(settings.audit),
        write_ledger=ledger.flush,
    )
    return Kept(
        database=database,
        ring=ring,
        ledger=ledger,
        audit=audit,
        services=services,
        files=SqlFiles(database),
        batches=batches,
        rollouts=SqlRollouts(database),
        shadows=shadows,
        runs=SqlRuns(database),
        conversations=SqlConversations(database),
        incidents=SqlIncidents(database),
        threads=SqlIncidentThreads(database),
        memories=memories,
        calls=SqlToolCalls(database),
        approvals=SqlApprovals(database),
        messages=SqlApprovalMessages(database),
        outbox=SqlOutbox(database),
        blobs=SqlBlobs(database),
        pins=SqlPins(database),
        grants=_grants(database, settings),
        agent_versions=SqlAgentVersions(database),
        seal=Seal(pepper, purpose=b"compaction", prefix=COMPACTED),
        call_seal=Seal(pepper, purpose=b"mcp call", prefix="", most=64 * 1024),
        session_seal=Seal(pepper, purpose=b"mcp session", prefix="", most=64 * 1024),
        session_notes=SqlSessionNotes(database),
        bytes=await _file_bytes(settings),
        first_key=first_key if file is None else None,
    )


def _grants(database: Database, settings: Settings) -> SqlGrants | None:
    """Give the store of what is kept encrypted, with the master key that there is at the start."""
    if settings.secrets.master_key is None:
        return None
    return SqlGrants(database, open_cipher(settings.secrets.master_key, settings.secrets.old_master_keys))


def _pepper(settings: Settings) -> bytes:
    if settings.access.pepper is not None:
        return pepper_of(settings.access.pepper)
    if isinstance(settings.database, SqliteSettings):
        return open_pepper_file(Path(settings.database.path))
    msg = "access.pepper must be set with PostgreSQL: all replicas hash keys with the same secret"
    raise PepperFault(msg)


async def _file_bytes(settings: Settings) -> FileBytes | None:
    if settings.batches is None:
        return None
    kept = FileBytes(Path(settings.batches.folder))
    await anyio.to_thread.run_sync(kept.prepare)
    return kept


def _audit_log(database: Database, settings: AuditSettings, clock: Clock) -> AuditLog:
    key = None if settings.key is None else settings.key.reveal()
    anchor = None if settings.anchor is None else AnchorFile(Path(settings.anchor))
    store = SqlAudit(database, key=key, clock=clock)
    return AuditLog(store, AuditQueue(Path(settings.queue)), anchor=anchor, clock=clock)


def _anchors(settings: AuditSettings) -> Callable[[], Awaitable[tuple[AuditHead, ...]]] | None:
    if settings.anchor is None:
        return None
    path = Path(settings.anchor)

    async def read() -> tuple[AuditHead, ...]:
        return await anyio.to_thread.run_sync(read_anchors, path)

    return read
