"""Asks the model of names about the texts of a call: in a thread, bounded in size and time, each stretch of text once.

A conversation that grows says most of what it said before: what was found in a stretch is kept by a keyed digest of it. The
texts themselves are not kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import structlog

from gateway.config.faults import ConfigError, Fault
from gateway.config.names_files import NamesFault, find_names_files
from gateway.config.names_settings import NamesSettings
from gateway.core.errors import ContentBlocked, InternalError, Unavailable
from gateway.protection.finding import Finding
from gateway.protection.known_names import KnownNames
from gateway.protection.name_spans import windows

if TYPE_CHECKING:
    from gateway.pipeline.named_model import TokenClassifier

log = structlog.get_logger()

_MOST_KEPT: Final = 20_000
_BATCH_TEXTS: Final = 16
# Texts of a batch are padded to its longest. So many places take a small model a fifth of a second: then it is another call's turn.
_BATCH_PLACES: Final = 2_000
_TRY_AGAIN: Final = 30.0


class Names:
    """Finds names by the model of the settings, which is loaded when it is first asked. Raises ConfigError for missing files."""

    def __init__(self, settings: NamesSettings) -> None:
        self._settings = settings
        try:
            self._files = find_names_files(settings)
        except NamesFault as fault:
            path = f"protection.names.{fault.field}".rstrip(".")
            raise ConfigError([Fault(file="", path=path, message=str(fault))]) from fault
        self._model: TokenClassifier | None = None
        self._broken: tuple[float, str] | None = None
        self._loading = anyio.Lock()
        # Calls take turns, a batch at a time.
        self._one_thread = anyio.CapacityLimiter(1)
        self._kept: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        # So that nobody who sees the digests can try texts against them.
        self._key = secrets.token_bytes(32)

    async def find(self, texts: Sequence[str]) -> KnownNames:
        """Give the names in the texts of one call.

        Where the model fails, is late, or there is too much text: what was found so far with `fails: open`, else raises
        ContentBlocked (too much text) or Unavailable.
        """
        room = self._settings.characters
        size = sum(map(len, texts))
        if size > room:
            msg = f"The request has {size} characters of text; names are looked for in {room} at most."
            self._failed(ContentBlocked(msg))
        found: dict[bytes, tuple[Finding, ...]] = {}
        places: list[tuple[str, int, bytes]] = []
        missing: dict[bytes, str] = {}
        for text in texts:
            for start, end in windows(text) if room > 0 else ():
                piece = text[start:end]
                key = self._digest(piece)
                places.append((text, start, key))
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
                elif key not in found:
                    missing[key] = piece
            room -= len(text)
        try:
            with anyio.fail_after(self._settings.timeout):
                await self._look(missing, found)
        except (InternalError, TimeoutError) as error:
            self._failed(error)
        return KnownNames(_by_text(places, found))

    async def verify(self) -> None:
        """Load the model, if it is not loaded. Raises ConfigError where it cannot be used."""
        try:
            await self._loaded()
        except InternalError as error:
            fault = Fault(file=str(self._files.model), path="protection.names.model", message=str(error))
            raise ConfigError([fault]) from error

    def _failed(self, error: ContentBlocked | InternalError | TimeoutError) -> None:
        """Tell what went wrong, and raise what the caller is to hear where nothing may pass then."""
        log.warning("names.failed", reason=str(error) or "late", fails=self._settings.fails)
        if self._settings.fails == "open":
            return
        if isinstance(error, ContentBlocked):
            raise error
        msg = "Names could not be looked for, and nothing passes without that."
        raise Unavailable(msg, retry_after=1) from error

    async def _look(self, pieces: Mapping[bytes, str], found: dict[bytes, tuple[Finding, ...]]) -> None:
        """Find what is in the pieces, and note it batch by batch."""
        for batch in _batches(pieces):
            for key, names in zip(batch, await self._ask([pieces[key] for key in batch]), strict=True):
                found[key] = self._kept[key] = tuple(names)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    async def _ask(self, pieces: Sequence[str]) -> list[list[Finding]]:
        model = await self._loaded()
        # A batch that has begun is awaited: it is short, and a thread cannot be stopped.
        return await anyio.to_thread.run_sync(model.find, pieces, limiter=self._one_thread)

    async def _loaded(self) -> TokenClassifier:
        if self._model is not None:
            return self._model
        async with self._loading:
            if self._model is None:
                if self._broken is not None and anyio.current_time() < self._broken[0]:
                    raise InternalError(self._broken[1])
                try:
                    self._model = await anyio.to_thread.run_sync(self._load, limiter=self._one_thread)
                except InternalError as error:
                    self._broken = (anyio.current_time() + _TRY_AGAIN, error.message)
                    raise
            return self._model

    def _load(self) -> TokenClassifier:
        # numpy, ONNX Runtime and tokenizers are heavy: only those pay who look for names.
        from gateway.pipeline.named_model import TokenClassifier  # noqa: PLC0415

        return TokenClassifier(self._files, threads=self._settings.threads, threshold=self._settings.threshold)

    def _digest(self, piece: str) -> bytes:
        return hashlib.blake2b(piece.encode(errors="surrogatepass"), key=self._key, digest_size=16).digest()


def _batches(pieces: Mapping[bytes, str]) -> Iterator[list[bytes]]:
    """Give what is asked at once: texts of like length together, so that little of a batch is padding."""
    batch: list[bytes] = []
    for key in sorted(pieces, key=lambda key: len(pieces[key])):
        if batch and (len(batch) == _BATCH_TEXTS or len(pieces[key]) * (len(batch) + 1) > _BATCH_PLACES):
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def _by_text(
    keyed: Iterable[tuple[str, int, bytes]], found: Mapping[bytes, tuple[Finding, ...]]
) -> dict[str, list[Finding]]:
    by_text: dict[str, list[Finding]] = {}
    for text, offset, key in keyed:
        for kind, start, end in found.get(key, ()):
            by_text.setdefault(text, []).append(Finding(kind, start + offset, end + offset))
    return by_text
