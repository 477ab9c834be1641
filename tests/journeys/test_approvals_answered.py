"""People answer agents over the admin API: they see exactly what is asked, each answers once and only what is theirs, and all is written down."""

import anyio
import pytest

from gateway.config.approval_settings import ApprovalSettings
from tests.journeys.approvals_world import approvals_world


@pytest.fixture
async def world(tmp_path):
    async with approvals_world(tmp_path) as world:
        yield world


async def test_an_approver_sees_the_exact_arguments_and_why_they_are_asked_about(world):
    (asked,) = await world.asks()

    shown = (await world.ask("ada", "GET", f"/admin/approvals/{asked.id}")).json()

    assert shown["arguments_text"] == '{"host":"db-1","replicas":5}'
    assert shown["arguments"] == {"host": "db-1", "replicas": 5}
    assert shown["arguments_sha256"] == asked.arguments_hash
    assert shown["origins"]["replicas"]["source"] == "web/fetch"
    assert (shown["rules"], shown["taint"]) == (["large-scale"], ["web/fetch"])
    assert (shown["requester"]["user"], shown["definition_sha256"]) == ("bob", "d" * 64)
    assert (shown["state"], shown["votes"], shown["objection"]) == ("pending", [], None)


async def test_who_may_not_answer_is_told_why_before_he_tries(world):
    (asked,) = await world.asks()

    assert "somebody else" in (await world.ask("bob", "GET", f"/admin/approvals/{asked.id}")).json()["objection"]


async def test_the_list_is_filtered_by_state_and_run_and_comes_in_pages(world):
    first = await world.asks(count=3)
    (second,) = await world.asks()
    await world.ask("ada", "POST", f"/admin/approvals/{second.id}/approve")

    pending = (await world.ask("ada", "GET", "/admin/approvals?state=pending")).json()
    of_run = (await world.ask("ada", "GET", f"/admin/approvals?run={second.run}")).json()
    page = (await world.ask("ada", "GET", "/admin/approvals?limit=2")).json()
    rest = (await world.ask("ada", "GET", f"/admin/approvals?limit=2&after={page['next']}")).json()

    assert {one["id"] for one in pending["data"]} == {one.id for one in first}
    assert [one["id"] for one in of_run["data"]] == [second.id]
    assert page["has_more"]
    assert not rest["has_more"]
    assert len({one["id"] for one in (*page["data"], *rest["data"])}) == 4


async def test_an_approval_is_counted_and_the_run_goes_on(world):
    (asked,) = await world.asks()

    answer = (await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve", json={"version": 1})).json()

    assert (answer["state"], answer["decided"]) == ("approved", True)
    assert [(vote["approver"], vote["verdict"], vote["channel"]) for vote in answer["votes"]] == [
        ("ada", "approve", "admin")
    ]
    run = await world.runs.find("default", answer["continuation"])
    assert run.continues == asked.run


async def test_an_answer_needs_no_body(world):
    (asked,) = await world.asks()

    answer = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/deny")

    assert (answer.status_code, answer.json()["state"]) == (200, "denied")


async def test_edited_arguments_are_approved_in_the_place_of_those_asked_about(world):
    (asked,) = await world.asks()

    answer = await world.ask(
        "ada",
        "POST",
        f"/admin/approvals/{asked.id}/edit",
        json={"arguments": {"replicas": 4, "host": "db-1"}, "version": 1},
    )

    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["version"]) == (200, "approved", 2)
    assert shown["arguments_text"] == '{"host":"db-1","replicas":4}'
    assert shown["arguments_before"] == '{"host":"db-1","replicas":5}'
    assert shown["arguments_sha256"] != asked.arguments_hash
    (entry,) = await world.entries()
    assert entry.action == "approval.edited"
    assert entry.details["edited"] == '{"host":"db-1","replicas":4}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"arguments": {"replicas": 11}, "version": 1}, 403),
        ({"arguments": {"replicas": 8}, "version": 1}, 403),  # two would have been asked
        ({"arguments": {"replicas": "many"}, "version": 1}, 400),
        ({"arguments": {"replicas": 4}}, 400),
        ({"arguments": [4], "version": 1}, 400),
        ({"arguments": {"replicas": 4}, "version": 2}, 409),
        ({"arguments": {"replicas": 4}, "version": 0}, 400),
        ({"arguments": {"replicas": 4}, "version": 1, "approve": True}, 400),
    ],
)
async def test_an_edit_that_policies_tool_or_version_do_not_allow_changes_nothing(world, body, status):
    (asked,) = await world.asks()

    answer = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/edit", json=body)

    assert answer.status_code == status, answer.text
    kept = await world.found(asked)
    assert (kept.state, kept.version, kept.arguments_hash) == ("pending", 1, asked.arguments_hash)


