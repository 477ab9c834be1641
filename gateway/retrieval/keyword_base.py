"""A knowledge base that is searched by words: a Retriever over a folder that was read. Made once, it never changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec
from anyio import to_thread

from gateway.config.knowledge_settings import KnowledgeFolder
from gateway.retrieval.bm25 import Index
from gateway.retrieval.chunking import Chunk, chunks_of
from gateway.retrieval.passages import Held, Passage, Piece
from gateway.retrieval.words import words

PIECE_BYTES: Final = 16 * 1024
"""Of a document that is read at once."""
LONGEST_QUERY: Final = 2000
"""Characters of a question that are looked at."""
_WEIGHT: Final = 3
"""How often a word of a heading counts."""
_MARKDOWN: Final = frozenset({".md", ".markdown", ".mdx"})


class _Part(msgspec.Struct, frozen=True):
    file: str
    title: str
    chunk: Chunk


class KeywordBase:
    """A Retriever."""

    def __init__(self, name: str, folder: KnowledgeFolder, *, passage_bytes: int, now: float) -> None:
        self._name = name
        self._folder = folder
        self._parts: list[_Part] = []
        self._titles: dict[str, str] = {}
        for file in folder.files.values():
            markdown = PurePosixPath(file.name).suffix.lower() in _MARKDOWN
            chunks = chunks_of(file.text, passage_bytes, markdown=markdown)
            first = next((chunk.headings[0] for chunk in chunks if chunk.headings), "")
            title = self._titles[file.name] = first or PurePosixPath(file.name).stem
            self._parts += [_Part(file.name, title, chunk) for chunk in chunks]
        self._index = Index(_words_of(part) for part in self._parts)
        self.held = Held(
            documents=len(folder.files),
            passages=len(self._parts),
            size=folder.size,
            loaded_at=now,
            digest=folder.digest.hex(),
        )

    @property
    def files(self) -> Sequence[str]:
        """The names of its documents, sorted."""
        return tuple(self._folder.files)

    async def search(self, query: str, limit: int) -> Sequence[Passage]:
        """Give the passages with the question's words, the best first, at most `limit`. Other calls go on meanwhile."""
        return await to_thread.run_sync(self._find, query, limit)

    def _find(self, query: str, limit: int) -> Sequence[Passage]:
        found = self._index.search(words(query[:LONGEST_QUERY]), limit)
        return [self._passage(self._parts[number], score) for number, score in found]

    def read(self, file: str, offset: int) -> Piece | None:
        """Give a document from a character on, None where there is no such document."""
        known = self._folder.files.get(file)
        if known is None:
            return None
        text = known.text
        start = min(max(offset, 0), len(text))
        piece = text[start : start + PIECE_BYTES].encode()[:PIECE_BYTES].decode("utf-8", "ignore")
        end = start + len(piece)
        first = text.count("\n", 0, start) + 1
        return Piece(
            base=self._name,
            file=file,
            title=self._titles[file],
            sha256=known.sha256,
            first_line=first,
            last_line=first + piece.removesuffix("\n").count("\n"),
            offset=start,
            next_offset=end if end < len(text) else None,
            size=len(text),
            text=piece,
        )

    def _passage(self, part: _Part, score: float) -> Passage:
        chunk = part.chunk
        return Passage(
            base=self._name,
            file=part.file,
            title=part.title,
            headings=chunk.headings,
            first_line=chunk.first_line,
            last_line=chunk.last_line,
            offset=chunk.offset,
            sha256=self._folder.files[part.file].sha256,
            score=round(score, 4),
            text=chunk.text,
        )


def _words_of(part: _Part) -> list[str]:
    said = words(" ".join((part.title, *part.chunk.headings)))
    # Headings of the section itself stand in the text already; the file's name says what no heading may say.
    return words(part.chunk.text) + said * (_WEIGHT - 1) + words(part.file)
