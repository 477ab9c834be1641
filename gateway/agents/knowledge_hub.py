"""The hub with one server more, `knowledge`: its tools search and read the knowledge bases in force, for who may read them. Everything else the hub within answers.

A search is made in the bases as they are when it is made, also for a run that began before a reload: content is no part of an agent's version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from gateway.agents.knowledge_counts import KnowledgeCounts
from gateway.agents.knowledge_tools import READ, SEARCH, ReadAsked, SearchAsked, joined, knowledge_tools, readable
from gateway.config.agent_checks import near
from gateway.config.knowledge_settings import MOST_PASSAGES
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.items import Json
from gateway.core.tools import KNOWLEDGE, Tool, ToolOutput
from gateway.policies.authorizer import Authorizer
from gateway.retrieval.library import Library
from gateway.retrieval.passages import Passage, Piece
from gateway.tools.hub import ServerInfo, ToolAsked, ToolWithdrawn
from gateway.tools.server_hub import ServerHub

_NONE: Final = "No passage has any of these words. Ask with other words, such as the text itself would use."
_Asked = TypeVar("_Asked", bound=msgspec.Struct)


class Knowing(Protocol):
    """One generation of the configuration, as this hub sees it."""

    @property
    def knowledge(self) -> Library:
        """Its knowledge bases."""
        ...

    @property
    def authorizer(self) -> Authorizer:
        """What callers may do."""
        ...


class KnowledgeHub:
    """A Hub over another one. `current` gives the present generation; what the other has besides tools is its own."""

    def __init__(
        self, within: ServerHub, current: Callable[[], Knowing], counts: KnowledgeCounts, clock: Clock
    ) -> None:
        self._within = within
        self._current = current
        self._counts = counts
        self._clock = clock
        self.hearers, self.offers, self.changes = within.hearers, within.offers, within.changes

    def servers(self) -> Sequence[ServerInfo]:
        """Give all servers, by name."""
        own = self._info()
        others = self._within.servers()
        return others if own is None else sorted((*others, own), key=lambda info: info.name)

    def server(self, name: str) -> ServerInfo | None:
        """Give one server; without knowledge bases there is none for them."""
        return self._info() if name == KNOWLEDGE else self._within.server(name)

    async def tools(self, server: str) -> Sequence[Tool]:
        """Give the tools of a server. Raises ToolNotReached and NotFound."""
        info = self._info() if server == KNOWLEDGE else None
        return await self._within.tools(server) if info is None else info.tools

    async def call(self, asked: ToolAsked) -> ToolOutput:
        """Call a tool. Raises ToolNotReached, ToolWithdrawn and ToolLost; a search raises ToolWithdrawn alone."""
        if asked.tool.server != KNOWLEDGE:
            return await self._within.call(asked)
        began, outcome = self._clock.monotonic(), "error"
        try:
            output, outcome = await self._answer(asked)
        finally:
            self._counts.take(asked.tool.name, outcome, self._clock.monotonic() - began)
        return output

    async def _answer(self, asked: ToolAsked) -> tuple[ToolOutput, str]:
        now = self._current()
        names = self.bases_for(asked.caller, asked.tool.within or None)
        if asked.tool.name not in (SEARCH, READ) or not names:
            msg = "There is no knowledge base here that the caller may read. Nothing was done."
            raise ToolWithdrawn(msg)
        try:
            if asked.tool.name == SEARCH:
                return await _search(now.knowledge, names, _read(asked.arguments, SearchAsked), asked.tool.within)
            return _piece(now.knowledge, names, _read(asked.arguments, ReadAsked))
        except msgspec.ValidationError as error:
            return ToolOutput(text=f"The arguments are not what the tool takes: {error}", is_error=True), "invalid"

    def bases_for(self, caller: Caller, among: Mapping[str, object] | Sequence[str] | None = None) -> list[str]:
        """Give the names of the bases that a caller may read now, `among` some or all."""
        now = self._current()
        known = now.knowledge.settings
        return readable(sorted(known) if among is None else among, known, caller, now.authorizer)

    def _info(self) -> ServerInfo | None:
        settings = self._current().knowledge.settings
        if not settings:
            return None
        return ServerInfo(name=KNOWLEDGE, kind="knowledge", state="ready", tools=knowledge_tools(settings))


async def _search(
    library: Library, names: Sequence[str], asked: SearchAsked, within: Mapping[str, int]
) -> tuple[ToolOutput, str]:
    wanted = tuple(dict.fromkeys(asked.bases)) if asked.bases else names
    if (wrong := _unknown(wanted, names)) is not None:
        return wrong
    found = await library.search(asked.query, {name: within.get(name, MOST_PASSAGES) for name in wanted}, asked.limit)
    # What a base does not say is known, too: as secret as all that were searched, but only what is shown can give orders.
    shown = {passage.base for passage in found}
    label = joined(_source(shown or wanted), (library.settings[name].gives for name in shown))
    searched = joined("", (library.settings[name].gives for name in wanted))
    return (
        ToolOutput(
            text="\n\n".join(map(_cited, found)) or _NONE,
            structured={"passages": msgspec.to_builtins(found)},
            gives=msgspec.structs.replace(label, confidentiality=searched.confidentiality),
        ),
        "found" if found else "nothing",
    )


def _piece(library: Library, names: Sequence[str], asked: ReadAsked) -> tuple[ToolOutput, str]:
    if (wrong := _unknown((asked.base,), names)) is not None:
        return wrong
    base = library.bases[asked.base]
    gives = joined(_source((asked.base,)), [library.settings[asked.base].gives])
    piece = base.read(asked.file, asked.offset)
    if piece is None:
        # Names of files are content of the base's as well.
        text = f"There is no document {asked.file[:200]!r} in {asked.base!r}{near(asked.file, base.files)}"
        return ToolOutput(text=text, is_error=True, gives=gives), "nothing"
    return ToolOutput(text=_read_out(piece), structured=msgspec.to_builtins(piece), gives=gives), "found"


def _unknown(wanted: Sequence[str], names: Sequence[str]) -> tuple[ToolOutput, str] | None:
    for name in wanted:
        if name not in names:
            text = f"There is no knowledge base {name!r} here{near(name, names)}"
            return ToolOutput(text=text, is_error=True), "invalid"
    return None


def _source(names: Sequence[str] | set[str]) -> str:
    """Give what results come from, as labels and policies name it: the base where it is one."""
    return f"{KNOWLEDGE}/{next(iter(names))}" if len(names) == 1 else f"{KNOWLEDGE}/{SEARCH}"


def _cited(passage: Passage) -> str:
    under = f', under "{" > ".join(passage.headings)}"' if passage.headings else ""
    place = f"lines {passage.first_line}-{passage.last_line}, offset {passage.offset}"
    return f"[{passage.base}: {passage.file}, {place}{under}, sha256 {passage.sha256[:12]}]\n{passage.text}"


def _read_out(piece: Piece) -> str:
    place = f"lines {piece.first_line}-{piece.last_line}"
    end = "" if piece.next_offset is None else f"\n[It goes on at offset {piece.next_offset} of {piece.size}.]"
    return f"[{piece.base}: {piece.file}, {place}, sha256 {piece.sha256[:12]}]\n{piece.text}{end}"


def _read(arguments: dict[str, Json], form: type[_Asked]) -> _Asked:
    return msgspec.convert(arguments, form)
