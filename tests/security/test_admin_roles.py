"""Each role can do exactly what the tables of docs/admin.md say: read from the page, tried on every endpoint and method.

Own, foreign, everybody's and absent objects, with bodies that fit, so that what is allowed is done and not only let through.
"""

import re
from pathlib import Path

import msgspec
import pytest

from gateway.api import tool_authorization
from gateway.api.admin import reload_endpoint
from gateway.api.admin_cache import CacheDesk
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.edge import Edge
from gateway.api.identity import Identity
from gateway.api.openapi_admin import shown_path
from gateway.api.tool_authorization import AUTHORIZE_PATH
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.ids import new_id
from tests.security.admin_world import (
    HOME,
    LISTED,
    OTHER,
    THIRD,
    Present,
    admin_world,
    build_template,
    conductor,
    row,
    tools_in,
)

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")
COLUMNS = ("self", "read", "audit", "write", "asked", "approve", "erase")
ROLES = {
    role: {right for right, word in zip(COLUMNS, cells.split("|"), strict=False) if word.strip() == "yes"}
    for role, cells in re.findall(r"^\| `(owner|admin|auditor|approver|member)` \|(.*)\|$", PAGE, flags=re.MULTILINE)
} | {"": set()}
ENDPOINTS = [
    (path, methods, right)
    for paths, methods, right in re.findall(r"^\| (`/admin/.*?) \| (.*?) \| (.*?) \|$", PAGE, flags=re.MULTILINE)
    for path, methods in zip(
        re.findall(r"`(.*?)`", paths), [re.findall(r"[A-Z]{3,}", part) for part in methods.split(";")] * 2, strict=False
    )
]
WORDS = {
    "sees approvals": "asked",
    "answers approvals": "approve",
    "any role": "self",
    "any role: its own usage; read: the tenant's": "self",
    "the same": "self",
}
TENANTS_PATH = "/admin/tenants"
BODIES = {
    "teams": ({"name": "new"}, {"name": "newer"}),
    "users": ({"name": "new"}, {"name": "newer"}),
    "service_accounts": ({"name": "new"}, {"name": "newer"}),
    "keys": ({"name": "new"}, {"name": "newer"}),
    "budgets": ({"name": "new", "limit": 1}, {"limit": 2}),
    "tenants": ({"name": "new"}, {"name": "newer"}),
    "retention": ({"before": "2020-01-01"}, {}),
    "rollouts": ({"action": "share", "share": 5}, {}),
    "models": ({"version": "v2"}, {}),
}
QUERIES = {
    ("DELETE", "/admin/cache"): "?all=true",
    ("DELETE", "/admin/memories/{memory}/entries"): "?key=tea",
}
IN_OWN_NAME = ("/admin/runs/{run}/fork", "/admin/runs/{run}/replay")
"""What is made is of the tenant of who asks, and so has to be what it is made from."""
OF_ALL_TENANTS = {
    "rollouts": "rolled",
    "models": "switched",
    "tools": "docs",
    "prompts": "greeting",
    "knowledge": "handbook",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template) as world:
        yield world


def right_of(method, word):
    """The right that a row of the page asks for: the first of two is for looking, the second for all else."""
    word = WORDS.get(word, word)
    looking, _, doing = word.partition("; ")
    return looking if method == "GET" or not doing else doing


def allowed(role, tenant, method, path, word):
    right = right_of(method, word)
    if right == "the platform's owner":
        return (role, tenant) == ("owner", HOME)
    right, at_home, _ = right.partition(", in the default tenant")
    return right in ROLES[role] and (tenant == HOME or not at_home)


