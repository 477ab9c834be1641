"""The admin API's part of /openapi.json: its requests are the very structs that are read, so the document cannot be wrong.

Answers are described by example fields, as those of the other endpoints are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.api import (
    admin_audit,
    admin_batches,
    admin_budgets,
    admin_cache,
    admin_calls,
    admin_chargeback,
    admin_keys,
    admin_retention,
    admin_rollouts,
    admin_semantic,
    admin_service_accounts,
    admin_shadows,
    admin_targets,
    admin_teams,
    admin_tenants,
    admin_usage,
    admin_users,
    admin_whoami,
)
from gateway.stores.audit_chain import AuditVerdict
from gateway.stores.directory import ServiceAccount, Team, Tenant, User, VirtualKey
from gateway.stores.ledger import LedgerRow
from gateway.stores.shadows import Shadow

TAG = "admin"
Schema = dict[str, Any]
Shape = type[msgspec.Struct]


class AdminOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint. `query` and `body` are what it reads, `example` a body; `answer` is the schema of what it gives.

    `takes` is the body's media type, `media` are the answer's.
    """

    path: str
    method: str
    summary: str
    answer: Schema
    query: Shape | None = None
    body: Shape | None = None
    example: dict[str, Any] | None = None
    takes: str = "application/json"
    media: tuple[str, ...] = ("application/json",)
    tag: str = TAG


def _object(fields: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(fields), "additionalProperties": True}


def _fields(shape: Shape, *without: str) -> dict[str, Schema]:
    """Give the schemas of a record's fields."""
    found: dict[str, Schema] = _inlined(shape)["properties"]
    return {name: schema for name, schema in found.items() if name not in without}


def _list_of(entry: Schema) -> Schema:
    following = {
        "type": ["string", "null"],
        "description": "What to send as `after` for the next page; null at the end.",
    }
    return _object(
        {"object": {"const": "list"}, "data": {"type": "array", "items": entry}, "has_more": _BOOL, "next": following}
    )


def _inlined(shape: Shape) -> Schema:
    """Give a struct's schema with everything that it refers to in its place."""
    (schema,), parts = msgspec.json.schema_components([shape], ref_template="{name}")

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolve({**parts[part["$ref"]], **{name: more for name, more in part.items() if name != "$ref"}})
        return {name: resolve(each) for name, each in part.items()}

    resolved: Schema = resolve(schema)
    return resolved


_TEXT: Schema = {"type": "string"}
_BOOL: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer"}
_MONEY: Schema = {"type": "string", "description": "US dollars, as a decimal text."}
_COMPLETE: Schema = {"type": "boolean", "description": "Whether every call with tokens has a price."}
_DELETED = _object({"object": _TEXT, "id": _TEXT, "deleted": {"const": True}})
_TAGS: Schema = {"type": "object", "additionalProperties": _TEXT}

