"""What a server with a database has: a record, without behaviour."""

from __future__ import annotations

import msgspec

from gateway.accounting.ledger import Ledger
from gateway.api.admin_services import Services
from gateway.stores.audit_log import AuditLog
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import Database
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files_sql import SqlFiles
from gateway.stores.key_ring import KeyRing
from gateway.stores.rollouts_sql import SqlRollouts
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.shadows_sql import SqlShadows


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What there is with a database. `bytes` are there with the section `batches`. `first_key` is the administrator's, when it was just made and is to be shown."""

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
    bytes: FileBytes | None
    first_key: str | None
