"""Vectors on a Qdrant server, shared by replicas.

One that is stopped, slow or absent soon costs nothing: after a few failures it is not asked, until it answers a probe. What is to be
kept waits meanwhile, a bounded number of entries.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

import anyio
import structlog
from httpx import HTTPError
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from gateway.config.cache_settings import QdrantSettings
from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.stores.patience import Patience
from gateway.stores.vectors import Match, Vector

log = structlog.get_logger()

MOST_FAILURES: Final = 3
PROBE_SECONDS: Final = 0.5
MOST_WAITING: Final = 10_000
TIDY_SECONDS: Final = 600.0
_AT_ONCE: Final = 100
_WRITE_SECONDS: Final = 5.0
_WITHIN: Final = ("tenant", "partition")
_NOT_FOUND: Final = 404
# The client raises its own errors, httpx's, and for answers of another form whatever reading them raises.
_FAULTS: Final = (ApiException, HTTPError, OSError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)

_T = TypeVar("_T")
Connect = Callable[[], AsyncQdrantClient]


class _Kept(tuple[str, Vector, str, str, float]):
    """Entry, vector, tenant, partition, until."""

    __slots__ = ()


class _Removed(tuple[str, ...]):
    """Entries."""

    __slots__ = ()


class QdrantVectors:
    """A `VectorIndex` on a server. `name` begins the names of its collections, one for each number of dimensions; `run` must be running."""

    def __init__(self, connect: Connect, *, name: str, timeout: float, clock: Clock) -> None:
        self._connect = connect
        self._name = name
        self._timeout = timeout
        self._clock = clock
        self._client: AsyncQdrantClient | None = None
        self._ready: set[str] = set()
        self._waiting: deque[_Kept | _Removed] = deque(maxlen=MOST_WAITING)
        self._woken = anyio.Event()
        self._failures = 0
        self._kept = 0
        self.up = True
        self.losses = 0

    @property
    def size(self) -> int:
        """How many vectors this process has kept there."""
        return self._kept

    async def find(self, vector: Vector, *, tenant: str, partition: str, most: int) -> tuple[Match, ...]:
        """Give the nearest entries of this partition, the nearest first. Raises StoreUnavailable."""
        if not self.up:
            msg = "Qdrant is not asked until it answers again."
            raise StoreUnavailable(msg)
        numbers = _numbers(vector)
        within = q.Filter(must=[_is("tenant", tenant), _is("partition", partition)])

        async def ask(client: AsyncQdrantClient) -> tuple[Match, ...]:
            collection = await self._collection(client, len(numbers))
            said = await client.query_points(
                collection, query=numbers, query_filter=within, limit=most, with_payload=True
            )
            return tuple([_match(point) for point in said.points])

        found = await self._ask(ask, self._timeout)
        # The server was told; whatever it says, nothing of anybody else gets out of here.
        return tuple([match for match in found if match.tenant == tenant and match.partition == partition])

    def keep(self, entry: str, vector: Vector, *, tenant: str, partition: str, until: float) -> None:
        """Keep a vector, a little later. While Qdrant is away the newest wait for it."""
        self._waiting.append(_Kept((entry, vector, tenant, partition, until)))
        self._woken.set()

    def remove(self, entries: Sequence[str]) -> None:
        """Forget entries, a little later."""
        if entries:
            self._waiting.append(_Removed(entries))
            self._woken.set()

    async def run(self) -> None:
        """Write, probe and tidy up, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tidy)
            while True:
                if not self.up:
                    await anyio.sleep(PROBE_SECONDS)
                    await self._probe()
                elif self._waiting:
                    await self._write()
                else:
                    self._woken = anyio.Event()
                    await self._woken.wait()

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, ask: Callable[[AsyncQdrantClient], Awaitable[_T]], seconds: float) -> _T:
        """Ask once, within this time. Raises StoreUnavailable."""
        try:
            with Patience(seconds):
                if self._client is None:
                    self._client = self._connect()
                said = await ask(self._client)
        except _FAULTS as error:
            if isinstance(error, UnexpectedResponse) and error.status_code == _NOT_FOUND:
                # Somebody has removed the collection: the next to keep something makes it again.
                self._ready.clear()
            await self._fail(error)
            msg = f"Qdrant could not be asked ({type(error).__name__})."
            raise StoreUnavailable(msg) from error
        self._failures = 0
        return said

    async def _fail(self, error: Exception) -> None:
        self._failures += 1
        if self._failures < MOST_FAILURES or not self.up:
            return
        self.up = False
        self.losses += 1
        self._woken.set()
        log.warning("qdrant.lost", error=type(error).__name__)
        await self._drop()

    async def _drop(self) -> None:
        """Leave the client that had failures: a pool in which many calls were cancelled is not trusted any more."""
        client, self._client = self._client, None
        if client is None:
            return
        with anyio.move_on_after(1, shield=True):
            try:
                await client.close()
            except _FAULTS:
                log.info("qdrant.close_failed")

    async def _probe(self) -> None:
        async def ask(client: AsyncQdrantClient) -> None:
            await client.get_collections()

        try:
            await self._ask(ask, max(self._timeout, 1.0))
        except StoreUnavailable:
            await self._drop()
            return
        self.up = True
        log.info("qdrant.found")

    async def _write(self) -> None:
        """Write what waits first, as many of a kind as can go at once. What could not be written waits on."""
        kind, batch = type(self._waiting[0]), list[Any]()
        while self._waiting and type(self._waiting[0]) is kind and len(batch) < _AT_ONCE:
            batch.append(self._waiting.popleft())

        async def put(client: AsyncQdrantClient) -> None:
            by_size: dict[int, list[q.PointStruct]] = {}
            for entry, vector, tenant, partition, until in batch:
                payload = {"entry": entry, "tenant": tenant, "partition": partition, "until": until}
                point = q.PointStruct(id=_point(entry), vector=_numbers(vector), payload=payload)
                by_size.setdefault(len(vector) // 4, []).append(point)
            for size, points in by_size.items():
                await client.upsert(await self._collection(client, size), points=points, wait=False)

        async def take_out(client: AsyncQdrantClient) -> None:
            gone: list[Any] = [_point(entry) for entries in batch for entry in entries]
            for collection in self._ready:
                await client.delete(collection, points_selector=q.PointIdsList(points=gone), wait=False)

        try:
            await self._ask(put if kind is _Kept else take_out, _WRITE_SECONDS)
        except StoreUnavailable:
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(batch[-room:] if room else []))
            await anyio.sleep(PROBE_SECONDS)
            return
        self._kept += len(batch) if kind is _Kept else 0

    async def _tidy(self) -> None:
        """Remove what nobody needs any more."""
        while True:
            await anyio.sleep(TIDY_SECONDS)
            if self.up:
                await self.tidy()

    async def tidy(self) -> None:
        """Remove what nobody needs any more, now."""
        over = q.Filter(must=[q.FieldCondition(key="until", range=q.Range(lt=self._clock.wall()))])

        async def ask(client: AsyncQdrantClient) -> None:
            for collection in self._ready:
                await client.delete(collection, points_selector=q.FilterSelector(filter=over), wait=False)

        try:
            await self._ask(ask, _WRITE_SECONDS)
        except StoreUnavailable:
            log.info("qdrant.tidy_failed")

    async def _collection(self, client: AsyncQdrantClient, size: int) -> str:
        """Give the name of the collection for vectors of this size. Makes it where it is missing."""
        name = f"{self._name}_{size}"
        if name in self._ready:
            return name
        if not await client.collection_exists(name):
            try:
                await client.create_collection(
                    name,
                    vectors_config=q.VectorParams(size=size, distance=q.Distance.COSINE),
                    # Every search stays within one partition: a graph for each, none over all (Qdrant's guide to multitenancy).
                    hnsw_config=q.HnswConfigDiff(m=0, payload_m=16),
                )
            except UnexpectedResponse:
                # Another replica was quicker.
                if not await client.collection_exists(name):
                    raise
            for field in _WITHIN:
                schema = q.KeywordIndexParams(type=q.KeywordIndexType.KEYWORD, is_tenant=field == "partition")
                await client.create_payload_index(name, field_name=field, field_schema=schema)
            await client.create_payload_index(name, field_name="until", field_schema=q.PayloadSchemaType.FLOAT)
        self._ready.add(name)
        return name


