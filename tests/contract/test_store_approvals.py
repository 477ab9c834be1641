"""Approvals on every database: one decision however many answer at once, of exactly what was seen, and used once."""

import anyio
import pytest

from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.stores.approvals import AlreadyDecided, EditedMeanwhile, VotedAlready
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import events, found, held
from tests.contract.tool_records import (
    EDITED,
    SHOWN,
    approval,
    asking,
    digest,
    goes_on,
    notice,
    replace,
    starting,
    vote,
    waits,
)


@pytest.fixture
def runs(database):
    return SqlRuns(database)


@pytest.fixture
def approvals(database):
    return SqlApprovals(database)


@pytest.fixture
def calls(database):
    return SqlToolCalls(database)


@pytest.fixture
def outbox(database):
    return SqlOutbox(database)


async def letters(outbox):
    taken = await outbox.take(["slack", "webhook", "approval"], now=1e9, until=2e9, most=100)
    return [(letter.kind, letter.dedupe) for letter in taken]


async def the(approvals, number=1):
    kept = await approvals.find("acme", f"mcpr_{number}")
    assert kept is not None
    return kept


async def test_an_approval_comes_back_with_all_that_is_shown_of_it(runs, approvals):
    asked = approval(**SHOWN)
    await waits(runs, asked, approval(2))

    assert await the(approvals) == asked
    assert await the(approvals, 2) == approval(2)
    assert await approvals.of_run("resp_1") == [asked, approval(2)]
    assert await approvals.find(None, "mcpr_1") == asked
    assert list(await approvals.votes("mcpr_1")) == []


async def test_a_question_is_there_when_the_run_waits_and_so_is_the_word_to_people(runs, approvals, calls, outbox):
    """Invariants 7 and 9: in one transaction, and who waits holds nothing."""
    await runs.add(held(), [])
    await runs.write("resp_1", 1, asking(approval(), notices=[notice(), notice(kind="webhook"), notice()]))

    run = await found(runs)
    assert (run.status, run.lease_owner, run.lease_until) == ("waiting", "", None)
    assert [(each.state, each.approval) for each in await calls.calls("resp_1")] == [("awaiting_approval", "mcpr_1")]
    assert await letters(outbox) == [("slack", "mcpr_1:asked"), ("webhook", "mcpr_1:asked")]
    assert list(await runs.claim("replica-2", now=1e9, until=2e9, most=10)) == []


async def test_an_id_of_an_approval_is_taken_once(runs, approvals):
    await waits(runs)
    await runs.add(held("resp_2"), [])

    with pytest.raises(Conflict):
        await runs.write("resp_2", 1, asking(approval(run="resp_2", reason="another"), run="resp_2"))
    assert await the(approvals) == approval()
    assert (await found(runs, "resp_2")).status == "in_progress"


@pytest.mark.parametrize(("approve", "state", "said"), [(True, "approved", "approved"), (False, "denied", "denied")])
async def test_an_answer_decides_the_approval_the_call_and_what_is_said(
    runs, approvals, calls, outbox, approve, state, said
):
    await waits(runs)

    given = vote(approve=approve, reason="nicht vor 18 Uhr \0")
    outcome = await approvals.vote(given, version=1, notices=[notice("mcpr_1:decided")])

    assert outcome.decided
    assert outcome.approval == approval(state=state, decided_at=60.0)
    assert await the(approvals) == outcome.approval
    (kept,) = await approvals.votes("mcpr_1")
    assert kept == replace(given, version=1, reason="nicht vor 18 Uhr \ufffd")
    assert [each.state for each in await calls.calls("resp_1")] == [said]
    assert await letters(outbox) == [("slack", "mcpr_1:decided")]


