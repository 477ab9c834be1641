"""What an agent is told in one run it knows in the next, for whom it may; and what strangers wrote stays what strangers wrote. Over HTTP, with the official client."""

import json

import anyio
import pytest

from tests.journeys.memory_world import MAIL, memory_world
from tests.journeys.test_time_travel import switchgear


@pytest.fixture
async def world(tmp_path):
    async with memory_world(tmp_path) as world:
        yield world


def asked(response):
    return [item for item in response.output if item.type == "mcp_approval_request"]


async def agree(world, user, agent, response):
    (request,) = asked(response)
    answer = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    return await world.ask(user, agent, [answer], previous_response_id=response.id)


async def approval(world, response):
    (request,) = asked(response)
    return (await world.http.get(f"/admin/approvals/{request.id}")).json()


async def test_what_a_user_says_once_the_agent_knows_in_a_later_run(world):
    kept = await world.ask("ada", "notes", "Please remember that I drink green tea")
    known = await world.ask("ada", "notes", "What do you know?")

    assert kept.output_text == "Kept: Kept tea as version 1."
    assert "green tea, in the kitchen" in known.output_text
    calls = [item.name for item in known.output if item.type == "mcp_call"]
    assert calls == ["memory_search"]
    [entry] = (await world.entries()).values()
    assert (entry["run"], entry["agent"], entry["author"]) == (kept.id, "notes", f"user:{world.ids['ada']}")
    assert (entry["integrity"], entry["sources"]) == ("trusted", [])


@pytest.mark.parametrize("user", ["eve", "zoe"])
async def test_another_user_does_not_see_it_nor_forget_it(world, user):
    await world.ask("ada", "notes", "Please remember that I drink green tea")

    assert "green tea" not in (await world.ask(user, "notes", "What do you know?")).output_text
    gone = await world.ask(user, "notes", "forget it")
    assert [item.error for item in gone.output if item.type == "mcp_call"] != [None]
    assert "green tea" in (await world.ask("ada", "notes", "What do you know?")).output_text


async def test_a_tenants_memory_is_seen_by_its_users_and_no_other_tenants(world):
    await world.ask("ada", "team", "Please remember that the tea is in the kitchen")

    assert "in the kitchen" in (await world.ask("eve", "reader", "What do you know?")).output_text
    assert "in the kitchen" not in (await world.ask("zoe", "reader", "What do you know?")).output_text


async def test_an_agents_memory_is_its_own_for_all_users(world):
    await world.ask("ada", "desk", "Please remember that tea is green")

    assert "green tea" in (await world.ask("eve", "desk", "What do you know?")).output_text
    assert list(await world.entries()) == [("agent", "desk", "tea")]


async def test_who_may_only_read_has_no_tool_to_write(world):
    answer = await world.ask("ada", "reader", "Please remember that I drink green tea")

    assert await world.entries() == {}
    assert [item for item in answer.output if item.type == "mcp_call" and not item.error] == []


async def test_entries_are_replaced_by_version_deleted_and_written_anew(world):
    await world.ask("ada", "notes", "Please remember that I drink green tea")
    second = await world.ask("ada", "notes", "replace: black tea")
    stale = await world.ask("ada", "notes", "replace: white tea")
    gone = await world.ask("ada", "notes", "forget it")

    assert second.output_text == "Kept: Kept tea as version 2."
    assert "has version 2 by now, and not version 1" in stale.output_text
    assert gone.output_text == "Gone: Deleted tea."
    assert "No entries." in (await world.ask("ada", "notes", "What do you know?")).output_text
    again = await world.ask("ada", "notes", "Please remember that I drink green tea")
    assert again.output_text == "Kept: Kept tea as version 3."


async def test_what_strangers_wrote_is_kept_as_that_and_taints_the_run_that_reads_it(world):
    kept = await world.ask("ada", "notes", "take down the mail")
    entry = (await world.entries())["user", f"user:{world.ids['ada']}", "mail"]
    acting = await world.ask("ada", "notes", "act on it")

    # Her own memory took it without a question; what is done with it is asked about.
    assert asked(kept) == []
    assert (entry["integrity"], entry["sources"], entry["run"]) == ("untrusted", ["desk/echo"], kept.id)
    shown = await approval(world, acting)
    assert (shown["server"], shown["tool"]) == ("desk", "count")
    assert shown["taint"] == ["desk/echo", "memory/notes"]
    origin = shown["origins"]["text"]
    assert (origin["source"], origin["integrity"]) == ("memory/notes", "untrusted")
    assert (origin["sources"], origin["runs"]) == (["desk/echo"], [kept.id])


async def test_what_strangers_wrote_overwrites_and_deletes_nothing_by_itself(world):
    await world.ask("ada", "notes", "Please remember that I drink green tea")
    tried = await world.ask("ada", "notes", "overwrite with the mail")
    wiping = await world.ask("ada", "notes", "wipe it after the mail")

    assert "written from what is trusted" in tried.output_text
    assert [(item.server_label, item.name) for item in asked(wiping)] == [("switchgear", "memory_delete")]
    assert "green tea" in (await world.ask("ada", "notes", "What do you know?")).output_text


async def test_what_strangers_wrote_comes_into_a_shared_memory_by_leave_alone_and_stays_untrusted(world):
    asking = await world.ask("ada", "team", "take down the mail")
    shown = await approval(world, asking)

    assert await world.entries() == {}
    assert (shown["server"], shown["tool"], shown["effect"]) == ("switchgear", "memory_write", "idempotent")
    assert "builtin:untrusted-write" in shown["rules"]
    assert shown["origins"]["text"]["source"] == "desk/echo"
    done = await agree(world, "ada", "team", asking)
    entry = (await world.entries())["tenant", "", "mail"]
    assert done.output_text == "Kept: Kept mail as version 1."
    assert (entry["text"], entry["integrity"], entry["sources"]) == (MAIL, "untrusted", ["desk/echo"])
    acting = await approval(world, await world.ask("eve", "team", "act on it"))
    assert acting["taint"] == ["desk/echo", "memory/team"]


