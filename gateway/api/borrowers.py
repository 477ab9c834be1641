"""Who uses an account that somebody lends, in words for the one who lends it: a name that he knows, and the ids that nobody can choose for himself."""

from __future__ import annotations

from gateway.core.errors import StoreUnavailable
from gateway.stores.directory import Directory
from gateway.stores.tool_grants import Holder


async def borrower_of(holder: Holder, directory: Directory | None) -> str:
    """Give it as plain text. What the directory does not know, or cannot say now, is named by its id."""
    if not holder.person:
        return "everybody, in the name"
    kind, _, identifier = holder.person.partition(":")
    name = await _name(directory, holder.tenant, kind, identifier)
    # Names are free to choose: the id stands beside one, always.
    return f"{name} ({holder.person}, tenant {holder.tenant})" if name else f"{holder.person} (tenant {holder.tenant})"


async def _name(directory: Directory | None, tenant: str, kind: str, identifier: str) -> str:
    if directory is None:
        return ""
    try:
        if kind != "user":
            key = await directory.keys.find(identifier, tenant=tenant)
            return "" if key is None else f"the key {key.name}"
        user = await directory.users.find(identifier, tenant=tenant)
        if user is not None:
            return f"{user.name} <{user.email}>" if user.email else user.name
        program = await directory.service_accounts.find(identifier, tenant=tenant)
    except StoreUnavailable:
        return ""
    return "" if program is None else f"the program {program.name}"
