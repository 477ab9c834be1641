"""What an agent remembers in a case: entries that are there before it, and those that are there after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.config import Settings
from gateway.config.agent_settings import AgentCase, AgentDefinition, CaseMemory
from gateway.core.caller import Caller
from gateway.stores.memories import MemoryBounds, MemoryEntry, MemoryPlace, MemoryStore, person

_BEFORE: Final = "case-memory"
"""Begins the name of what wrote them: no run did."""
_AUTHOR: Final = "case"


async def remember(
    store: MemoryStore, settings: Settings, agent: AgentDefinition, case: AgentCase, caller: Caller, *, now: float
) -> None:
    """Write what is there before the case. Raises MemoryFull where the memory has no room for it."""
    place = _place(settings, agent, caller)
    if place is None:
        return
    limits = settings.memories[place.name].limits
    for number, each in enumerate(case.memory):
        entry = MemoryEntry(
            key=each.key,
            text=each.text or "",
            integrity=each.integrity or "trusted",
            confidentiality=each.confidentiality or "internal",
            sources=(f"{_BEFORE}/{each.key}",) if each.integrity == "untrusted" else (),
            run=_BEFORE,
            author=person(user=caller.user, caller=caller.id) if place.scope == "user" else _AUTHOR,
            created_at=now,
            updated_at=now,
        )
        bounds = MemoryBounds(entries=limits.entries, bytes=limits.bytes)
        await store.write(place, entry, call=f"{_BEFORE}.{number}", bounds=bounds)


async def forgotten(
    store: MemoryStore, settings: Settings, agent: AgentDefinition, case: AgentCase, caller: Caller, *, now: float
) -> Sequence[str]:
    """Say how what is there after the case differs from what it expects."""
    place = _place(settings, agent, caller)
    if place is None or case.expect.memory is None:
        return ()
    found = {entry.key: entry for entry in await store.entries(place, now=now)}
    wanted = {each.key: each for each in case.expect.memory}
    problems = [f"memory: there is no entry {key!r}" for key in wanted if key not in found]
    problems += [f"memory: there is an entry {key!r}" for key in sorted(found) if key not in wanted]
    for key, each in wanted.items():
        if key in found:
            problems += _differences(each, found[key])
    return problems


def _differences(wanted: CaseMemory, found: MemoryEntry) -> Iterator[str]:
    for name in ("text", "integrity", "confidentiality"):
        value, is_now = getattr(wanted, name), getattr(found, name)
        if value is not None and value != is_now:
            yield f"memory: {name} of {wanted.key!r} is {is_now[:300]!r}, not {value[:300]!r}"


def _place(settings: Settings, agent: AgentDefinition, caller: Caller) -> MemoryPlace | None:
    use = agent.settings.memory
    if use is None:
        return None
    scope = settings.memories[use.name].scope
    owner = {"user": person(user=caller.user, caller=caller.id), "agent": agent.name, "tenant": ""}[scope]
    return MemoryPlace(tenant=caller.tenant, name=use.name, scope=scope, owner=owner)