async def test_a_conflict_says_who_decided_when_and_which_response_goes_on(world):
    (asked,) = await world.asks()
    first = (await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")).json()

    late = await world.ask("eve", "POST", f"/admin/approvals/{asked.id}/deny")

    message = late.json()["error"]["message"]
    assert (late.status_code, late.json()["error"]["code"]) == (409, "approval_decided")
    assert "approved by ada (admin) at 2026-09-21T" in message
    assert first["continuation"] in message


async def test_a_person_votes_once_whatever_key_or_channel_is_used(world):
    (asked,) = await world.asks(quorum=2)
    await world.settle()
    await world.click("Approve", user="U0ADA")

    again = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")

    assert (again.status_code, again.json()["error"]["code"]) == (409, "approval_voted")
    assert (await world.found(asked)).state == "pending"


async def test_several_answers_at_once_have_a_result_each(world):
    good, mine, decided = (await world.asks())[0], (await world.asks())[0], (await world.asks())[0]
    await world.ask("eve", "POST", f"/admin/approvals/{decided.id}/approve")
    answers = [
        {"id": good.id, "verdict": "approve"},
        {"id": mine.id, "verdict": "deny", "reason": "no"},
        {"id": decided.id, "verdict": "approve"},
        {"id": "mcpr_none", "verdict": "approve"},
    ]

    results = (await world.ask("ada", "POST", "/admin/approvals/batch", json={"answers": answers})).json()["data"]

    assert [result["status"] for result in results] == [200, 200, 409, 404]
    assert [result["id"] for result in results] == [answer["id"] for answer in answers]
    assert results[0]["approval"]["state"] == "approved"
    assert results[2]["error"]["code"] == "approval_decided"


@pytest.mark.parametrize(
    "answers", [[], [{"id": "x"}], [{"id": "x", "verdict": "maybe"}], [{"id": "x", "verdict": "deny"}] * 101]
)
async def test_a_batch_that_is_malformed_is_refused_as_a_whole(world, answers):
    assert (await world.ask("ada", "POST", "/admin/approvals/batch", json={"answers": answers})).status_code == 400


@pytest.mark.parametrize(
    ("who", "seen", "answered"),
    [("ada", 200, 200), ("root", 200, 200), ("adm", 200, 403), ("aud", 200, 403), ("mem", 403, 403), ("foe", 404, 404)],
)
async def test_each_role_sees_and_answers_as_it_may(world, who, seen, answered):
    (asked,) = await world.asks()

    shown = await world.ask(who, "GET", f"/admin/approvals/{asked.id}")
    said = await world.ask(who, "POST", f"/admin/approvals/{asked.id}/approve")

    assert (shown.status_code, said.status_code) == (seen, answered)
    assert ((await world.found(asked)).state == "approved") is (answered == 200)


async def test_an_approver_may_read_nothing_else_of_the_tenant(world):
    for path in ("/admin/runs", "/admin/keys", "/admin/users", "/admin/audit"):
        assert (await world.ask("ada", "GET", path)).status_code == 403


async def test_a_foreign_approval_and_one_that_is_none_are_the_same(world):
    (asked,) = await world.asks()

    for verb in ("", "/approve", "/deny"):
        method = "POST" if verb else "GET"
        foreign = await world.ask("foe", method, f"/admin/approvals/{asked.id}{verb}")
        none = await world.ask("foe", method, f"/admin/approvals/mcpr_none{verb}")
        assert (foreign.status_code, foreign.json()) == (404, none.json())
    assert (await world.ask("foe", "GET", "/admin/approvals")).json()["data"] == []
    assert (await world.ask("foe", "GET", "/admin/approvals?tenant=default")).status_code == 404
    assert await world.approvals.votes(asked.id) == []


async def test_who_owns_the_platform_answers_for_every_tenant(world):
    (asked,) = await world.asks(tenant="elsewhere")

    answer = await world.ask("root", "POST", f"/admin/approvals/{asked.id}/approve")

    assert answer.status_code == 200
    (entry,) = await world.entries()
    assert (entry.actor.id, entry.actor.tenant, entry.object.tenant) == ("key_root", "default", "elsewhere")


async def test_a_group_is_asked_and_nobody_else(world):
    (asked,) = await world.asks(groups=("sre",))

    other = await world.ask("root", "POST", f"/admin/approvals/{asked.id}/approve")
    member = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")

    assert (other.status_code, member.status_code) == (403, 200)


async def test_what_is_refused_is_written_down_too(world):
    (asked,) = await world.asks()

    await world.ask("bob", "POST", f"/admin/approvals/{asked.id}/approve")

    (entry,) = await world.entries()
    assert (entry.action, entry.actor.id, entry.details["code"]) == ("approval.refused", "key_bob", "forbidden")


async def test_an_answer_that_cannot_be_written_down_is_not_counted(world, monkeypatch):
    (asked,) = await world.asks()
    monkeypatch.setattr(world.audit._queue, "intend", lambda event: False)

    answer = await world.ask("ada", "POST", f"/admin/approvals/{asked.id}/approve")

    assert answer.status_code == 503
    assert await world.approvals.votes(asked.id) == []


async def test_expiry_and_a_vote_at_the_same_moment_are_one_decision(world):
    asked = [(await world.asks())[0] for _ in range(8)]
    world.now += 3599.5
    statuses = {}

    async def vote(one):
        statuses[one.id] = (await world.ask("ada", "POST", f"/admin/approvals/{one.id}/approve")).status_code

    async def expire():
        world.now += 1
        await world.people.expiring.look()

    async with anyio.create_task_group() as tasks:
        for number, one in enumerate(asked):
            tasks.start_soon(vote, one)
            if number == 3:
                tasks.start_soon(expire)

    for one in asked:
        kept = await world.found(one)
        assert (kept.state, statuses[one.id]) in {("approved", 200), ("expired", 409)}
        assert kept.continuation


async def test_a_process_lets_expire_what_is_over_by_itself(tmp_path):
    async with approvals_world(tmp_path, ApprovalSettings(poll=0.01)) as world:
        (asked,) = await world.asks()
        world.now += 3601

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.people.expiring.run)
            with anyio.fail_after(10):
                while (await world.found(asked)).state == "pending":
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

        assert world.counts.expired.values() == {(): 1}


