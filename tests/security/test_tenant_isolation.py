"""A tenant does not know of another: no read, no change, and no telling whether something is there. Nor does anybody rise.

Every route of the admin API is asked with every role and every id of a foreign tenant; routes come from the API itself, so a
new one is asked too.
"""

import itertools
import json

import pytest

from gateway.api.openapi_admin import OPERATIONS
from gateway.core.rights import RIGHTS, rights_of
from tests.security.admin_world import HOME, OTHER, THIRD, admin_world, build_template, row

ROLES = (*RIGHTS, "")
NOUNS = ("tenants", "teams", "users", "service_accounts", "keys", "budgets")
KEPT = ("calls", "batches", "shadows", "cache")
"""What the API does not make."""
PLATFORM = {("tenants", "post"), ("targets", "get"), ("rollouts", "get"), ("rollouts", "post"), ("models", "post")}
"""New tenants, how targets are doing, and which version of a model has its calls are the default tenant's business."""
PLATFORM_PATHS = {"/admin/cache/stats"}
QUERIES = {("delete", "/admin/cache"): "?all=true"}
ABSENT = "absent_0123456789abcdef"
ONE = [operation for operation in OPERATIONS if "{" in operation.path]
TENANT_RIGHT = {
    "/admin/whoami": "self", "/admin/usage": "self", "/admin/calls": "self", "/admin/calls/{call}": "self", "/admin/retention": "erase",
    "/admin/audit": "audit", "/admin/audit/export": "audit", "/admin/audit/verify": "audit",
    "/admin/cache/{entry}": "write",
}  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template) as world:
        yield world


@pytest.fixture
async def theirs(world):
    """Ids of objects of another tenant, by noun."""
    owner = ("owner", OTHER)
    found = {"tenants": OTHER, "users": f"user_{OTHER}"}
    for noun, body in {
        "teams": {"name": "secret team"},
        "service_accounts": {"name": "secret service"},
        "keys": {"name": "secret key"},
        "budgets": {"name": "secret budget", "limit": 1},
    }.items():
        answer = await world.ask(owner, "POST", f"/admin/{noun}", json=body)
        assert answer.status_code == 200, answer.text
        found[noun] = answer.json()["id"]
    await world.services.ledger.insert([row(1, tenant=OTHER, user=f"user_{OTHER}", model="secret-model")])
    kept = {"calls": "call_1", "batches": await world.add_batch(OTHER), "shadows": await world.add_shadow(OTHER)}
    kept["cache"] = await world.add_entry(OTHER, question="secret question", tags=("secret=tag",))
    return found | kept | {"rollouts": "rolled", "models": "switched"}


def noun_of(path):
    return path.split("/")[2]


def seen(answer):
    """All that a client can tell of an answer."""
    return answer.status_code, dict(answer.headers), answer.content


def right_of(operation):
    return TENANT_RIGHT.get(operation.path) or ("read" if operation.method == "get" else "write")


@pytest.mark.parametrize("operation", ONE, ids=lambda one: f"{one.method} {one.path}")
async def test_a_foreign_object_is_to_the_byte_what_an_absent_one_is(world, theirs, operation):
    """Whatever is sent: a body that fits, one that does not, or none."""
    parameter, noun = operation.path.split("/")[3], noun_of(operation.path)
    paths = [operation.path.replace(parameter, one) for one in (theirs[noun], ABSENT)]
    bodies = ({}, {"json": operation.example or {}}, {"json": {"unknown": 1}}, {"content": b"{"})
    for role, body in itertools.product(("owner", "admin", "auditor"), bodies):
        foreign, absent = [await world.ask((role, THIRD), operation.method.upper(), path, **body) for path in paths]

        assert seen(foreign) == seen(absent)
        platform = (noun, operation.method) in PLATFORM
        assert foreign.status_code == (404 if right_of(operation) in rights_of(role) and not platform else 403)


async def test_every_kind_of_object_was_reached_for():
    assert {noun_of(operation.path) for operation in ONE} == {*NOUNS, *KEPT, "rollouts", "models"}


IDS = ["..", "%2e%2e", "a%2fb", "a%00b", "a'--", "x" * 500, "%F0%9F%92%A9", "%ff", "*", "a b"]


@pytest.mark.parametrize("noun", [*NOUNS, *KEPT])
async def test_an_id_of_any_form_is_an_absent_object(world, noun):
    statuses = {ident: (await world.ask(("owner", HOME), "GET", f"/admin/{noun}/{ident}")).status_code for ident in IDS}

    assert statuses == dict.fromkeys(IDS, 404)


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_list_holds_nothing_of_another_tenant(world, theirs, noun):
    for role in ("owner", "admin", "auditor"):
        answer = await world.ask((role, THIRD), "GET", f"/admin/{noun}?limit=1000")

        assert answer.status_code == 200
        assert theirs[noun] not in answer.text
        assert OTHER not in answer.text
        assert {entry.get("tenant", entry["id"]) for entry in answer.json()["data"]} <= {THIRD}


