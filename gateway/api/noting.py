"""Notes in the audit log what callers did that is not theirs alone: batches and files belong to a whole tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api.asgi import Scope
from gateway.api.plain import CALLER
from gateway.core.caller import Caller
from gateway.stores.audit import AuditActor, AuditObject
from gateway.stores.audit_log import AuditLog


def note(
    audit: AuditLog | None, scope: Scope, action: str, about: tuple[str, str], details: Mapping[str, Any] | None = None
) -> None:
    """Note that the caller of a request did `action` to `about` (kind and id), which is its tenant's. It never fails or waits."""
    if audit is None:
        return
    caller: Caller = scope[CALLER]
    kind, identifier = about
    audit.record_later(
        action,
        actor=AuditActor.of(caller, address=(scope.get("client") or ("",))[0]),
        about=AuditObject(kind=kind, id=identifier, tenant=caller.tenant),
        details=details,
    )