async def test_so_many_approve_as_are_needed(runs, approvals, calls, outbox):
    await waits(runs, approval(quorum=3))

    for number, by in enumerate(("ada", "ben", "cyn")):
        outcome = await approvals.vote(vote(by, at=60.0 + number), notices=[notice("mcpr_1:decided")])
        assert outcome.decided == (by == "cyn")
        assert [each.approver for each in outcome.votes] == ["ada", "ben", "cyn"][: number + 1]
        assert await letters(outbox) == ([("slack", "mcpr_1:decided")] if by == "cyn" else [])
    assert (await the(approvals)).decided_at == 62.0
    assert [each.state for each in await calls.calls("resp_1")] == ["approved"]


async def test_one_denial_denies_however_many_approve(runs, approvals):
    await waits(runs, approval(quorum=3))
    await approvals.vote(vote("ada"))
    await approvals.vote(vote("ben"))

    outcome = await approvals.vote(vote("cyn", approve=False))
    assert (outcome.decided, outcome.approval.state) == (True, "denied")


async def test_a_person_has_one_vote(runs, approvals):
    await waits(runs, approval(quorum=2))
    await approvals.vote(vote("ada"))

    for again in (vote("ada"), vote("ada", approve=False), vote("ada", at=70.0)):
        with pytest.raises(VotedAlready):
            await approvals.vote(again)
    assert (await the(approvals)).state == "pending"
    assert len(await approvals.votes("mcpr_1")) == 1


async def test_who_comes_late_learns_who_decided_and_when_and_what_goes_on(runs, approvals):
    await waits(runs, approval(expires_at=1e9))
    await approvals.vote(vote("ben", channel="slack", at=800_000_000.0), version=1)

    with pytest.raises(AlreadyDecided, match=r"mcpr_1 was approved by ben \(slack\) at 1995-05-09T06:13:20Z\.$"):
        await approvals.vote(vote("cyn", approve=False))
    await goes_on(approvals)
    with pytest.raises(AlreadyDecided, match=r"approved by ben .* The response resp_2 goes on\."):
        await approvals.vote(vote("cyn"))
    await runs.write("resp_2", 1, starting())
    with pytest.raises(AlreadyDecided, match=r"approved by ben .* The response resp_2 goes on\."):
        await approvals.vote(vote("ben"))
    assert [each.approver for each in await approvals.votes("mcpr_1")] == ["ben"]


async def test_nobody_answers_what_there_is_not(runs, approvals):
    await waits(runs)
    for unknown in ("", "mcpr_2", "mcpr_1\0", "\ud800"):
        with pytest.raises(NotFound):
            await approvals.vote(vote(approval=unknown))
        assert await approvals.find(None, unknown) is None
        assert list(await approvals.votes(unknown)) == []
        assert list(await approvals.of_run(unknown)) == []


async def test_of_twenty_who_answer_at_once_one_decides(runs, approvals, calls, outbox):
    await waits(runs)
    decided, refused = [], []

    async def answer(number: int) -> None:
        given = vote(f"person_{number}", approve=number % 2 == 0, at=60.0 + number)
        try:
            outcome = await approvals.vote(given, notices=[notice(f"decided:{number}")])
            assert outcome.decided
            decided.append(number)
        except AlreadyDecided:
            refused.append(number)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(answer, number)

    (winner,) = decided
    assert len(refused) == 19
    kept = await the(approvals)
    assert (kept.state, kept.decided_at) == ("denied" if winner % 2 else "approved", 60.0 + winner)
    assert [each.state for each in await calls.calls("resp_1")] == [kept.state]
    assert [each.approver for each in await approvals.votes("mcpr_1")] == [f"person_{winner}"]
    assert await letters(outbox) == [("slack", f"decided:{winner}")]


async def test_of_many_who_answer_at_once_as_one_person_one_is_counted(runs, approvals):
    await waits(runs, approval(quorum=2))
    outcomes = []

    async def answer() -> None:
        try:
            await approvals.vote(vote("ada"))
            outcomes.append("counted")
        except VotedAlready:
            outcomes.append("refused")

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(answer)

    assert sorted(outcomes) == ["counted"] + ["refused"] * 9
    assert (await the(approvals)).state == "pending"


