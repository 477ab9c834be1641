"""What a run's calls of its memory do: entries are read with the label that they were written with, and written with that of the run.

Nothing is washed by being remembered. What was made from untrusted or sensitive content is as untrusted and as sensitive when it is read, in
whatever run; and where it came from comes along, so that a policy about a source holds for what a memory passed on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from gateway.agents.memory_tools import DELETE, READ, SEARCH, USUALLY_FOUND, WRITE, memory_source, memory_tools
from gateway.agents.origins import origins
from gateway.agents.provenance import MODEL, Context, sources_of
from gateway.config.memory_settings import MemorySettings
from gateway.core.caller import Caller
from gateway.core.tools import SERVER, Confidentiality, Integrity, Label, Tool
from gateway.stores.memories import (
    MemoryBounds,
    MemoryChanged,
    MemoryEntry,
    MemoryFull,
    MemoryGuarded,
    MemoryPlace,
    MemoryStore,
    person,
)
from gateway.stores.runs import Run
from gateway.stores.tool_calls import Approval, ToolCall

log = structlog.get_logger()

MOST_SOURCES: Final = 64
"""Of one entry. What came from more is not written down: a source that is left out would be forgotten."""
MOST_RUNS: Final = 10
"""Of one label: those that wrote the entries that were read first. They are for people; nothing is decided by them."""
_GUARDED: Final = (
    "It was written from what is trusted, and what you have read since is not: choose another key, or ask the user."
)
_OURS: Final = Label(source="operator")
_RANK: Final[tuple[Confidentiality, ...]] = ("public", "internal", "sensitive")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is made from: the agent that makes it, and the label of what it writes. `agreed` says that people have agreed to it."""

    agent: str = ""
    integrity: Integrity = "untrusted"
    confidentiality: Confidentiality = "sensitive"
    sources: tuple[str, ...] = ()
    agreed: bool = False


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """What a call gave: a text, or what is wrong; and where it came from."""

    text: str = ""
    error: str = ""
    label: Label = _OURS


class _Search(msgspec.Struct, frozen=True):
    query: str = ""
    limit: int = USUALLY_FOUND


class _Named(msgspec.Struct, frozen=True):
    key: str
    text: str = ""
    version: int | None = None


def made_from(call: ToolCall, tool: Tool, seen: Context, approval: Approval | None, *, agent: str) -> Made:
    """Say what a call is made from: by what its model had read, or, where people agreed to it, by what these were shown."""
    if approval is None:
        found = origins(tool, msgspec.json.decode(call.arguments), seen)
        taint, sensitive = seen.taint, seen.sensitive
    else:
        found, taint, sensitive = approval.origins, approval.taint, approval.sensitive
    doubtful = [label for label in found.values() if label.integrity == "untrusted"]
    sources = {*taint, *sensitive, *(source for label in doubtful for source in sources_of(label))}
    # That the model put it together says nothing beside what it had read.
    sources = sources - {MODEL.source} or sources
    return Made(
        agent=agent,
        integrity="untrusted" if taint or doubtful else "trusted",
        confidentiality="sensitive" if sensitive else "internal",
        sources=tuple(sorted(sources)),
        agreed=approval is not None,
    )


def is_written(call: ToolCall) -> bool:
    """Whether a call writes into a memory."""
    return (call.server, call.tool) == (SERVER, WRITE)


