"""What administrators see of the cache, and take out of it: lists without texts, one text at a time, removals that are tried first."""

import pytest

from gateway.cache.encoding import encode
from gateway.core.answer import Answer
from gateway.core.clock import Clock
from gateway.core.events import Finished, Started
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from tests.security.admin_world import HOME, NOW, OTHER, admin_world, build_template

OWNER, ADMIN = ("owner", HOME), ("admin", OTHER)
SECRET = "the canary sings at noon"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def world(tmp_path, template):
    async with admin_world(tmp_path, template, clock=Clock(wall=lambda: NOW + 60.0)) as world:
        yield world


def answer_of(text):
    return encode(
        Answer(
            started=Started(id="resp_1", model="small", created=1, target="t"),
            items=(Message(role="assistant", parts=(Text(text=text),)),),
            finished=Finished(),
        )
    )


async def fill(world):
    """Three entries of one tenant and one of another; their ids."""
    answer, usage = answer_of(SECRET), Usage(input=10, cache_read=2, output=5, reasoning=1)
    return [
        await world.add_entry(OTHER, made=NOW, question=f"What? {SECRET}", partition="p", answer=answer, usage=usage),
        await world.add_entry(OTHER, made=NOW + 1, model="big", namespace="support"),
        await world.add_entry(OTHER, made=NOW + 2, tags=("project=apollo",)),
        await world.add_entry(HOME, made=NOW + 3, tags=("project=apollo",)),
    ]


async def ids(world, who, query=""):
    answer = await world.ask(who, "GET", f"/admin/cache{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


async def test_a_list_says_what_there_is_and_not_what_it_says(world):
    one, *_ = await fill(world)

    answer = await world.ask(ADMIN, "GET", "/admin/cache")

    entry = answer.json()["data"][-1]
    assert SECRET not in answer.text
    assert (entry["id"], entry["tenant"], entry["model"], entry["target"]) == (one, OTHER, "small", "t")
    assert (entry["age"], entry["fresh"], entry["semantic"]) == (60.0, True, True)
    assert entry["tokens"] == {"input": 12, "output": 6}
    assert entry["size"] == len(answer_of(SECRET)) + len(f"What? {SECRET}")


async def test_selectors_narrow_a_list_and_pages_follow(world):
    one, two, three, four = await fill(world)

    assert await ids(world, ADMIN) == [three, two, one]
    assert await ids(world, OWNER) == [four, three, two, one]
    assert await ids(world, OWNER, f"?tenant={HOME}") == [four]
    assert await ids(world, ADMIN, "?tag=project%3Dapollo") == [three]
    assert await ids(world, ADMIN, "?model=big&namespace=support") == [two]
    assert await ids(world, ADMIN, "?namespace=") == [three, one]
    assert await ids(world, ADMIN, "?prefix=What") == [one]
    page = (await world.ask(ADMIN, "GET", "/admin/cache?limit=2")).json()
    assert page["has_more"]
    assert await ids(world, ADMIN, f"?limit=2&after={page['next']}") == [one]


async def test_the_texts_of_one_entry_are_told_to_those_who_may_write_and_noted(world):
    one, *_ = await fill(world)

    shown = (await world.ask(ADMIN, "GET", f"/admin/cache/{one}")).json()

    assert shown["question"] == f"What? {SECRET}"
    assert shown["answer"]["items"][0]["parts"][0]["text"] == SECRET
    assert (await world.ask(("auditor", OTHER), "GET", f"/admin/cache/{one}")).status_code == 403
    noted = (await world.ask(ADMIN, "GET", "/admin/audit?action=cache.entry_read")).json()["data"]
    assert [entry["about"]["id"] for entry in noted] == [one]
    assert SECRET not in await world.audit_text()


async def test_an_entry_that_is_no_answer_is_shown_without_one(world):
    """As the vectors of a text."""
    one = await world.add_entry(OTHER, operation="embed", answer=b"\x00\x01")

    assert (await world.ask(ADMIN, "GET", f"/admin/cache/{one}")).json()["answer"] is None


async def test_a_removal_is_counted_first_and_then_done_and_noted(world):
    one, two, three, four = await fill(world)

    would = (await world.ask(ADMIN, "DELETE", "/admin/cache?tag=project%3Dapollo&dry_run=true")).json()
    assert would == {"object": "cache_removal", "entries": 1, "first": [three], "dry_run": True}
    assert await ids(world, ADMIN) == [three, two, one]
    done = (await world.ask(ADMIN, "DELETE", "/admin/cache?tag=project%3Dapollo")).json()

    assert done == would | {"dry_run": False}
    assert await ids(world, OWNER) == [four, two, one]
    assert (await world.ask(ADMIN, "GET", f"/admin/cache/{three}")).status_code == 404
    noted = (await world.ask(ADMIN, "GET", "/admin/audit?action=cache.removed")).json()["data"]
    assert [entry["details"] for entry in noted] == [{"tag": "project=apollo", "entries": 1}]


async def test_everything_must_be_asked_for(world):
    one, *_, four = await fill(world)

    assert (await world.ask(ADMIN, "DELETE", "/admin/cache")).status_code == 400
    assert (await world.ask(ADMIN, "DELETE", "/admin/cache?dry_run=true")).status_code == 400
    assert (await world.ask(ADMIN, "DELETE", f"/admin/cache?all=true&entry={one}")).json()["error"]["param"] == "all"
    assert (await world.ask(ADMIN, "DELETE", "/admin/cache?al=true")).status_code == 400
    assert len(await ids(world, OWNER)) == 4

    # Everything is everything of one's own tenant.
    assert (await world.ask(ADMIN, "DELETE", "/admin/cache?all=true")).json()["entries"] == 3
    assert await ids(world, OWNER) == [four]
    assert (await world.ask(OWNER, "DELETE", f"/admin/cache?all=true&tenant={OTHER}")).json()["entries"] == 0
    assert (await world.ask(OWNER, "DELETE", "/admin/cache?all=true")).json()["entries"] == 1


async def test_what_is_another_tenants_is_not_removed_and_not_told_of(world):
    *_, four = await fill(world)

    for query in (f"entry={four}", f"prefix={four[:12]}", "all=true", "tag=project%3Dapollo", "model=small"):
        answer = await world.ask(ADMIN, "DELETE", f"/admin/cache?{query}")
        assert four not in answer.text
    foreign = await world.ask(ADMIN, "DELETE", f"/admin/cache?tenant={HOME}&all=true")

    assert foreign.status_code == 404
    assert (await world.ask(ADMIN, "GET", f"/admin/cache/{four}")).status_code == 404
    assert await ids(world, OWNER) == [four]


async def test_how_a_question_begins_is_not_in_the_audit_log(world):
    await fill(world)
    await world.ask(ADMIN, "DELETE", "/admin/cache", params={"prefix": f"What? {SECRET[:10]}"})

    assert SECRET[:10] not in await world.audit_text()


async def test_figures_are_the_default_tenants(world):
    await fill(world)

    shown = (await world.ask(("auditor", HOME), "GET", "/admin/cache/stats")).json()

    assert shown["held"]["entries"] == 4
    assert (shown["calls"], shown["semantic"]) == ([], [])
    assert (await world.ask(("owner", OTHER), "GET", "/admin/cache/stats")).status_code == 403


async def test_a_place_that_no_page_gave_is_a_400(world):
    answer = await world.ask(ADMIN, "GET", "/admin/cache?after=nonsense")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")