async def test_an_edit_is_another_version_for_which_earlier_votes_do_not_count(runs, approvals):
    await waits(runs, approval(quorum=2))
    await approvals.vote(vote("ada"), version=1)

    outcome = await approvals.vote(vote("ben"), version=1, edited=(EDITED, digest(EDITED)))
    assert not outcome.decided
    changed = approval(quorum=2, edited=EDITED, arguments_hash=digest(EDITED), version=2)
    assert outcome.approval == changed
    assert [(each.approver, each.version) for each in outcome.votes] == [("ada", 1), ("ben", 2)]

    with pytest.raises(EditedMeanwhile, match="version 2"):
        await approvals.vote(vote("cyn"), version=1)
    with pytest.raises(VotedAlready):
        await approvals.vote(vote("ben"), version=2)
    assert await the(approvals) == changed
    assert (await approvals.vote(vote("ada"), version=2)).decided
    assert await the(approvals) == replace(changed, state="approved", decided_at=60.0)


async def test_of_two_who_edit_the_same_version_one_does(runs, approvals):
    await waits(runs, approval(quorum=9))
    outcomes = []

    async def edit(by: str) -> None:
        arguments = f'{{"replicas":{len(by)}}}'
        try:
            await approvals.vote(vote(by), version=1, edited=(arguments, digest(arguments)))
            outcomes.append(arguments)
        except EditedMeanwhile:
            pass

    async with anyio.create_task_group() as tasks:
        for number in range(1, 9):
            tasks.start_soon(edit, "a" * number)

    kept = await the(approvals)
    assert [kept.edited] == outcomes
    assert (kept.version, kept.arguments_hash, kept.arguments) == (2, digest(outcomes[0]), approval().arguments)


async def test_who_denies_edits_nothing(runs, approvals):
    await waits(runs)
    with pytest.raises(InvalidRequest):
        await approvals.vote(vote(approve=False), edited=(EDITED, digest(EDITED)))
    assert await the(approvals) == approval()


async def test_what_nobody_answers_in_time_expires_with_its_call_and_people_are_told(runs, approvals, calls, outbox):
    """Invariant 10."""
    await waits(runs, approval(expires_at=100.0), approval(2, expires_at=90.0), approval(3, expires_at=100.1))

    assert list(await approvals.expire(89.9)) == []
    expired = await approvals.expire(100.0)

    assert expired == [
        approval(2, expires_at=90.0, state="expired", decided_at=100.0),
        approval(expires_at=100.0, state="expired", decided_at=100.0),
    ]
    assert [await the(approvals, number) for number in (2, 1)] == expired
    assert [each.state for each in await calls.calls("resp_1")] == ["denied", "denied", "awaiting_approval"]
    assert await letters(outbox) == [("approval", "mcpr_2:expired"), ("approval", "mcpr_1:expired")]
    assert list(await approvals.expire(100.0)) == []
    with pytest.raises(AlreadyDecided, match=r"mcpr_1 expired at 1970-01-01T00:01:40Z\.$"):
        await approvals.vote(vote(at=99.0))


