"""POST /v1/calls/{id}/scores: what a caller, or somebody who judges answers, says of one call. GET lists what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from anyio import sleep
from msgspec import Meta

from gateway.api.admin_rights import sees
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import END, MAX_BODY, Body, Text, decode_body
from gateway.api.asgi import Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge
from gateway.api.plain import CALLER, Document, PlainEndpoint, json_document
from gateway.cache.recent_hits import RecentHit
from gateway.cache.scored import ScoredAnswers
from gateway.core.caller import Caller
from gateway.core.errors import Conflict, NotFound
from gateway.core.rights import rights_of
from gateway.routing.rollouts.conductor import Conductor, Recent
from gateway.stores.ledger import RowQuery
from gateway.stores.rollouts import RolloutStore, Score

PATH = "/v1/calls/{call}/scores"
TAG = "scores"
_DEPTH = 5
MOST_SCORES = 20
"""Scores that one call can have."""
ENDING_SECONDS = 1.0
"""For which a score waits for its call to end: who has read the answer may be faster than the record of it."""

_LOOKS = 50


class NewScore(Body, frozen=True, kw_only=True):
    """A score. true is 1, false is 0."""

    name: Annotated[str, Meta(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}{END}", description="What is judged.")]
    value: bool | Annotated[float, Meta(ge=0, le=1)]
    comment: Annotated[Text, Meta(description="For people; it is kept where there is a database.")] = ""


def endpoint(
    edge: Edge,
    services: Services,
    conductor: Conductor,
    store: RolloutStore | None,
    cache: ScoredAnswers | None = None,
    hand_on: Callable[[], None] = lambda: None,
) -> PlainEndpoint:
    """Give the endpoint. Without a store scores of recent calls count, and are not kept. `hand_on` hands on the records that wait."""
    scores = _Scores(edge, services, conductor, store, cache, hand_on)

    async def compute(scope: Scope, receive: Receive) -> Document:
        identifier = scope["path_params"]["call"][:200]
        found = await scores.find(identifier, scope[CALLER])
        if scope["method"] != "POST":
            return await scores.list(identifier)
        headers = dict(scope["headers"])
        check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
        body = decode_body(await read_body(receive, min(MAX_BODY, edge.body_bytes)), NewScore, depth=_DEPTH)
        return await scores.add(identifier, found, body, scope[CALLER])

    return PlainEndpoint(edge, compute, methods=("POST", "GET", "HEAD"))


class _Scores:
    def __init__(
        self,
        edge: Edge,
        services: Services,
        conductor: Conductor,
        store: RolloutStore | None,
        cache: ScoredAnswers | None,
        hand_on: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._clock = edge.clock
        self._in_progress = edge.in_progress
        self._ledger = services.ledger
        self._write_ledger = services.write_ledger
        self._conductor = conductor
        self._store = store
        self._hand_on = hand_on

    async def find(self, call: str, caller: Caller) -> Recent:
        """Give a call of this caller's, or any that an administrator sees. Raises NotFound, for others' calls too."""
        await self._end(call)
        found = await self._look_up(call)
        if found is None or not _may_score(caller, found):
            msg = "There is no such call of yours here. Its id is the header x-switchgear-call-id."
            raise NotFound(msg)
        return found

    async def _end(self, call: str) -> None:
        """Wait a moment for a call that is in progress, and see to it that those that ended just now are known."""
        for _ in range(_LOOKS):
            if not any(one.call is not None and one.call.id == call for one in self._in_progress.values()):
                break
            await sleep(ENDING_SECONDS / _LOOKS)
        self._hand_on()

    async def _look_up(self, call: str) -> Recent | None:
        recent = self._conductor.recent.get(call)
        if recent is not None:
            return recent
        hit = None if self._cache is None else self._cache.hits.find(call)
        if hit is not None:
            return _recent(hit)
        found = await self._in_ledger(call)
        if found is None and self._write_ledger is not None:
            # Its row may be waiting for others.
            await self._write_ledger()
            found = await self._in_ledger(call)
        return found

    async def _in_ledger(self, call: str) -> Recent | None:
        if self._ledger is None:
            return None
        rows = (await self._ledger.find_rows(RowQuery(ids=(call,), limit=1))).rows
        if not rows:
            return None
        row = rows[0]
        return Recent(
            caller=row.key,
            tenant=row.tenant,
            model=row.model,
            version="" if row.decision is None else row.decision.version,
            started_at=row.started_at,
        )

    async def add(self, call: str, found: Recent, body: NewScore, caller: Caller) -> Document:
        score = Score(
            call=call,
            name=body.name,
            value=float(body.value),
            comment=body.comment,
            caller=caller.id,
            tenant=found.tenant,
            model=found.model,
            version=found.version,
            at=self._clock.wall(),
        )
        kept = () if self._store is None else await self._store.scores(call)
        if len(kept) >= MOST_SCORES and score.name not in {one.name for one in kept}:
            msg = f"A call has at most {MOST_SCORES} scores."
            raise Conflict(msg)
        if self._store is None:
            standing = self._conductor.score_once(call, score)
        else:
            standing = None if await self._store.add_score(score) else _named(await self._store.scores(call), score)
        if standing is not None:
            return await self._better(standing, score)
        if found.version:
            self._conductor.score(found.model, found.version, body.name, score.value, at=found.started_at)
        evicted = "" if self._cache is None else await self._cache.scored(call, score.value)
        shown = _shown(score)
        return json_document({**shown, "evicted": evicted} if evicted else shown, status=201)

    async def _better(self, standing: Score, score: Score) -> Document:
        """Somebody says something else of a call than before: what is counted stays, but a bad answer goes. Raises Conflict where none does."""
        evicted = "" if self._cache is None else await self._cache.thought_better(score.call, score.value)
        if not evicted:
            msg = f"This call has a score named {score.name!r} already."
            raise Conflict(msg, param="name")
        return json_document({**_shown(standing), "evicted": evicted})

    async def list(self, call: str) -> Document:
        scores = () if self._store is None else await self._store.scores(call)
        return json_document({"object": "list", "data": [_shown(score) for score in scores]})


def _may_score(caller: Caller, found: Recent) -> bool:
    if caller.id == found.caller and caller.tenant == found.tenant:
        return True
    return "write" in rights_of(caller.role) and sees(caller, found.tenant)


def _named(scores: Sequence[Score], score: Score) -> Score:
    return next((one for one in scores if one.name == score.name), score)


def _recent(hit: RecentHit) -> Recent:
    model, _, version = hit.model.partition("@")
    return Recent(caller=hit.caller, tenant=hit.tenant, model=model, version=version, started_at=hit.at)


def _shown(score: Score) -> dict[str, Any]:
    fields = msgspec.to_builtins(score)
    return {
        "object": "call.score",
        **{name: fields[name] for name in ("call", "name", "value", "comment", "model", "version", "at")},
    }