class Remembering:
    """The memories of the runs of one application. `settings` gives those of the present configuration, by name."""

    def __init__(self, store: MemoryStore, settings: Callable[[], Mapping[str, MemorySettings]]) -> None:
        self.store = store
        self._settings = settings

    def tools(self, agent: str) -> Sequence[Tool]:
        """Give the tools of all memories, as an agent would have them."""
        known = self._settings().items()
        return [tool for name, settings in known for tool in memory_tools(name, settings, agent, write=True)]

    async def result(self, call: ToolCall, tool: Tool, run: Run, caller: Caller, made: Made, *, now: float) -> Recalled:
        """Do what a call asks for. Raises StoreUnavailable."""
        settings = self._settings().get(tool.memory)
        if settings is None:
            return Recalled(error=f"There is no memory {tool.memory!r} any more.")
        who = person(user=caller.user, caller=caller.id)
        place = MemoryPlace(
            tenant=run.tenant,
            name=tool.memory,
            scope=settings.scope,
            owner={"user": who, "agent": made.agent, "tenant": ""}[settings.scope],
        )
        if tool.name == SEARCH:
            asked = msgspec.json.decode(call.arguments, type=_Search)
            return _found(await self.store.entries(place, now=now), asked, settings, place, who)
        named = msgspec.json.decode(call.arguments, type=_Named)
        if tool.name == READ:
            entry = await self.store.find(place, named.key, now=now)
            if entry is None:
                return Recalled(error=f"There is no entry {named.key!r}.")
            return Recalled(text=_shown(entry), label=_label([entry], settings, place, who))
        try:
            if tool.name == DELETE:
                return await self._delete(call, run, place, named, now)
            if tool.name == WRITE:
                return await self._write(call, run, place, named, _Written(settings, made, who, now))
        except (MemoryChanged, MemoryFull) as error:
            return Recalled(error=error.message)
        except MemoryGuarded as error:
            return Recalled(error=f"{error.message} {_GUARDED}")
        return Recalled(error=f"A memory has no tool {tool.name!r}.")

    async def _delete(self, call: ToolCall, run: Run, place: MemoryPlace, named: _Named, now: float) -> Recalled:
        done = await self.store.remove(place, named.key, call=call.key, run=run.id, now=now, expected=named.version)
        if not done:
            return Recalled(error=f"There is no entry {named.key!r}.")
        log.info("memory.deleted", memory=place.name, scope=place.scope, run=run.id, tenant=run.tenant)
        return Recalled(text=f"Deleted {named.key}.")

    async def _write(self, call: ToolCall, run: Run, place: MemoryPlace, named: _Named, written: _Written) -> Recalled:
        settings, made = written.settings, written.made
        if len(made.sources) > MOST_SOURCES:
            return Recalled(
                error=f"What you have read came from more than {MOST_SOURCES} sources: nothing is written down of it."
            )
        entry = MemoryEntry(
            key=named.key,
            text=named.text,
            integrity=made.integrity,
            confidentiality=made.confidentiality,
            sources=made.sources,
            run=run.id,
            agent=made.agent,
            author=written.author,
            created_at=written.now,
            updated_at=written.now,
            expires_at=None if settings.ttl is None else written.now + settings.ttl,
        )
        if entry.size > settings.limits.entry_bytes:
            return Recalled(
                error=f"An entry has at most {settings.limits.entry_bytes} bytes, and this has {entry.size}."
            )
        kept = await self.store.write(
            place,
            entry,
            call=call.key,
            bounds=MemoryBounds(entries=settings.limits.entries, bytes=settings.limits.bytes),
            expected=named.version,
            guarded=place.scope == "user" and not made.agreed,
        )
        log.info(
            "memory.written",
            memory=place.name,
            scope=place.scope,
            run=run.id,
            tenant=run.tenant,
            version=kept.version,
            integrity=kept.integrity,
        )
        return Recalled(text=f"Kept {named.key} as version {kept.version}.")


class _Written(msgspec.Struct, frozen=True):
    """How an entry is written: by which settings, made from what, by whom and when."""

    settings: MemorySettings
    made: Made
    author: str
    now: float


def _found(
    entries: Sequence[MemoryEntry], asked: _Search, settings: MemorySettings, place: MemoryPlace, who: str
) -> Recalled:
    """Give the entries with most of the words, of equals what was written last; all without words."""
    words = set(asked.query.casefold().split())
    ranked = [(sum(word in f"{entry.key} {entry.text}".casefold() for word in words), entry) for entry in entries]
    fitting = [(count, entry) for count, entry in ranked if count or not words]
    fitting.sort(key=lambda each: -each[0])
    given = [entry for _, entry in fitting[: asked.limit]]
    if not given:
        return Recalled(
            text="No entries." if not entries else f"None of {len(entries)} entries has any of these words."
        )
    head = f"{len(given)} of {len(entries)} entries:"
    return Recalled(text="\n\n".join([head, *map(_shown, given)]), label=_label(given, settings, place, who))


def _shown(entry: MemoryEntry) -> str:
    at = dt.datetime.fromtimestamp(entry.updated_at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"[{entry.key}, version {entry.version}, {at}]\n{entry.text}"


def _label(entries: Iterable[MemoryEntry], settings: MemorySettings, place: MemoryPlace, who: str) -> Label:
    """Give the label of entries that are read together: as little to be trusted as the least of them, and as secret as the most."""
    read = list(entries)
    doubtful = any(_is_doubtful(entry, settings, place, who) for entry in read)
    secrecy: list[Confidentiality] = [settings.gives.confidentiality, *(entry.confidentiality for entry in read)]
    return Label(
        source=memory_source(place.name),
        integrity="untrusted" if doubtful else "trusted",
        confidentiality=max(secrecy, key=_RANK.index),
        sources=tuple(sorted({source for entry in read for source in entry.sources})),
        runs=tuple(dict.fromkeys(entry.run for entry in read))[:MOST_RUNS],
    )


def _is_doubtful(entry: MemoryEntry, settings: MemorySettings, place: MemoryPlace, who: str) -> bool:
    """Whether it was made from what strangers wrote; in a memory that is shared other users are strangers, where the operator does not say otherwise."""
    if entry.integrity == "untrusted":
        return True
    return place.scope != "user" and entry.author != who and settings.gives.integrity == "untrusted"