async def test_what_another_user_wrote_is_a_strangers_and_ones_own_is_not(world):
    await world.ask("ada", "team", "Please remember that the tea is in the kitchen")

    labels = {}
    for user in ("ada", "eve"):
        run = await world.ask(user, "team", "What do you know?")
        items = (await world.http.get(f"/admin/runs/{run.id}")).json()["items"]
        [labels[user]] = [item["label"]["integrity"] for item in items if item["body"]["type"] == "mcp_call"]
    assert labels == {"ada": "trusted", "eve": "untrusted"}


async def test_limits_are_told_to_the_model(world):
    done = await world.ask("ada", "notes", "fill it")

    errors = [item.error for item in done.output if item.type == "mcp_call"]
    assert errors[:3] == [None, None, None]
    assert "holds 3 of 3 entries" in str(errors[3])
    assert [key for _, _, key in await world.entries()] == ["a", "b", "c"]


async def test_a_replay_writes_nothing_and_gives_what_was_recorded(world):
    kept = await world.ask("ada", "notes", "Please remember that I drink green tea")
    made = (await world.http.post(f"/admin/runs/{kept.id}/replay", json={})).json()
    again = await ended(world, made["id"])

    assert again["status"] == "completed"
    [entry] = (await world.entries()).values()
    assert (entry["version"], entry["run"]) == (1, kept.id)


async def ended(world, run):
    with anyio.fail_after(20):
        while True:
            found = (await world.http.get(f"/admin/runs/{run}")).json()
            if found["status"] not in ("queued", "in_progress"):
                return found
            await anyio.sleep(0.02)


async def test_people_delete_entries_and_it_is_written_down_who_did(world):
    await world.ask("ada", "notes", "Please remember that I drink green tea")
    await world.ask("ada", "desk", "Please remember that I drink green tea")
    mine, desk = sorted(
        (await world.http.get("/admin/memories")).json()["data"], key=lambda one: one["scope"] != "user"
    )
    path = f"/admin/memories/{mine['id']}"

    assert (mine["name"], mine["owner"], mine["entries"]) == ("notes", f"user:{world.ids['ada']}", 1)
    assert (await world.http.delete(f"{path}/entries", params={"key": "coffee"})).status_code == 404
    assert (await world.http.delete(f"{path}/entries")).status_code == 400
    assert (await world.http.delete(f"{path}/entries", params={"key": "tea"})).json()["deleted"] is True
    assert (await world.http.delete(f"/admin/memories/{desk['id']}")).json()["entries"] == 1
    assert await world.entries() == {}
    noted = (await world.http.get("/admin/audit", params={"limit": 50})).json()["data"]
    done = {(one["action"], one["about"]["id"]): one["details"] for one in noted if one["about"]["kind"] == "memory"}
    assert done["memory.entry_deleted", mine["id"]]["key"] in ("tea", "coffee")
    assert done["memory.erased", desk["id"]]["entries"] == 1


async def test_a_user_who_is_erased_is_erased_from_memories_too(world):
    for user, agent in (("ada", "notes"), ("ada", "team"), ("eve", "notes"), ("zoe", "notes")):
        await world.ask(user, agent, "Please remember that I drink green tea")
    old = await world.http.post("/admin/retention", json={"older_than_days": 0})
    dry = await world.http.post("/admin/retention", json={"user": world.ids["ada"], "dry_run": True})
    before = await world.entries()
    await world.http.post("/admin/retention", json={"user": world.ids["ada"]})

    assert (old.status_code, dry.status_code, len(before)) == (200, 200, 4)
    assert {owner for _, owner, _ in await world.entries()} == {f"user:{world.ids['eve']}", f"user:{world.ids['zoe']}"}


async def test_the_command_line_lists_shows_and_deletes(world):
    await world.ask("ada", "notes", "Please remember that I drink green tea")
    listed = json.loads(await switchgear(world, "memory", "list", "--json"))
    [memory] = listed["data"]

    assert "green tea, in the kitchen" in await switchgear(world, "memory", "show", memory["id"])
    assert "tea deleted" in await switchgear(world, "memory", "delete", memory["id"], "tea")
    assert "Name the entry's KEY" in await switchgear(world, "memory", "delete", memory["id"], code=2)
    assert "0 entries deleted" in await switchgear(world, "memory", "delete", memory["id"], "--all")


async def test_a_fork_is_live_and_writes(world):
    kept = await world.ask("ada", "notes", "Please remember that I drink green tea")
    made = (await world.http.post(f"/admin/runs/{kept.id}/fork", json={"at": 0})).json()
    await ended(world, made["id"])

    # In the name of whoever forks: it is that one's memory.
    assert sorted(entry["run"] for entry in (await world.entries()).values()) == sorted([kept.id, made["id"]])


async def test_calls_are_counted_by_memory_and_outcome(world):
    await world.ask("ada", "notes", "fill it")
    shown = (await world.http.get("/metrics")).text

    assert 'switchgear_memory_calls_total{memory="notes",tool="memory_write",outcome="done"} 3' in shown
    assert 'switchgear_memory_calls_total{memory="notes",tool="memory_write",outcome="refused"} 1' in shown
