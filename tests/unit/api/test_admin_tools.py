"""What administrators see of servers of tools, and that accepting a tool takes exactly what was looked at, and is written down."""

import pytest

from tests.security.admin_world import HOME, LISTED, OTHER, admin_world, build_template

OWNER, ADMIN = ("owner", HOME), ("admin", HOME)
ACCEPT = "/admin/tools/docs/echo/accept"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template) as world:
        yield world


async def test_a_server_is_shown_with_what_of_it_waits(world):
    servers = await world.ask(ADMIN, "GET", "/admin/tools")
    server = await world.ask(ADMIN, "GET", "/admin/tools/docs")

    (shown,) = servers.json()["data"]
    assert (shown["id"], shown["kind"], shown["state"]) == ("docs", "stdio", "starting")
    assert shown["quarantined"] == {"echo": "it is new"}
    (tool,) = server.json()["tools"]
    assert (tool["id"], tool["state"], tool["definition"]) == ("docs/echo", "quarantined", LISTED.digest)
    assert tool["model_name"] == "docs__echo"
    assert tool["says"]["description"] == "Gives the text back."
    assert tool["accepted"] is None


async def test_accepting_lets_the_tool_in_and_is_in_the_audit_log(world):
    answer = await world.ask(ADMIN, "POST", ACCEPT, json={"definition": LISTED.digest, "why": "read it"})

    assert (answer.status_code, answer.json()["state"]) == (200, "ready")
    shown = (await world.ask(ADMIN, "GET", "/admin/tools/docs")).json()
    assert shown["quarantined"] == {}
    assert shown["tools"][0]["accepted"]["definition"] == LISTED.digest
    assert shown["tools"][0]["effect"] == "once"
    log = await world.audit_text()
    assert "tool.accepted" in log
    assert "read it" in log


async def test_another_definition_than_the_one_that_is_listed_is_a_conflict(world):
    answer = await world.ask(ADMIN, "POST", ACCEPT, json={"definition": "0" * 64})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "tool_definition_conflict")
    assert LISTED.digest in answer.json()["error"]["message"]
    shown = (await world.ask(ADMIN, "GET", "/admin/tools/docs")).json()
    assert shown["tools"][0]["state"] == "quarantined"


@pytest.mark.parametrize(
    "body", [{}, {"definition": ""}, {"definition": "latest"}, {"definition": "0" * 63}, {"hash": "x"}]
)
async def test_what_is_no_hash_is_refused(world, body):
    assert (await world.ask(ADMIN, "POST", ACCEPT, json=body)).status_code == 400


@pytest.mark.parametrize(
    "path", ["/admin/tools/docs/other/accept", "/admin/tools/none/echo/accept", "/admin/tools/docs/accept"]
)
async def test_what_is_not_there_is_a_404(world, path):
    assert (await world.ask(ADMIN, "POST", path, json={"definition": LISTED.digest})).status_code == 404


async def test_servers_are_of_all_tenants_and_only_the_default_one_looks_after_them(world):
    for method, path in (("GET", "/admin/tools"), ("GET", "/admin/tools/docs"), ("POST", "/admin/tools/docs/restart")):
        assert (await world.ask(("owner", OTHER), method, path)).status_code == 403
    assert (await world.ask(("owner", OTHER), "POST", ACCEPT, json={"definition": LISTED.digest})).status_code == 403
    assert (await world.ask(OWNER, "GET", "/admin/tools/none")).status_code == 404