_TENANT = _object({"object": {"const": "tenant"}, **_fields(Tenant)})
_TEAM = _object({"object": {"const": "team"}, **_fields(Team)})
_USER = _object({"object": {"const": "user"}, **_fields(User)})
_SERVICE = _object({"object": {"const": "service_account"}, **_fields(ServiceAccount)})
_KEY = _object(
    {
        "object": {"const": "key"},
        **_fields(VirtualKey, "digest"),
        "tags": _TAGS,
        "state": {"enum": ["active", "rotating", "replaced", "expired", "revoked"]},
    }
)
_NEW_KEY = _object(
    {**_KEY["properties"], "key": {"type": "string", "description": "The key itself: only in this answer."}}
)
_BUDGET = _object(
    {
        "object": {"const": "budget"},
        "id": _TEXT,
        **_fields(admin_budgets.NewBudget),
        "created_at": {"type": "number"},
        "updated_at": {"type": "number"},
        "version": _COUNT,
    }
)
_SUMS = {name: _MONEY if name == "cost" else _COUNT for name in admin_usage.FIGURES}
_USAGE = _object(
    {
        "object": {"const": "usage"},
        "by": {"type": "array", "items": _TEXT},
        "data": {"type": "array", "items": _object(_SUMS)},
        "total": _object(_SUMS),
    }
)
_BILL_SUMS: dict[str, Schema] = {"calls": _COUNT, "currency": {"const": "USD"}, "cost": _MONEY, "complete": _COMPLETE}
_BILL_LINE = _object(
    {
        **dict.fromkeys(("month", "tenant", "tenant_name", "team", "team_name"), _TEXT),
        **dict.fromkeys(("input_tokens", "output_tokens"), _COUNT),
        **_BILL_SUMS,
    }
)
_BILL = _object(
    {
        "object": {"const": "chargeback"},
        "month": _TEXT,
        "data": {"type": "array", "items": _BILL_LINE},
        "total": _object(_BILL_SUMS),
    }
)
_CALL_FIELDS: dict[str, Schema] = {
    field.name: {} for field in msgspec.structs.fields(LedgerRow) if field.name not in ("cost_nano", "saved_nano")
}
_PERHAPS_MONEY: Schema = {**_MONEY, "type": ["string", "null"]}
_CALL = _object({"object": {"const": "call"}, **_CALL_FIELDS, "cost": _PERHAPS_MONEY, "saved_cost": _PERHAPS_MONEY})
_ONE_CALL = _object(
    {
        **_CALL["properties"],
        "state": {"enum": ["finished", "in_progress"]},
        "decision": {"type": ["object", "null"]},
        "beside": {"type": "array", "items": {"type": "object"}},
        "total_cost": {**_MONEY, "type": ["string", "null"]},
    }
)
_BATCH = _object({"object": {"const": "batch"}, "id": _TEXT, "status": _TEXT, "tenant": _TEXT, "key": _TEXT})
_SHADOW = _object({"object": {"const": "shadow"}, **_fields(Shadow)})
_ENTRY = _object(
    {
        "object": {"const": "audit_entry"},
        "seq": _COUNT,
        "at": {"type": "number"},
        "action": _TEXT,
        "actor": _object({"id": _TEXT, "tenant": _TEXT, "role": _TEXT, "address": _TEXT}),
        "about": _object({"kind": _TEXT, "id": _TEXT, "tenant": _TEXT}),
        "details": _object({}),
        "hash": _TEXT,
    }
)
_VERDICT = _object({"object": {"const": "verdict"}, **_fields(AuditVerdict)})
_CALLER = _object(
    {"object": {"const": "caller"}, "id": _TEXT, "tenant": _TEXT, "role": _TEXT, "rights": {"type": "array"}}
)
_TARGETS = _object(
    {
        "object": {"const": "list"},
        "data": {
            "type": "array",
            "items": _object({"id": _TEXT, "models": {"type": "array"}, "breaker": _TEXT, "in_flight": _COUNT}),
        },
    }
)
_ERASED = _object({"object": {"const": "retention"}, "rows": _COUNT, "dry_run": _BOOL})


def _noun(
    paths: tuple[str, str],
    words: tuple[str, str],
    shapes: tuple[Shape, Shape, Shape],
    example: dict[str, Any],
    one: Schema,
) -> tuple[AdminOperation, ...]:
    """Give the five operations of a noun. `words` are one and many; `shapes` the list's query, a new one, and a change."""
    (many_path, one_path), (word, words_), (query, new, change) = paths, words, shapes
    made = _NEW_KEY if one is _KEY else one
    name = {"name": "new name"}
    return (
        AdminOperation(path=many_path, method="get", summary=f"List {words_}", query=query, answer=_list_of(one)),
        AdminOperation(path=many_path, method="post", summary=f"Make a {word}", body=new, example=example, answer=made),
        AdminOperation(path=one_path, method="get", summary=f"One {word}", answer=one),
        AdminOperation(
            path=one_path, method="patch", summary=f"Change a {word}", body=change, example=name, answer=one
        ),
        AdminOperation(path=one_path, method="delete", summary=f"Delete a {word}", answer=_DELETED),
    )


_ROLLOUT = _object(
    {
        "id": _TEXT, "object": {"const": "rollout"}, "kind": {"enum": ["rollout", "ab", "fixed"]}, "state": _TEXT, "active": _TEXT,
        "shares": {"type": "object", "additionalProperties": {"type": "number"}}, "step": {"type": "integer"}, "why": _TEXT,
    }
)  # fmt: skip

_CACHED = _object({"object": {"const": "cache_entry"}, "id": _TEXT, "tenant": _TEXT, "model": _TEXT, "size": _COUNT})
_CLEARED = _object({"object": {"const": "cache_removal"}, "entries": _COUNT, "dry_run": _BOOL})

OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(path=admin_whoami.PATH, method="get", summary="Who you are here", answer=_CALLER),
    AdminOperation(path=admin_targets.PATH, method="get", summary="How every target is doing", answer=_TARGETS),
    AdminOperation(
        path=admin_rollouts.LIST_PATH, method="get", summary="The models with versions", answer=_list_of(_ROLLOUT)
    ),
    AdminOperation(
        path=admin_rollouts.ONE_PATH, method="get", summary="A rollout or a split, and what the evidence says", answer=_ROLLOUT
    ),
    AdminOperation(
        path=admin_rollouts.ONE_PATH, method="post", summary="Pause, resume, promote, roll back, restart a rollout, or set its share",
        body=admin_rollouts.Steering, example={"action": "pause", "why": "release freeze"}, answer=_ROLLOUT,
    ),
    AdminOperation(
        path=admin_rollouts.VERSION_PATH, method="post", summary="Give one version all calls of its model",
        body=admin_rollouts.Switch, example={"version": "v2"}, answer=_ROLLOUT,
    ),
    AdminOperation(
        path=admin_batches.LIST_PATH, method="get", summary="Batches of all callers", query=admin_batches.BatchQuery,
        answer=_list_of(_BATCH),
    ),
    AdminOperation(path=admin_batches.ONE_PATH, method="get", summary="One batch", answer=_BATCH),
    AdminOperation(path=admin_batches.CANCEL_PATH, method="post", summary="Cancel a batch", answer=_BATCH),
    AdminOperation(
        path=admin_shadows.LIST_PATH, method="get", summary="Comparisons with shadows", query=admin_shadows.ShadowParameters,
        answer=_list_of(_SHADOW),
    ),
    AdminOperation(
        path=admin_shadows.SUMMARY_PATH, method="get", summary="Sums of comparisons with shadows",
        query=admin_shadows.ShadowSummaryParameters, answer=_object({"object": _TEXT, "data": {"type": "array"}}),
    ),
    AdminOperation(path=admin_shadows.ONE_PATH, method="get", summary="Both answers to one call", answer=_SHADOW),
    *_noun(
        (admin_tenants.LIST_PATH, admin_tenants.ONE_PATH), ("tenant", "tenants"),
        (admin_tenants.TenantQuery, admin_tenants.NewTenant, admin_tenants.TenantChange), {"name": "Acme"}, _TENANT,
    ),
    *_noun(
        (admin_teams.LIST_PATH, admin_teams.ONE_PATH), ("team", "teams"),
        (admin_teams.TeamQuery, admin_teams.NewTeam, admin_teams.TeamChange), {"name": "search"}, _TEAM,
    ),
    *_noun(
        (admin_users.LIST_PATH, admin_users.ONE_PATH), ("user", "users"),
        (admin_users.UserQuery, admin_users.NewUser, admin_users.UserChange), {"name": "Ada", "role": "member"}, _USER,
    ),
    *_noun(
        (admin_service_accounts.LIST_PATH, admin_service_accounts.ONE_PATH), ("service account", "service accounts"),
        (
            admin_service_accounts.ServiceAccountQuery,
            admin_service_accounts.NewServiceAccount,
            admin_service_accounts.ServiceAccountChange,
        ),
        {"name": "nightly"}, _SERVICE,
    ),
    *_noun(
        (admin_keys.LIST_PATH, admin_keys.ONE_PATH), ("key", "keys"),
        (admin_keys.KeyQuery, admin_keys.NewKeyBody, admin_keys.KeyChange), {"name": "laptop", "models": ["small"]}, _KEY,
    ),
    AdminOperation(
        path=admin_keys.ROTATE_PATH, method="post", summary="Replace a key, with an overlap", body=admin_keys.Rotation,
        example={"overlap": 3600}, answer=_NEW_KEY,
    ),
    AdminOperation(path=admin_keys.REVOKE_PATH, method="post", summary="End a key at once", answer=_KEY),
    *_noun(
        (admin_budgets.LIST_PATH, admin_budgets.ONE_PATH), ("budget", "budgets"),
        (admin_budgets.BudgetQuery, admin_budgets.NewBudget, admin_budgets.BudgetChange),
        {"name": "monthly", "limit": "100.00"}, _BUDGET,
    ),
    AdminOperation(
        path=admin_usage.USAGE_PATH, method="get", summary="Usage, summed", query=admin_usage.UsageParameters, answer=_USAGE,
        media=("application/json", "text/csv"),
    ),
    AdminOperation(
        path=admin_usage.CALLS_PATH, method="get", summary="Rows of the ledger", query=admin_usage.CallParameters,
        answer=_list_of(_CALL), media=("application/json", "text/csv"),
    ),
    AdminOperation(path=admin_calls.PATH, method="get", summary="One call: where it went, and why", answer=_ONE_CALL),
    AdminOperation(
        path=admin_chargeback.PATH, method="get", summary="What a month cost, by tenant and team",
        query=admin_chargeback.ChargebackParameters, answer=_BILL, media=("application/json", "text/csv"),
    ),
    AdminOperation(
        path=admin_retention.PATH, method="post", summary="Delete rows of the ledger", body=admin_retention.Retention,
        example={"older_than_days": 400, "dry_run": True}, answer=_ERASED,
    ),
    AdminOperation(
        path=admin_audit.LIST_PATH, method="get", summary="The audit log", query=admin_audit.AuditParameters,
        answer=_list_of(_ENTRY),
    ),
    AdminOperation(
        path=admin_audit.EXPORT_PATH, method="get", summary="The audit log as JSON lines",
        query=admin_audit.ExportParameters, answer=_TEXT, media=(admin_audit.JSON_LINES,),
    ),
    AdminOperation(path=admin_cache.LIST_PATH, method="get", summary="What is cached", query=admin_cache.CacheQuery, answer=_list_of(_CACHED)),
    AdminOperation(path=admin_cache.LIST_PATH, method="delete", summary="Remove from the cache", query=admin_cache.CacheRemoval, answer=_CLEARED),
    AdminOperation(path=admin_cache.STATS_PATH, method="get", summary="How the cache does", answer=_object({"object": _TEXT})),
    AdminOperation(path=admin_semantic.PATH, method="post", summary="Switch a semantic cache", body=admin_semantic.SemanticSwitch, example={"on": True}, answer=_object({"on": _BOOL})),
    AdminOperation(path=admin_cache.ONE_PATH, method="get", summary="One cached answer, with its texts", answer=_CACHED),
    AdminOperation(path=admin_audit.VERIFY_PATH, method="post", summary="Whether the audit log is whole", answer=_VERDICT),
)  # fmt: skip