async def test_a_run_is_shown_with_what_it_did_and_what_it_asks(world):
    (asked,) = await world.asks()

    shown = (await world.ask("aud", "GET", f"/admin/runs/{asked.run}")).json()
    listed = (await world.ask("aud", "GET", "/admin/runs?status=waiting&agent=sre-helper")).json()

    assert (shown["status"], shown["agent"], shown["user"]) == ("waiting", "sre-helper", "bob")
    assert [(call["tool"], call["state"]) for call in shown["calls"]] == [("scale", "awaiting_approval")]
    assert [one["id"] for one in shown["approvals"]] == [asked.id]
    assert shown["spent"]["tool_calls"] == 0
    assert [run["id"] for run in listed["data"]] == [asked.run]
    assert (await world.ask("aud", "GET", "/admin/runs?status=failed")).json()["data"] == []


async def test_the_events_of_a_run_come_with_their_numbers_and_go_on_after_any(world):
    (asked,) = await world.asks()
    path = f"/admin/runs/{asked.run}/events"

    whole = await world.ask("aud", "GET", path)
    after = await world.ask("aud", "GET", f"{path}?starting_after=0")
    browser = await world.http.get(path, headers={"authorization": f"Bearer {world.keys['aud']}", "last-event-id": "0"})

    assert whole.headers["content-type"].startswith("text/event-stream")
    assert whole.text.startswith("id: 0\nevent: response.completed\ndata: {")
    assert (after.text, browser.text) == ("", "")


@pytest.mark.parametrize(
    ("who", "path", "status"), [("mem", "events", 403), ("foe", "events", 404), ("aud", "events?starting_after=x", 400)]
)
async def test_events_are_for_those_who_may_read_them(world, who, path, status):
    (asked,) = await world.asks()

    assert (await world.ask(who, "GET", f"/admin/runs/{asked.run}/{path}")).status_code == status


@pytest.mark.parametrize(("who", "status"), [("adm", 200), ("aud", 403), ("ada", 403), ("foe", 404)])
async def test_runs_are_ended_by_those_who_may_change_things(world, who, status):
    (asked,) = await world.asks()

    assert (await world.ask(who, "POST", f"/admin/runs/{asked.run}/cancel")).status_code == status
    assert ((await world.found(asked)).state == "cancelled") is (status == 200)


@pytest.mark.parametrize(("who", "status"), [("aud", 403), ("ada", 403), ("mem", 403), ("foe", 404)])
@pytest.mark.parametrize(("what", "body"), [("fork", {"at": 0}), ("replay", {})])
async def test_runs_are_made_from_others_by_those_who_may_change_things(world, who, status, what, body):
    (asked,) = await world.asks()

    answer = await world.ask(who, "POST", f"/admin/runs/{asked.run}/{what}", json=body)

    assert answer.status_code == status, answer.text
    assert [run.id for run in await world.runs.list(None)] == [asked.run]


@pytest.mark.parametrize("what", ["fork", "replay"])
async def test_who_owns_the_platform_makes_no_runs_in_another_tenant(world, what):
    """He sees it; but what it does would be done in his name, and what was said would go where his calls go."""
    (asked,) = await world.asks(tenant="elsewhere")

    assert (await world.ask("root", "GET", f"/admin/runs/{asked.run}")).status_code == 200
    body = {"at": 0} if what == "fork" else {}
    answer = await world.ask("root", "POST", f"/admin/runs/{asked.run}/{what}", json=body)

    assert (answer.status_code, "own tenant" in answer.json()["error"]["message"]) == (403, True)


async def test_how_a_replay_compares_is_for_those_who_may_read(world):
    (asked,) = await world.asks()

    statuses = [
        (await world.ask(who, "GET", f"/admin/runs/{asked.run}/comparison")).status_code
        for who in ("aud", "mem", "foe")
    ]

    assert statuses == [409, 403, 404]