@pytest.mark.parametrize(
    "path",
    ["/admin/teams", "/admin/usage", "/admin/calls", "/admin/chargeback", "/admin/audit", "/admin/audit/export"],
)
async def test_naming_a_foreign_tenant_is_naming_one_that_is_not_there(world, theirs, path):
    foreign, absent = [await world.ask(("owner", THIRD), "GET", f"{path}?tenant={one}") for one in (OTHER, "tenant_q")]

    assert seen(foreign) == seen(absent)
    assert foreign.status_code == 404


@pytest.mark.parametrize("noun", ["teams", "users", "service_accounts", "keys", "budgets"])
async def test_nothing_can_be_made_in_a_foreign_tenant(world, theirs, noun):
    body = {"name": "mine", **({"limit": 1} if noun == "budgets" else {})}
    foreign, absent, everybody = [
        await world.ask(("owner", THIRD), "POST", f"/admin/{noun}", json={**body, "tenant": one})
        for one in (OTHER, "tenant_q", HOME)
    ]

    assert seen(foreign) == seen(absent) == seen(everybody)
    assert foreign.status_code == 404


async def test_a_budget_for_everybody_is_the_platforms_to_make(world):
    body = {"name": "all", "limit": 1, "tenant": ""}

    assert (await world.ask(("owner", THIRD), "POST", "/admin/budgets", json=body)).status_code == 404
    assert (await world.ask(("admin", HOME), "POST", "/admin/budgets", json=body)).status_code == 404
    assert (await world.ask(("owner", HOME), "POST", "/admin/budgets", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("noun", "field", "source"),
    [
        ("users", "team", "teams"),
        ("service_accounts", "team", "teams"),
        ("keys", "team", "teams"),
        ("keys", "user", "users"),
        ("keys", "service_account", "service_accounts"),
    ],
)
async def test_a_foreign_object_cannot_be_referred_to(world, theirs, noun, field, source):
    """Nor does the refusal tell that it is there: it is that of an absent one, but for the id that was sent."""
    foreign_id = theirs[source]
    answers = [
        await world.ask(("owner", THIRD), "POST", f"/admin/{noun}", json={"name": "mine", field: one})
        for one in (foreign_id, "z" * len(foreign_id))
    ]

    status, headers, content = seen(answers[1])
    assert seen(answers[0]) == (status, headers, content.replace(b"z" * len(foreign_id), foreign_id.encode()))
    assert status == 400


async def test_a_name_that_a_foreign_tenant_uses_is_free(world, theirs):
    for noun, name in (("teams", "secret team"), ("service_accounts", "secret service"), ("budgets", "secret budget")):
        body = {"name": name, **({"limit": 1} if noun == "budgets" else {})}
        assert (await world.ask(("owner", THIRD), "POST", f"/admin/{noun}", json=body)).status_code == 200


async def test_usage_calls_and_audit_hold_nothing_of_another_tenant(world, theirs):
    for role, path in itertools.product(
        ("owner", "admin", "auditor"), ("usage?by=tenant,model", "calls", "audit?limit=499")
    ):
        answer = await world.ask((role, THIRD), "GET", f"/admin/{path}")
        assert answer.status_code == 200
        assert "secret" not in answer.text
        assert OTHER not in answer.text
    export = await world.ask(("auditor", THIRD), "GET", "/admin/audit/export")
    assert "secret" not in export.text
    assert OTHER not in export.text


async def test_an_owner_deletes_rows_of_its_own_tenant_only(world, theirs):
    for body in ({"user": f"user_{OTHER}"}, {"before": "2100-01-01"}, {"user": f"user_{OTHER}", "dry_run": True}):
        answer = await world.ask(("owner", THIRD), "POST", "/admin/retention", json=body)
        assert answer.json()["rows"] == 0
    foreign, absent = [
        await world.ask(("owner", THIRD), "POST", "/admin/retention", json={"tenant": one})
        for one in (OTHER, "tenant_q")
    ]
    assert seen(foreign) == seen(absent)
    assert (await world.ask(("owner", HOME), "GET", "/admin/usage")).json()["total"]["calls"] == 1


async def test_only_owners_of_the_default_tenant_see_all(world, theirs):
    seeing = [
        (role, tenant)
        for role, tenant in itertools.product(RIGHTS, (HOME, OTHER, THIRD))
        if (await world.ask((role, tenant), "GET", f"/admin/keys/{theirs['keys']}")).status_code == 200
    ]

    assert seeing == [("owner", HOME), ("owner", OTHER), ("admin", OTHER), ("auditor", OTHER)]


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_what_the_table_says_and_nothing_else(world, role):
    for operation in OPERATIONS:
        path = operation.path.replace(operation.path.split("/")[3], ABSENT) if "{" in operation.path else operation.path
        path += QUERIES.get((operation.method, operation.path), "")
        answer = await world.ask((role, OTHER), operation.method.upper(), path, json=operation.example)

        allowed = right_of(operation) in rights_of(role)
        platform = (noun_of(operation.path), operation.method) in PLATFORM or operation.path in PLATFORM_PATHS
        if allowed and not platform:
            assert answer.status_code in (200, 404), (operation.path, answer.text)
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), operation.path


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sk-sg-wrong"}, {"x-api-key": "x"}])
async def test_without_a_known_key_everything_is_closed(world, headers):
    for operation in OPERATIONS:
        path = operation.path.replace("{", "").replace("}", "")
        answer = await world.http.request(operation.method.upper(), path, headers=headers, json=operation.example)

        # After some guesses from one address, it is told to wait.
        assert answer.status_code in (401, 429)