async def own_object(world, path, tenant):
    """Make an object that the path may name, as the tenant's owner would; its id."""
    noun = path.split("/")[2]
    if noun == "tenants":
        return tenant
    if noun == "calls":
        number = new_id("")
        await world.services.ledger.insert([row(0, id=f"call_{number}", tenant=tenant, user=f"user_{tenant}")])
        return f"call_{number}"
    if path.endswith("comparison"):
        return await world.add_replay(tenant)
    if noun in (
        kept := {
            "batches": world.add_batch,
            "shadows": world.add_shadow,
            "cache": world.add_entry,
            "approvals": world.add_approval,
            "runs": world.add_run,
            "incidents": world.add_incident,
            "memories": world.add_memory,
        }
    ):
        return await kept[noun](tenant)
    if path.endswith("accept"):
        return "docs/echo"
    if noun == "triggers":
        return f"of-{tenant}"
    if noun in OF_ALL_TENANTS:
        return OF_ALL_TENANTS[noun]
    body = BODIES[noun][0] | {"name": f"made {new_id('')}", "tenant": tenant}
    answer = await world.ask(("owner", HOME), "POST", f"/admin/{noun}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def body_of(method, path):
    noun = path.split("/")[2]
    if method == "POST" and path.endswith("/batch"):
        return {"answers": [{"id": "mcpr_none", "verdict": "deny"}]}
    if path.endswith("/fork"):
        return {"at": 0}
    if path.endswith("/replay"):
        return {}
    if path.endswith("/edit"):
        return {"arguments": {"replicas": 2}, "version": 1}
    if method == "GET" or noun not in {*BODIES, "tools"} or path.endswith(("rotate", "revoke")):
        return None
    if path.endswith("accept"):
        return {"definition": LISTED.digest}
    if path.endswith("semantic-cache"):
        return {"on": True}
    made, changed = BODIES.get(noun, (None, None))
    return {"POST": made, "PATCH": changed}.get(method)


def test_the_page_names_every_endpoint_with_its_methods():
    edge = edge_of(Identity())
    endpoints = {
        **admin_endpoints(edge, None, rollouts=conductor(SYSTEM_CLOCK), cache=CacheDesk(store=None), tools=tools_in()),
        AUTHORIZE_PATH: tool_authorization.endpoints(edge, None, None)[AUTHORIZE_PATH],
    }
    served = {
        shown_path(path): set(getattr(endpoint, "methods", ("GET",))) - {"HEAD"} for path, endpoint in endpoints.items()
    }
    written = {path: set(methods) for path, methods, _ in ENDPOINTS}

    assert written == served | {"/admin/reload": {"POST"}}
    assert set(ROLES) == {"owner", "admin", "auditor", "approver", "member", ""}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tenant", [HOME, OTHER])
async def test_a_role_does_what_the_page_says_to_its_own_tenants_objects(world, role, tenant):
    for path, methods, word in ENDPOINTS:
        if path == "/admin/reload":
            continue
        for method in methods:
            concrete = path + QUERIES.get((method, path), "")
            if "{" in path:
                concrete = re.sub(r"\{\w+\}", await own_object(world, path, tenant), concrete)
            answer = await world.ask((role, tenant), method, concrete, json=body_of(method, path))

            if not allowed(role, tenant, method, path, word):
                assert answer.status_code == 403, (method, path, answer.text)
            elif (method, path) == ("DELETE", "/admin/tenants/{tenant}"):
                assert answer.status_code == 409, answer.text  # somebody belongs to it
            else:
                assert answer.status_code == 200, (method, path, answer.text)


@pytest.mark.parametrize("role", ROLES)
async def test_only_the_platforms_owner_does_any_of_it_to_another_tenants_objects(world, role):
    for path, methods, word in ENDPOINTS:
        if "{" not in path or path.split("/")[2] in OF_ALL_TENANTS:
            continue
        for method in methods:
            concrete = re.sub(r"\{\w+\}", await own_object(world, path, OTHER), path) + QUERIES.get((method, path), "")
            for tenant in (THIRD, HOME):
                platform = (role, tenant) == ("owner", HOME)
                answer = await world.ask((role, tenant), method, concrete, json=body_of(method, path))

                conflict = (method, path) == ("DELETE", "/admin/tenants/{tenant}")
                expected = (409 if conflict else 403 if path in IN_OWN_NAME else 200) if platform else 404
                if right_of(method, word) == "the platform's owner":
                    # To be refused a right that nobody has in that tenant tells nothing; without `write` it is a 403 anyway.
                    expected = expected if "write" in ROLES[role] else 403
                elif not allowed(role, tenant, method, path, word):
                    expected = 403
                assert answer.status_code == expected, (role, tenant, method, path, answer.text)


async def test_who_may_not_read_usage_sees_its_own_whatever_it_asks_for(world):
    mine, others = f"user_{OTHER}", "user_else"
    await world.services.ledger.insert(
        [row(1, tenant=OTHER, user=mine, team="t"), row(2, tenant=OTHER, user=others, team="t"), row(3, user=mine)]
    )
    for role, rights in ROLES.items():
        if "self" not in rights:
            continue
        for query in ("", f"user={others}", f"user={mine},{others}", "team=t", "by=user"):
            seen = await world.ask((role, OTHER), "GET", f"/admin/calls?{query.replace('by=user', '')}")
            usage = await world.ask((role, OTHER), "GET", f"/admin/usage?{query}")
            ids = {one["id"] for one in seen.json()["data"]}

            if "read" in rights:
                assert ids <= {"call_1", "call_2"}
                assert ids
            else:
                assert ids == {"call_1"}
                assert usage.json()["total"]["calls"] == 1


async def test_a_budget_for_everybody_is_seen_and_changed_by_the_platforms_owner_alone(world):
    made = await world.ask(("owner", HOME), "POST", "/admin/budgets", json={"name": "all", "limit": 1, "tenant": ""})
    path = f"/admin/budgets/{made.json()['id']}"
    for role in ("owner", "admin", "auditor"):
        for tenant in (HOME, OTHER):
            if (role, tenant) == ("owner", HOME):
                continue
            assert (await world.ask((role, tenant), "GET", path)).status_code == 404
            assert "all" not in (await world.ask((role, tenant), "GET", "/admin/budgets")).text
    assert (await world.ask(("owner", OTHER), "DELETE", path)).status_code == 404
    assert (await world.ask(("owner", HOME), "PATCH", path, json={"limit": 2})).status_code == 200


@pytest.mark.parametrize("noun", ["users", "service_accounts"])
async def test_nobody_ends_a_key_that_they_may_not_revoke_by_deleting_its_holder(world, noun):
    """Deleting a user or a service account deletes its keys."""
    owner, admin = ("owner", OTHER), ("admin", OTHER)
    holder = (await world.ask(owner, "POST", f"/admin/{noun}", json={"name": "holder"})).json()["id"]
    body = {"name": "high", "role": "owner", noun.removesuffix("s"): holder}
    key = (await world.ask(owner, "POST", "/admin/keys", json=body)).json()

    assert (await world.ask(admin, "DELETE", f"/admin/{noun}/{holder}")).status_code == 403
    assert (await world.ask(key["key"], "GET", "/admin/whoami")).json()["role"] == "owner"
    await world.ask(owner, "POST", f"/admin/keys/{key['id']}/revoke")
    assert (await world.ask(admin, "DELETE", f"/admin/{noun}/{holder}")).status_code == 200


def edge_of(identity):
    return Edge(
        current=lambda: Present(identity),
        take_record=lambda record: None,
        clock=SYSTEM_CLOCK,
        new_id=new_id,
        body_bytes=1 << 20,
        json_depth=100,
        configuration=dict,
    )


class Reloads(msgspec.Struct):
    """What a reload does here: it is counted."""

    count: int = 0

    async def __call__(self):
        self.count += 1
        return {"status": "applied"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tenant", [HOME, OTHER])
async def test_the_configuration_is_reloaded_by_owners_and_admins_of_the_default_tenant(world, role, tenant):
    reloads = Reloads()
    endpoint = reload_endpoint(edge_of(Identity(ring=world.services.ring)), reloads)
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + world.keys[role, tenant].encode())]
    scope = {"type": "http", "method": "POST", "path": "/admin/reload", "headers": headers, "client": ("127.0.0.1", 1)}
    await endpoint(scope, receive, send)

    may = tenant == HOME and role in ("owner", "admin")
    assert (sent[0]["status"], reloads.count) == ((200, 1) if may else (403, 0))