def collection_name(beginning: str, model: str) -> str:
    """Give the beginning of collections' names for an embedding model: vectors of two models have nothing to do with each other."""
    told = re.sub(r"[^A-Za-z0-9]+", "_", model)[:40].strip("_")
    return f"{beginning}_{told}_{sha256(model.encode()).hexdigest()[:8]}"


def open_qdrant(settings: QdrantSettings, *, model: str, clock: Clock) -> QdrantVectors:
    """Give the index of vectors that this embedding model makes. It connects when it is first asked."""
    seconds = int(_WRITE_SECONDS) + 1

    def connect() -> AsyncQdrantClient:
        key = None if settings.api_key is None else settings.api_key.reveal()
        return AsyncQdrantClient(url=settings.url, api_key=key, timeout=seconds, check_compatibility=False)

    return QdrantVectors(
        connect, name=collection_name(settings.collection, model), timeout=settings.timeout, clock=clock
    )


def _is(field: str, value: str) -> q.FieldCondition:
    return q.FieldCondition(key=field, match=q.MatchValue(value=value))


def _point(entry: str) -> str:
    """Qdrant's ids are numbers or UUIDs."""
    return str(UUID(bytes=sha256(entry.encode()).digest()[:16]))


def _numbers(vector: Vector) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))


def _match(point: q.ScoredPoint) -> Match:
    payload = point.payload or {}
    return Match(
        entry=str(payload["entry"]),
        tenant=str(payload["tenant"]),
        partition=str(payload["partition"]),
        similarity=min(1.0, float(point.score)),
    )