@pytest.mark.parametrize("giver", RIGHTS)
async def test_nobody_makes_a_key_or_user_with_rights_of_which_they_lack_one(world, giver):
    for noun, given in itertools.product(("keys", "users"), RIGHTS):
        answer = await world.ask((giver, OTHER), "POST", f"/admin/{noun}", json={"name": "new", "role": given})

        may = "write" in rights_of(giver) and rights_of(given) <= rights_of(giver)
        assert answer.status_code == (200 if may else 403)


@pytest.mark.parametrize("target", ["owner", "approver"])
async def test_an_admin_neither_takes_over_nor_changes_who_has_other_rights(world, target):
    """A rotated key is shown to who rotates it; a changed subject lets somebody else log in."""
    admin = ("admin", OTHER)
    record = await world.add_key("target", role=target, tenant=OTHER)
    user = (await world.ask(("owner", OTHER), "POST", "/admin/users", json={"name": "Boss", "role": target})).json()
    own = (await world.ask(admin, "GET", "/admin/whoami")).json()["id"]
    tries = [
        ("POST", f"/admin/keys/{record.id}/rotate", {}),
        ("POST", f"/admin/keys/{record.id}/revoke", None),
        ("PATCH", f"/admin/keys/{record.id}", {"name": "x"}),
        ("DELETE", f"/admin/keys/{record.id}", None),
        ("PATCH", f"/admin/users/{user['id']}", {"subject": "me"}),
        ("DELETE", f"/admin/users/{user['id']}", None),
        ("PATCH", f"/admin/keys/{own}", {"role": target}),
        ("PATCH", "/admin/users/user_tenant_b", {"role": target}),
    ]

    assert [(await world.ask(admin, method, path, json=body)).status_code for method, path, body in tries] == [403] * 8
    assert (await world.ask("target", "GET", "/admin/whoami")).json()["role"] == target


async def test_a_key_with_some_models_hands_on_no_others(world):
    await world.add_key("narrow", role="owner", tenant=OTHER, models=("local-*",), tools=("search",))
    wide = (await world.ask(("owner", OTHER), "POST", "/admin/keys", json={"name": "wide"})).json()

    async def status(method, path, body):
        return (await world.ask("narrow", method, path, json=body)).status_code

    fitting = {"name": "n", "models": ["local-a", "local-b*"], "tools": ["search"]}
    assert await status("POST", "/admin/keys", fitting) == 200
    for more in (
        {"models": []},
        {"models": ["*"]},
        {"models": ["local-a", "gpt"]},
        {"tools": []},
        {"tools": ["shell"]},
    ):
        assert await status("POST", "/admin/keys", fitting | more) == 403
    assert await status("PATCH", f"/admin/keys/{wide['id']}", {"name": "x"}) == 403
    assert await status("POST", f"/admin/keys/{wide['id']}/rotate", {}) == 403


