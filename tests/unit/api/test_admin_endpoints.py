"""What the admin API does for those who may: lists, makes, shows, changes, deletes, and says so in the audit log."""

import csv
import io
import json

import pytest

from gateway.stores.audit_export import verify_lines
from tests.security.admin_world import HOME, NOW, OTHER, admin_world, build_template, row

OWNER = ("owner", HOME)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template) as world:
        yield world


async def made(world, path, body, who=OWNER):
    answer = await world.ask(who, "POST", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


NOUNS = {
    "tenants": ({"name": "Acme"}, {"name": "Acme Ltd"}),
    "teams": ({"name": "search"}, {"name": "find"}),
    "users": ({"name": "Bea", "email": "Bea@acme.example", "role": "auditor"}, {"role": "member"}),
    "service_accounts": ({"name": "nightly"}, {"name": "weekly"}),
    "keys": ({"name": "laptop", "models": ["small"]}, {"models": ["small", "big*"]}),
    "budgets": ({"name": "monthly", "limit": "12.5"}, {"limit": 20}),
}


@pytest.mark.parametrize("noun", NOUNS)
async def test_every_noun_is_made_listed_shown_changed_and_deleted(world, noun):
    body, change = NOUNS[noun]

    one = await made(world, f"/admin/{noun}", body)
    path = f"/admin/{noun}/{one['id']}"
    listed = (await world.ask(OWNER, "GET", f"/admin/{noun}?limit=1000")).json()
    shown = (await world.ask(OWNER, "GET", path)).json()
    changed = (await world.ask(OWNER, "PATCH", path, json=change)).json()
    deleted = await world.ask(OWNER, "DELETE", path)

    one.pop("key", None)
    assert shown == one
    assert one in listed["data"]
    assert changed["id"] == one["id"]
    assert changed != one
    assert deleted.json() == {"object": noun.removesuffix("s"), "id": one["id"], "deleted": True}
    assert (await world.ask(OWNER, "GET", path)).status_code == 404


@pytest.mark.parametrize("noun", NOUNS)
async def test_every_change_is_in_the_audit_log_with_who_made_it(world, noun):
    body, change = NOUNS[noun]
    one = await made(world, f"/admin/{noun}", body)
    path = f"/admin/{noun}/{one['id']}"
    await world.ask(OWNER, "PATCH", path, json=change)
    await world.ask(OWNER, "DELETE", path)

    found = (await world.ask(OWNER, "GET", f"/admin/audit?object={one['id']}")).json()["data"]

    word = noun.removesuffix("s")
    assert [entry["action"] for entry in found] == [f"{word}.deleted", f"{word}.updated", f"{word}.created"]
    whoami = (await world.ask(OWNER, "GET", "/admin/whoami")).json()
    assert {entry["actor"]["id"] for entry in found} == {whoami["id"]}


async def test_a_page_leads_to_the_next_and_nothing_comes_twice(world):
    names = [f"team {number}" for number in range(7)]
    for name in names:
        await made(world, "/admin/teams", {"name": name})

    seen, after = [], ""
    while after is not None:
        page = (await world.ask(OWNER, "GET", "/admin/teams", params={"limit": 3, "after": after})).json()
        seen += [team["name"] for team in page["data"]]
        after = page["next"]

    assert seen == names
    assert not page["has_more"]


async def test_budgets_have_pages_too(world):
    for number in range(5):
        await made(world, "/admin/budgets", {"name": f"b{number}", "limit": 1})

    first = (await world.ask(OWNER, "GET", "/admin/budgets?limit=3")).json()
    second = (await world.ask(OWNER, "GET", f"/admin/budgets?limit=3&after={first['next']}")).json()

    assert {one["name"] for one in first["data"] + second["data"]} == {f"b{number}" for number in range(5)}
    assert (len(first["data"]), first["has_more"], second["has_more"], second["next"]) == (3, True, False, None)


async def test_a_key_works_from_the_answer_that_makes_it_until_the_answer_that_revokes_it(world):
    key = await made(world, "/admin/keys", {"name": "ops", "role": "auditor"})

    assert (await world.ask(key["key"], "GET", "/admin/teams")).status_code == 200
    revoked = await made(world, f"/admin/keys/{key['id']}/revoke", None)
    assert (await world.ask(key["key"], "GET", "/admin/teams")).status_code == 401
    assert revoked["state"] == "revoked"
    assert revoked["revoked_at"] is not None


async def test_a_rotated_key_and_its_successor_both_work_for_the_overlap(world):
    old = await made(world, "/admin/keys", {"name": "ops", "role": "auditor", "tags": {"cost": "42"}})

    new = await made(world, f"/admin/keys/{old['id']}/rotate", {"overlap": 600})

    for key in (old["key"], new["key"]):
        assert (await world.ask(key, "GET", "/admin/teams")).status_code == 200
    assert new["tags"] == {"cost": "42"}
    shown = (await world.ask(OWNER, "GET", f"/admin/keys/{old['id']}")).json()
    assert (shown["state"], shown["replaced_by"]) == ("rotating", new["id"])
    again = await world.ask(OWNER, "POST", f"/admin/keys/{old['id']}/rotate")
    assert again.status_code == 409


async def test_without_overlap_the_old_key_ends_with_the_answer(world):
    old = await made(world, "/admin/keys", {"name": "ops", "role": "auditor"})

    new = await made(world, f"/admin/keys/{old['id']}/rotate", {"overlap": 0})

    assert (await world.ask(old["key"], "GET", "/admin/teams")).status_code == 401
    assert (await world.ask(new["key"], "GET", "/admin/teams")).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "x", "expires_at": 1}, "expires_at"),
        ({"name": "x", "expires_at": 9e9, "expires_in": 5}, "expires_in"),
        ({"name": "x", "ips": ["10.0.0.0/8", "not an address"]}, "ips"),
        ({"name": "x", "origins": ["javascript:alert(1)"]}, "origins"),
        ({"name": "x", "user": "user_default", "service_account": "s"}, "service_account"),
        ({"name": "x", "user": "nobody"}, "user"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "x", "modles": []}, "modles"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused_and_the_field_named(world, body, param):
    answer = await world.ask(OWNER, "POST", "/admin/keys", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("noun", ["users", "service_accounts"])
async def test_a_key_belongs_to_the_team_of_its_holder_unless_another_is_named(world, noun):
    teams = [(await made(world, "/admin/teams", {"name": name}))["id"] for name in ("one", "two")]
    holder = await made(world, f"/admin/{noun}", {"name": "Bea", "team": teams[0]})
    body = {"name": "k", noun.removesuffix("s"): holder["id"]}

    assert (await made(world, "/admin/keys", body))["team"] == teams[0]
    assert (await made(world, "/admin/keys", {**body, "team": teams[1]}))["team"] == teams[1]


async def test_the_mark_of_the_first_key_can_be_given_to_no_other(world):
    """Who could set it would open the server to everybody on the machine again."""
    made_marked = await made(world, "/admin/keys", {"name": "x", "metadata": {"bootstrap": "yes", "note": "n"}})
    path = f"/admin/keys/{made_marked['id']}"
    changed = (await world.ask(OWNER, "PATCH", path, json={"metadata": {"bootstrap": "yes", "a": "b"}})).json()

    assert made_marked["metadata"] == {"note": "n"}
    assert changed["metadata"] == {"a": "b"}
    assert world.services.ring.locked


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"limit": "0.000000001"}, "0.000000001"),
        ({"limit": 12.5}, "12.5"),
        ({"limit": 100, "count": "requests", "window": "15m", "window_kind": "rolling"}, 100),
    ],
)
async def test_a_budgets_limit_is_kept_exactly(world, body, shown):
    assert (await made(world, "/admin/budgets", {"name": "b", **body}))["limit"] == shown


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"limit": "0.0000000001"}, "limit"),
        ({"limit": "1e400"}, "limit"),
        ({"limit": "NaN"}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1.5, "count": "requests"}, "limit"),
        ({"limit": 1, "window": "15m"}, "window"),
        ({"limit": 1, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"limit": 1, "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"limit": 1, "per": ["planet"]}, "per[0]"),
        ({"limit": 1, "match": {"model": []}}, "match"),
        ({"limit": 1, "tenant": "nowhere"}, None),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused(world, body, param):
    answer = await world.ask(OWNER, "POST", "/admin/budgets", json={"name": "b", **body})

    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param


@pytest.fixture
async def used(world):
    rows = [
        row(1, model="small", team="t1", tags={"project": "=cmd()"}),
        row(2, model="big", team="t1", cost_nano=None, key="k"),
        row(3, model="small", tenant=OTHER, user=f"user_{OTHER}"),
        row(4, model="small", tenant=OTHER, user="somebody", started_at=NOW + 90_000),
    ]
    await world.services.ledger.insert(rows)
    return world


async def test_usage_is_summed_by_what_is_asked_and_money_is_exact(used):
    answer = (await used.ask(OWNER, "GET", "/admin/usage?by=tenant,model")).json()

    assert [(one["tenant"], one["model"], one["calls"], one["cost"]) for one in answer["data"]] == [
        (HOME, "big", 1, "0"),
        (HOME, "small", 1, "0.0015"),
        (OTHER, "small", 2, "0.003"),
    ]
    assert answer["data"][0]["unpriced"] == 1
    assert (answer["total"]["calls"], answer["total"]["cost"]) == (4, "0.0045")


async def test_usage_is_filtered_by_values_tags_and_time(used):
    async def calls(query):
        return (await used.ask(OWNER, "GET", f"/admin/usage?{query}")).json()["total"]["calls"]

    assert await calls("model=small") == 3
    assert await calls("model=small,big") == 4
    assert await calls("tenant=tenant_b") == 2
    assert await calls("tag=project:%3Dcmd()") == 1
    assert await calls(f"since={NOW + 2}&until={NOW + 4}") == 2
    assert await calls("since=2026-09-22T14:00:00Z") == 1


async def test_a_day_begins_where_the_caller_says(used):
    utc = (await used.ask(OWNER, "GET", "/admin/usage?by=day")).json()["data"]
    auckland = (await used.ask(OWNER, "GET", "/admin/usage?by=day&zone=Pacific/Auckland")).json()["data"]

    assert [one["day"] for one in utc] != [one["day"] for one in auckland]


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers_accept": "text/csv"}])
async def test_usage_comes_as_csv_that_no_spreadsheet_runs(used, how):
    params = {"by": "tag:project,model", **how.get("params", {})}
    key = used.keys[OWNER]
    headers = {"authorization": f"Bearer {key}"} | (
        {"accept": how["headers_accept"]} if "headers_accept" in how else {}
    )
    answer = await used.http.get("/admin/usage", params=params, headers=headers)

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=cmd()" in {one["tag:project"] for one in rows}
    assert "0.0015" in {one["cost"] for one in rows}


async def test_calls_are_listed_newest_first_page_by_page(used):
    first = (await used.ask(OWNER, "GET", "/admin/calls?limit=3")).json()
    second = (await used.ask(OWNER, "GET", f"/admin/calls?limit=3&after={first['next']}")).json()

    assert [one["id"] for one in first["data"] + second["data"]] == ["call_4", "call_3", "call_2", "call_1"]
    assert first["data"][2]["cost"] is None
    assert second["data"][0]["tags"] == {"project": "=cmd()"}


async def test_rows_are_counted_before_they_are_deleted(used):
    body = {"tenant": OTHER, "before": str(NOW + 50)}
    tried = await made(used, "/admin/retention", {**body, "dry_run": True})
    done = await made(used, "/admin/retention", body)

    assert (tried["rows"], tried["dry_run"]) == (1, True)
    assert (done["rows"], done["dry_run"]) == (1, False)
    left = (await used.ask(OWNER, "GET", "/admin/calls")).json()["data"]
    assert {one["id"] for one in left} == {"call_1", "call_2", "call_4"}
    entry = (await used.ask(OWNER, "GET", "/admin/audit?action=ledger.rows_deleted")).json()["data"]
    assert [one["details"]["rows"] for one in entry] == [1]


async def test_nothing_is_deleted_unless_it_is_said_what(used):
    assert (await used.ask(OWNER, "POST", "/admin/retention", json={})).status_code == 400
    assert (await used.ask(OWNER, "GET", "/admin/usage")).json()["total"]["calls"] == 4


async def test_the_audit_log_is_exported_whole_and_verified(world):
    for number in range(3):
        await made(world, "/admin/teams", {"name": f"t{number}"})

    verdict = await made(world, "/admin/audit/verify", None)
    exported = await world.ask(("auditor", HOME), "GET", "/admin/audit/export")

    assert verdict["sound"]
    assert exported.headers["content-type"] == "application/jsonl"
    assert verify_lines(exported.content.splitlines(keepends=True)).sound
    actions = [json.loads(line).get("content", {}).get("action") for line in exported.text.splitlines()[:-1]]
    assert actions.count("team.created") == 3


async def test_the_audit_log_is_filtered_and_paged(world):
    for number in range(3):
        await made(world, "/admin/teams", {"name": f"t{number}"})
    await made(world, "/admin/users", {"name": "Cy"})

    teams = (await world.ask(OWNER, "GET", "/admin/audit?action=team.&limit=2")).json()
    rest = (await world.ask(OWNER, "GET", f"/admin/audit?action=team.&limit=2&after={teams['next']}")).json()

    names = [one["details"]["name"] for one in teams["data"] + rest["data"]]
    assert names == ["t2", "t1", "t0"]
    assert rest["next"] is None


async def test_what_is_refused_by_the_store_leaves_no_entry(world):
    await made(world, "/admin/teams", {"name": "one"})
    twice = await world.ask(OWNER, "POST", "/admin/teams", json={"name": "one"})

    assert twice.status_code == 409
    assert len((await world.ask(OWNER, "GET", "/admin/audit?action=team.")).json()["data"]) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_not_there_is_named(world, method):
    answer = await world.ask(OWNER, method, "/admin/teams")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST, HEAD"


async def test_no_answer_is_kept_by_a_cache(world):
    answer = await world.ask(OWNER, "GET", "/admin/keys")

    assert answer.headers["cache-control"] == "no-store"