def admin_paths(operations: Iterable[AdminOperation] = OPERATIONS) -> dict[str, dict[str, Any]]:
    """Give what goes under `paths` of the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(shown_path(operation.path), {})[operation.method] = _described(operation)
    return paths


def shown_path(path: str) -> str:
    """Give a path as OpenAPI writes it, which knows no kinds of parameters."""
    return path.replace(":path}", "}")


def _described(operation: AdminOperation) -> dict[str, Any]:
    contents = {
        media: {"schema": _TEXT if media.startswith("text/") else operation.answer} for media in operation.media
    }
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "tags": [operation.tag],
        "responses": {
            "200": {"description": "The answer.", "content": contents},
            "default": {
                "description": "An error.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.body is not None:
        schema = {"required": [], **_inlined(operation.body)}
        content = {operation.takes: {"schema": schema, "example": operation.example}}
        described["requestBody"] = {"required": True, "content": content}
    if parameters := [*_path_parameters(operation.path), *_query_parameters(operation.query)]:
        described["parameters"] = parameters
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in shown_path(path).split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def _query_parameters(query: Shape | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    found = []
    for name, read in _inlined(query)["properties"].items():
        schema = _without_null(read)
        text = schema.pop("description", None)
        found.append({"name": name, "in": "query", "schema": schema} | ({"description": text} if text else {}))
    return found


def _without_null(schema: Schema) -> Schema:
    """Give the schema of what may be written: absence is how a query string says null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {
        name: value for name, value in schema.items() if name != "anyOf" and not (name == "default" and value is None)
    }
    return {**kinds[0], **rest} if len(kinds) == 1 else {**schema}


def _operation_id(operation: AdminOperation) -> str:
    words = shown_path(operation.path).replace("{", "").replace("}", "").strip("/").split("/")
    return "_".join([operation.method, *words])
