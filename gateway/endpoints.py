"""Which path is answered by which endpoint, of one application. What the endpoints need is handed in; they do the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from gateway.api import (
    admin,
    batches,
    chat,
    compact,
    completions,
    conversations,
    count_tokens,
    embeddings,
    files,
    health,
    input_tokens,
    kept_responses,
    messages,
    metrics,
    models,
    moderations,
    openapi,
    own_tool_accounts,
    rerank,
    responses,
    route_explain,
    scores,
    tool_authorization,
    triggers,
)
from gateway.api.admin import Reload
from gateway.api.admin_cache import CacheDesk
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.admin_services import Services
from gateway.api.asgi import AsgiApp
from gateway.api.edge import Edge
from gateway.approvals_opening import Approvals
from gateway.batching import Batching
from gateway.cache.opening import SemanticCache
from gateway.cache.scored import ScoredAnswers
from gateway.mcp_opening import Mcp
from gateway.routing.condition import Condition
from gateway.routing.rollouts.conductor import Conductor
from gateway.runs_opening import Runs
from gateway.stores.answers import AnswerStore
from gateway.stores.rollouts import RolloutStore
from gateway.tools.oauth.authorizing import Authorizing
from gateway.tools.server_hub import ServerHub
from gateway.triggers.desk import TriggerDesk


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache shows: the answers it keeps, calls by (model, cache status), and how alike questions are found, if they are."""

    store: AnswerStore
    calls: Callable[[], Mapping[tuple[str, ...], float]]
    semantic: SemanticCache | None
    scored: ScoredAnswers

    @property
    def desk(self) -> CacheDesk:
        """Give it as the admin API takes it."""
        if self.semantic is None:
            return CacheDesk(store=self.store, calls=self.calls)
        return CacheDesk(
            store=self.store, calls=self.calls, semantic=self.semantic.figures, switch=self.semantic.switch
        )


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of an application that its endpoints need.

    `batching`, `runs`, `triggers`, `scores` and `authorizing` are None without what they are kept in.

    `started_at` is in seconds since the epoch, `render` gives the metrics' exposition, `flush` hands on the records that wait.
    """

    edge: Edge
    services: Services
    conditions: Callable[[], Iterable[Condition]]
    rollouts: Conductor
    answered: Answered
    tools: ServerHub
    authorizing: Authorizing | None
    approvals: Approvals
    batching: Batching | None
    runs: Runs | None
    triggers: TriggerDesk | None
    mcp: Mcp
    scores: RolloutStore | None
    started_at: float
    render: Callable[[], bytes]
    flush: Callable[[], None]
    reload: Reload


def endpoints_of(served: Served) -> dict[str, AsgiApp]:
    """Give the endpoints by path; those that serve calls of models come first."""
    edge, runs, audit = served.edge, served.runs, served.services.audit
    batching = served.batching
    run_desk, said = (None, None) if runs is None else (runs.desk, runs.conversations)
    hot: dict[str, AsgiApp] = {
        module.PATH: module.endpoint(edge)
        for module in (chat, messages, embeddings, completions, count_tokens, moderations, rerank)
    }
    hot[responses.PATH] = responses.endpoint(edge, run_desk)
    hot[input_tokens.PATH] = input_tokens.endpoint(edge, run_desk)
    hot[compact.PATH] = compact.endpoint(edge, run_desk)
    return {
        **hot,
        models.LIST_PATH: models.list_endpoint(edge, served.started_at),
        models.ONE_PATH: models.one_endpoint(edge, served.started_at),
        health.HEALTH_PATH: health.health_endpoint(edge),
        health.READY_PATH: health.ready_endpoint(edge),
        metrics.PATH: metrics.endpoint(edge, served.render),
        openapi.JSON_PATH: openapi.json_endpoint(edge),
        openapi.PAGE_PATH: openapi.page_endpoint(edge),
        **kept_responses.endpoints(edge, run_desk, audit),
        **conversations.endpoints(edge, said, audit, most=0 if runs is None else runs.most_items),
        **files.endpoints(edge, None if batching is None else batching.cabinet, audit),
        **batches.endpoints(edge, None if batching is None else batching.desk, audit),
        **served.mcp.endpoints,
        route_explain.PATH: route_explain.endpoint(edge),
        **_administration(served),
        **served.approvals.endpoints,
        triggers.PATH: triggers.endpoint(edge, served.triggers),
        **tool_authorization.endpoints(edge, served.services, served.authorizing),
        **own_tool_accounts.endpoints(edge, served.tools, served.authorizing, audit),
        scores.PATH: scores.endpoint(
            edge, served.services, served.rollouts, served.scores, served.answered.scored, served.flush
        ),
    }


def _administration(served: Served) -> dict[str, AsgiApp]:
    """Give the endpoints of the admin API."""
    watching = served.approvals.watching
    if watching is not None:
        watching = msgspec.structs.replace(watching, triggers=served.triggers)
    return {
        admin.RELOAD_PATH: admin.reload_endpoint(served.edge, served.reload),
        **admin_endpoints(
            *(served.edge, served.services, served.conditions, served.rollouts, served.answered.desk, served.tools),
            *(watching, served.approvals.answers),
        ),
    }
