"""Attacks on the admin API's fields: values that one reader takes for something else than the next."""

import json

import pytest

from tests.security.admin_world import HOME, OTHER, admin_world, build_template

OWNER = ("owner", HOME)
THEIR_OWNER = ("owner", OTHER)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("attack_admin"))


@pytest.fixture
async def world(template, tmp_path):
    async with admin_world(tmp_path, template) as world:
        yield world


@pytest.mark.parametrize("count", ["cost", "requests"])
@pytest.mark.parametrize(
    "limit",
    ["1_000", "\uff11", " 1", "1 ", "1\n", "+1", "-1", "1e3", "0x10", "NaN", "Infinity", "", ".", "1.", "9" * 30, 1e308, -0.5, 2**63,
     "0." + "0" * 9 + "1", "1." + "0" * 30 + "1"],
)  # fmt: skip
async def test_an_amount_is_plain_digits_or_refused(world, count, limit):
    answer = await world.ask(OWNER, "POST", "/admin/budgets", json={"name": "b", "limit": limit, "count": count})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limit"


@pytest.mark.parametrize(
    ("count", "limit", "kept"), [("cost", "0.000000001", "0.000000001"), ("cost", 12, "12"), ("tokens", "7", 7)]
)
async def test_an_amount_in_plain_digits_is_kept_as_it_is(world, count, limit, kept):
    answer = await world.ask(OWNER, "POST", "/admin/budgets", json={"name": "b", "limit": limit, "count": count})

    assert answer.json()["limit"] == kept


@pytest.mark.parametrize("field", ["origins", "ips"])
@pytest.mark.parametrize(
    "text",
    [
        "https://a\r\nb.example",
        "https://a.\texample",
        "https://a.ex\u0430mple",
        " https://a",
        "10.0.0.0/8\n",
        "\x1b[2J",
    ],
)
async def test_a_place_holds_no_character_that_a_parser_drops(world, field, text):
    answer = await world.ask(OWNER, "POST", "/admin/keys", json={"name": "k", field: [text]})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "field", ["id", "tenant", "digest", "prefix", "key", "created_at", "revoked_at", "replaced_by", "user", "kind"]
)
async def test_what_a_key_is_cannot_be_assigned(world, field):
    """Mass assignment: whoever may change a key may not make it another's."""
    made = (await world.ask(OWNER, "POST", "/admin/keys", json={"name": "k"})).json()

    answer = await world.ask(OWNER, "PATCH", f"/admin/keys/{made['id']}", json={field: OTHER})
    assert answer.status_code == 400
    after = (await world.ask(OWNER, "GET", f"/admin/keys/{made['id']}")).json()
    assert after == {name: value for name, value in made.items() if name not in ("key", "warning")}


@pytest.mark.parametrize("match", [{"tenant": [HOME]}, {"tenant": ["*"]}, {"team": ["team_x"]}, {}])
async def test_a_budget_of_one_tenant_is_never_anothers(world, match):
    """Whatever it names: the limiter adds the tenant that it belongs to."""
    made = await world.ask(THEIR_OWNER, "POST", "/admin/budgets", json={"name": "b", "limit": 0, "match": match})

    assert made.json()["tenant"] == OTHER
    assert (await world.ask(OWNER, "GET", "/admin/budgets", params={"tenant": HOME})).json()["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=2",
        "after=%27",
        "after=%ff",
        "after=..%2f",
        "limit=1e9",
        "limit=0",
        "team=*",
        "tenant=%00",
        "=",
        "&&",
    ],
)
async def test_a_query_that_two_readers_could_read_differently_is_refused(world, query):
    assert (await world.ask(OWNER, "GET", f"/admin/keys?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/keys", {"name": "KEY"}),
        ("/admin/keys", {"name": "k", "metadata": {"note": "was KEY"}}),
        ("/admin/users", {"name": "Ada", "email": "KEY"}),
        ("/admin/budgets", {"name": "b", "limit": 1, "match": {"key": ["KEY"]}}),
    ],
)
async def test_a_key_that_was_pasted_into_a_field_is_not_kept(world, path, body):
    """Names and notes are in lists, exports and the audit log of everybody who may read there."""
    pasted = json.loads(json.dumps(body).replace("KEY", world.keys[THEIR_OWNER]))

    answer = await world.ask(OWNER, "POST", path, json=pasted)
    assert answer.status_code == 400
    assert world.keys[THEIR_OWNER] not in answer.text + await world.audit_text()
