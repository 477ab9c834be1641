"""POST /v1/route/explain: where a call would go, and why, without going there. It takes the very body that the call would have."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import parse_qsl

from gateway.accounting.limits.estimates import Outputs, estimate
from gateway.api.asgi import Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge
from gateway.api.plain import CALLER, Document, PlainEndpoint, json_document
from gateway.core.call import Call
from gateway.core.decision import Considered
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.core.strict_json import decode_object
from gateway.core.usage import Usage
from gateway.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from gateway.dialects.dialect import Dialect
from gateway.dialects.openai_chat import OPENAI_CHAT
from gateway.dialects.openai_completions import OPENAI_COMPLETIONS
from gateway.dialects.openai_embeddings import OPENAI_EMBEDDINGS
from gateway.dialects.openai_responses import OPENAI_RESPONSES
from gateway.pipeline.authorized import offered
from gateway.pipeline.lookup import find_route
from gateway.pipeline.route import Route
from gateway.routing.condition import Condition
from gateway.routing.ensembles.ensemble import asks_several, foretold
from gateway.routing.rollouts.versions import VersionedPool

PATH = "/v1/route/explain"
APIS: dict[str, Dialect] = {
    "chat": OPENAI_CHAT,
    "completions": OPENAI_COMPLETIONS,
    "embeddings": OPENAI_EMBEDDINGS,
    "messages": ANTHROPIC_MESSAGES,
    "responses": OPENAI_RESPONSES,
}
_NANO = 1_000_000_000


def endpoint(edge: Edge) -> PlainEndpoint:
    """Give the endpoint."""

    async def compute(scope: Scope, receive: Receive) -> Document:
        headers = dict(scope["headers"])
        check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
        dialect = _api(scope)
        body = await read_body(receive, edge.body_bytes)
        fields = decode_object(body, depth=edge.json_depth)
        model = fields.get("model")
        if not isinstance(model, str) or not model:
            msg = "`model` is required and must be a non-empty string."
            raise InvalidRequest(msg, param="model")
        generation, caller = edge.current(), scope[CALLER]
        shown = {
            name: one for name, one in generation.routes.items() if offered(generation.authorizer, caller, one.subject)
        }
        if model in generation.routes and model not in shown:
            msg = f"The model {model[:200]!r} is not yours to use."
            raise Forbidden(msg, param="model")
        route = find_route(shown, model)
        session = headers.get(b"x-session-id")
        call = Call(
            id=edge.new_id("call_"),
            operation=dialect.operation,
            dialect=dialect.name,
            model=model,
            stream=fields.get("stream") is True,
            caller=caller,
            received=edge.clock.monotonic(),
            body=body,
            fields=fields,
            content=dialect.decode_call(fields),
            session=None if session is None else session.decode("latin-1"),
        )
        return json_document(_explained(route, call, edge.clock.monotonic()))

    return PlainEndpoint(edge, compute, methods=("POST",))


def _api(scope: Scope) -> Dialect:
    asked = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("api", "chat")
    if asked not in APIS:
        msg = f"`api` must be one of {', '.join(APIS)}, not {asked[:50]!r}."
        raise InvalidRequest(msg, param="api")
    return APIS[asked]


def _explained(route: Route, call: Call, now: float) -> dict[str, Any]:
    pool = route.pool
    seats, decision = pool.decide(call, now, peek=True)
    decision = foretold(decision, call)
    hedge = (pool.pools[decision.version] if isinstance(pool, VersionedPool) else pool).hedge
    # Who waits for a place, or for several answers, is not waited for twice.
    alone = decision.chosen is not None and not asks_several(decision, call)
    put_in, come_out, _ = estimate(call, route.count_input, Outputs())
    conditions = {seat.name: seat.condition for seat in pool.seats}
    return {
        "object": "route.decision",
        "model": route.model,
        **({"version": decision.version, "shares": dict(pool.shares)} if isinstance(pool, VersionedPool) else {}),
        "strategy": decision.strategy,
        "chosen": decision.chosen,
        "considered": [
            {
                **_considered(one),
                **_state(conditions[one.target], now),
                "cost_usd": _cost(route, one.target, put_in, come_out),
            }
            for one in decision.considered
        ],
        "estimate": {"input_tokens": put_in, "output_tokens": come_out},
        "hedge_after_s": hedge.peek(call, seats, now) if hedge is not None and alone else None,
        "fallbacks": {name: [pool.model for pool in pools] for name, pools in route.helped_by.items() if pools},
    }


def _considered(one: Considered) -> dict[str, Any]:
    score = None if one.score is None or not math.isfinite(one.score) else one.score
    return {"target": one.target, "verdict": one.verdict, "why": one.why, "score": score}


def _state(condition: Condition, now: float) -> dict[str, Any]:
    return {"breaker": condition.breaker.state(now), "in_flight": condition.in_flight, "first_token_s": condition.first}


def _cost(route: Route, target: str, put_in: int, come_out: int) -> float | None:
    nano = route.cost(target, Usage(input=put_in, output=come_out))
    return None if nano is None else nano / _NANO