INJECTIONS = [
    "'; DROP TABLE keys; --", "\" OR 1=1 --", "1' UNION SELECT digest FROM virtual_keys --", "%' OR '1'='1", "{{7*7}}",
    "${jndi:ldap://x}", "../../etc/passwd", "<script>alert(1)</script>", "=HYPERLINK(1)", "a\\",
]  # fmt: skip
CONTROLS = ["a\r\nset-cookie: x=1", "a\x00b", "a\x1b[2J", "a\u202eb", "a\u2028b", "\ud800"]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_a_name_is_text_wherever_it_goes(world, text):
    """It is kept as it is, found by itself alone, and nothing else happens."""
    owner = ("owner", OTHER)
    before = (await world.ask(("owner", HOME), "GET", "/admin/keys?limit=1000")).json()["data"]
    fields = {
        "teams": {},
        "users": {"subject": text},
        "service_accounts": {},
        "keys": {"models": [text], "metadata": {"n": text}},
    }
    for noun, more in fields.items():
        made = await world.ask(owner, "POST", f"/admin/{noun}", json={"name": text, **more})
        assert made.status_code == 200, made.text
        assert made.json()["name"] == text
        found = await world.ask(owner, "GET", f"/admin/{noun}", params={"name": text})
        assert [one["id"] for one in found.json()["data"]] == [made.json()["id"]]

    after = (await world.ask(("owner", HOME), "GET", "/admin/keys?limit=1000")).json()["data"]
    assert [one for one in after if one["name"] != text] == before


@pytest.mark.parametrize("text", INJECTIONS)
async def test_a_filter_is_a_value_wherever_it_goes(world, theirs, text):
    for path in ("usage", "calls"):
        for name in ("team", "user", "key", "kind", "model", "provider", "agent", "run", "operation", "error"):
            answer = await world.ask(("owner", OTHER), "GET", f"/admin/{path}", params={name: text})
            assert answer.status_code == 200
            assert "secret" not in answer.text
    for name in ("action", "actor", "kind", "object"):
        answer = await world.ask(("owner", OTHER), "GET", "/admin/audit", params={name: text})
        assert answer.json()["data"] == []
    for params in (
        {"by": text},
        {"by": f"tag:{text}"},
        {"tag": f"{text}:{text}"},
        {"zone": text},
        {"since": text},
        {"after": text},
    ):
        for path in ("usage", "calls", "keys"):
            answer = await world.ask(("owner", OTHER), "GET", f"/admin/{path}", params=params)
            assert answer.status_code in (200, 400)


FIELDS = {
    "teams": ("name",),
    "users": ("name", "email", "subject", "team"),
    "service_accounts": ("name", "team"),
    "keys": ("name", "user", "models", "tools", "ips", "origins", "tags", "metadata"),
    "budgets": ("name", "time_zone", "window", "match", "per"),
}
HOLDING = {
    **dict.fromkeys(("models", "tools", "ips", "origins", "per"), lambda text: [text]),
    **dict.fromkeys(("tags", "metadata"), lambda text: {"n": text}),
    "match": lambda text: {"model": [text]},
}


@pytest.mark.parametrize("noun", FIELDS)
async def test_what_drives_logs_and_terminals_is_refused_in_every_field(world, noun):
    body = {"name": "n", **({"limit": 1} if noun == "budgets" else {})}
    for field, text in itertools.product(FIELDS[noun], CONTROLS):
        sent = json.dumps({**body, field: HOLDING.get(field, str)(text)})
        answer = await world.ask(("owner", OTHER), "POST", f"/admin/{noun}", content=sent)

        assert answer.status_code == 400, (field, answer.text)


async def test_a_key_is_in_no_answer_but_the_one_that_makes_it_nor_in_log_or_audit(world, capsys):
    owner = ("owner", OTHER)
    made = (await world.ask(owner, "POST", "/admin/keys", json={"name": "n", "role": "admin"})).json()
    rotated = (await world.ask(owner, "POST", f"/admin/keys/{made['id']}/rotate", json={})).json()
    secrets = [one["key"].removeprefix("sk-sg-")[6:] for one in (made, rotated)]
    digests = [record.digest.hex() for record in (await world.services.directory.keys.changed_since(0)).keys]

    answers = [
        await world.ask(owner, "GET", path)
        for path in (
            "/admin/keys",
            f"/admin/keys/{made['id']}",
            f"/admin/keys/{rotated['id']}",
            "/admin/audit",
            "/admin/audit/export",
        )
    ]
    answers += [
        await world.ask(owner, "PATCH", f"/admin/keys/{rotated['id']}", json={"name": "m"}),
        await world.ask(owner, "POST", f"/admin/keys/{rotated['id']}/revoke"),
        await world.ask(owner, "DELETE", f"/admin/keys/{rotated['id']}"),
        await world.ask(made["key"], "GET", "/admin/whoami"),
    ]
    text = "".join(answer.text for answer in answers) + await world.audit_text() + "".join(capsys.readouterr())

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert [secret for secret in (*secrets, *digests) if secret in text] == []
