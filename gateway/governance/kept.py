"""What a server with a database has: a record, without behaviour."""

from __future__ import annotations

import msgspec

from gateway.accounting.ledger import Ledger
from gateway.api.admin_services import Services
from gateway.stores.agent_versions_sql import SqlAgentVersions
from gateway.stores.approval_messages_sql import SqlApprovalMessages
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.audit_log import AuditLog
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.blobs_sql import SqlBlobs
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import Database
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files_sql import SqlFiles
from gateway.stores.incident_threads_sql import SqlIncidentThreads
from gateway.stores.incidents_sql import SqlIncidents
from gateway.stores.key_ring import KeyRing
from gateway.stores.memories_sql import SqlMemories
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.rollouts_sql import SqlRollouts
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.sealing import Seal
from gateway.stores.session_notes_sql import SqlSessionNotes
from gateway.stores.shadows_sql import SqlShadows
from gateway.stores.tool_calls_sql import SqlToolCalls
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.stores.tool_pins_sql import SqlPins


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What there is with a database. `bytes` are there with the section `batches`, `grants` with `secrets.master_key`. `first_key` is the administrator's, when it was just made and is to be shown."""

    database: Database
    ring: KeyRing
    ledger: Ledger
    audit: AuditLog
    services: Services
    files: SqlFiles
    batches: SqlBatches
    rollouts: SqlRollouts
    shadows: SqlShadows
    runs: SqlRuns
    conversations: SqlConversations
    incidents: SqlIncidents
    threads: SqlIncidentThreads
    memories: SqlMemories
    calls: SqlToolCalls
    approvals: SqlApprovals
    messages: SqlApprovalMessages
    outbox: SqlOutbox
    blobs: SqlBlobs
    pins: SqlPins
    grants: SqlGrants | None
    agent_versions: SqlAgentVersions
    seal: Seal
    call_seal: Seal
    session_seal: Seal
    session_notes: SqlSessionNotes
    bytes: FileBytes | None
    first_key: str | None
