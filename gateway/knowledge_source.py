"""Where the knowledge bases in force come from: the folders that the settings name, read and indexed in a thread; one that is the same is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread

from gateway.config import ConfigError, Fault, Settings
from gateway.config.knowledge_documents import knowledge_folder, read_knowledge_folder
from gateway.config.knowledge_settings import KnowledgeSettings
from gateway.core.clock import Clock
from gateway.retrieval.keyword_base import KeywordBase
from gateway.retrieval.library import NO_KNOWLEDGE, Library
from gateway.retrieval.passages import Retriever


class KnowledgeSource:
    """Reads the folders. `config` is the configuration's file: a relative folder counts from where it lies."""

    def __init__(self, config: Path, environ: Mapping[str, str], clock: Clock) -> None:
        self._base = config.absolute().parent
        self._environ = environ
        self._clock = clock

    async def prepare(self, settings: Settings, before: Library) -> Library:
        """Give what `open` gives, without holding up the event loop. Raises ConfigError."""
        if not settings.knowledge:
            return NO_KNOWLEDGE
        return await to_thread.run_sync(self.open, settings, before)

    def open(self, settings: Settings, before: Library = NO_KNOWLEDGE) -> Library:
        """Give the bases that the settings name; those of `before` that have not changed are taken over. Raises ConfigError with all faults."""
        faults: list[Fault] = []
        bases: dict[str, Retriever] = {}
        digests: dict[str, bytes] = {}
        for name, written in settings.knowledge.items():
            try:
                bases[name], digests[name] = self._base_of(name, written, before)
            except ConfigError as error:
                faults += error.faults
        if faults:
            raise ConfigError(faults)
        return Library(settings=settings.knowledge, bases=bases, digests=digests)

    def _base_of(self, name: str, written: KnowledgeSettings, before: Library) -> tuple[Retriever, bytes]:
        folder = knowledge_folder(name, written, base=self._base, environ=self._environ)
        read = read_knowledge_folder(name, written, folder)
        known, settings = before.bases.get(name), before.settings.get(name)
        same = settings is not None and settings.limits == written.limits and before.digests.get(name) == read.digest
        if known is not None and same:
            return known, read.digest
        most = written.limits.passage_bytes
        return KeywordBase(name, read, passage_bytes=most, now=self._clock.wall()), read.digest