async def test_so_many_expire_at_once(runs, approvals):
    await waits(runs, *(approval(number, expires_at=100.0) for number in range(1, 6)))
    assert [len(await approvals.expire(200.0, most=2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_an_answer_after_the_time_counts_for_nothing_also_before_anybody_looked(runs, approvals):
    await waits(runs)
    with pytest.raises(AlreadyDecided, match="expired at 1970-01-01T00:16:40Z"):
        await approvals.vote(vote(at=1000.0))
    assert await the(approvals) == approval()
    assert (await approvals.vote(vote(at=999.9))).decided


async def test_of_an_answer_and_the_end_of_the_time_one_comes_first(runs, approvals, outbox):
    for number in range(20):
        run = f"resp_{number}"
        await waits(runs, approval(number, run, call="mcp_1", expires_at=100.0), run=run)
    answered, expired = [], []

    async def answer(number: int) -> None:
        try:
            await approvals.vote(vote(number=number, at=99.0), notices=[notice(f"mcpr_{number}:approved")])
            answered.append(number)
        except AlreadyDecided:
            pass

    async def expire() -> None:
        while some := await approvals.expire(100.0, most=3):
            expired.extend(int(one.id.removeprefix("mcpr_")) for one in some)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(answer, number)
        tasks.start_soon(expire)
    await expire()  # what somebody held when it was looked for

    assert sorted([*answered, *expired]) == list(range(20))
    for number in range(20):
        assert (await the(approvals, number)).state == ("approved" if number in answered else "expired")
    assert len(await letters(outbox)) == 20


async def test_approvals_are_listed_newest_first_page_by_page(runs, approvals):
    await waits(runs, *(approval(number, created_at=float(number // 2)) for number in range(1, 6)))
    await waits(runs, approval(7, "resp_7", tenant="globex"), run="resp_7")
    await approvals.vote(vote(number=3))

    def ids(page):
        return [int(one.id.removeprefix("mcpr_")) for one in page]

    assert ids(await approvals.list("acme")) == [5, 4, 3, 2, 1]
    assert ids(await approvals.list(None)) == [7, 5, 4, 3, 2, 1]
    assert ids(await approvals.list("acme", limit=2)) == [5, 4]
    assert ids(await approvals.list("acme", limit=2, after="mcpr_4")) == [3, 2]
    assert ids(await approvals.list("acme", state="pending", after="mcpr_4")) == [2, 1]
    assert ids(await approvals.list("acme", state="approved")) == [3]
    assert ids(await approvals.list(None, run="resp_7")) == [7]
    assert ids(await approvals.list(None, run="resp_8")) == []
    assert ids(await approvals.list("acme", after="mcpr_99")) == []
    assert ids(await approvals.list("globex", after="mcpr_4")) == []


async def test_a_tenant_reaches_nothing_of_anothers(runs, approvals):
    await waits(runs)
    await approvals.vote(vote())
    assert await approvals.find("globex", "mcpr_1") is None
    assert list(await approvals.list("globex")) == []
    with pytest.raises(NotFound):
        await approvals.continue_by("resp_1", held("resp_2", tenant="globex"), [])


async def test_what_is_removed_leaves_nothing_but_word_to_who_still_shows_it(runs, approvals, calls, outbox):
    await waits(runs, approval(), approval(2))
    await approvals.vote(vote())
    await waits(runs, approval(3, "resp_3"), run="resp_3")

    assert await runs.remove("acme", "resp_1")

    assert list(await approvals.of_run("resp_1")) == []
    assert list(await approvals.votes("mcpr_1")) == []
    assert list(await calls.calls("resp_1")) == []
    assert [one.id for one in await approvals.list(None)] == ["mcpr_3"]
    assert await letters(outbox) == [("approval", "mcpr_2:cancelled")]


async def test_runs_that_wait_are_forgotten_when_their_time_is_over(runs, approvals, outbox):
    await runs.add(held(expires_at=500.0), [])
    await runs.write("resp_1", 1, asking(approval()))

    assert await runs.remove_expired(500.0) == 1
    assert list(await approvals.list(None)) == []
    assert await letters(outbox) == [("approval", "mcpr_1:cancelled")]


async def test_an_entry_of_nobody_asks_nothing(runs, approvals):
    """Who was fenced off in the middle leaves no question behind."""
    await runs.add(held(), [])
    await runs.claim("replica-2", now=200.0, until=300.0, most=1)
    with pytest.raises(Conflict):
        await runs.write("resp_1", 1, asking(approval()))
    await runs.write("resp_1", 2, Entry(events=events(0)))
    assert await approvals.find(None, "mcpr_1") is None
