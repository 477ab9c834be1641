"""Approvals under people who answer late, twice and against each other, on a clock of its own: what happens is what a simple model says.

The model says beforehand what will come of each step; at the end of each seed the journal itself is read: nothing was begun
without leave for exactly that, and nothing twice.
"""

import random
import shutil

import msgspec
import pytest

from gateway.config.database_settings import SqliteSettings
from gateway.core.errors import Conflict
from gateway.stores.approvals import AlreadyDecided, EditedMeanwhile, NotAnswered, VotedAlready
from gateway.stores.approvals_sql import SqlApprovals
from gateway.stores.database import Database, open_database
from gateway.stores.outbox_sql import SqlOutbox
from gateway.stores.runs import Entry
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.tool_calls import NotConsumed
from gateway.stores.tool_calls_sql import SqlToolCalls
from tests.contract.run_records import held
from tests.contract.tool_records import ARGUMENTS, approval, digest, notice, starting, vote, waits

SEEDS = 120
GROUPS = 6
STEPS = 30
PEOPLE = ("ada", "ben", "cyn", "dan")


class Question(msgspec.Struct):
    """What the model knows of an approval."""

    run: str
    quorum: int
    expires_at: float
    state: str = "pending"
    version: int = 1
    arguments: str = ARGUMENTS
    ayes: set[str] = set()
    used_by: str = ""


class Asked(msgspec.Struct):
    """What the model knows of a run that asked."""

    questions: list[str]
    status: str = "waiting"
    goes_on: str = ""
    cancelled_next: bool = False


class World:
    """Some runs that wait, some people, and the stores."""

    def __init__(self, database: Database, seed: int) -> None:
        self.runs, self.approvals = SqlRuns(database), SqlApprovals(database)
        self.calls, self.outbox = SqlToolCalls(database), SqlOutbox(database)
        self.random = random.Random(seed)
        self.seed = seed
        self.now = 100.0
        self.asked: dict[str, Asked] = {}
        self.questions: dict[str, Question] = {}
        self.said: set[str] = set()
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"{self.seed}_{self.numbers}"

    async def ask(self) -> None:
        run = f"resp_{self.number()}"
        made = []
        for _ in range(self.random.randint(1, 3)):
            id_, expires_at = f"mcpr_{self.number()}", self.now + self.random.choice((5.0, 40.0, 400.0))
            quorum = self.random.choice((1, 1, 2, 3))
            self.questions[id_] = Question(run=run, quorum=quorum, expires_at=expires_at)
            made.append(approval(1, run, id=id_, call=f"of_{id_}", quorum=quorum, expires_at=expires_at))
        self.asked[run] = Asked(questions=[one.id for one in made])
        await waits(self.runs, *made, run=run)

    async def outcome(self, question, expected: type[Exception] | None) -> None:
        if expected is None:
            await question
            return
        with pytest.raises(Conflict) as refused:
            await question
        assert type(refused.value) is expected

    async def answer(self, id_: str) -> None:
        known, by = self.questions[id_], self.random.choice(PEOPLE)
        approve = self.random.random() < 0.7
        arguments = f'{{"replicas":{self.random.randint(1, 9)}}}' if approve and self.random.random() < 0.2 else ""
        seen = known.version - (self.random.random() < 0.1)
        said = notice(f"{id_}:decided:{self.number()}")
        question = self.approvals.vote(
            vote(by, approve=approve, at=self.now, approval=id_),
            version=seen,
            edited=(arguments, digest(arguments)) if arguments else None,
            notices=[said],
        )
        expected = self.refusal(known, by, seen, arguments)
        await self.outcome(question, expected)
        if expected is None:
            self.count(known, by, approve, arguments)
            if known.state != "pending":
                self.said.add(said.dedupe)

    def refusal(self, known: Question, by: str, seen: int, arguments: str) -> type[Exception] | None:
        if known.state != "pending" or known.expires_at <= self.now:
            return AlreadyDecided
        if seen != known.version:
            return EditedMeanwhile
        return VotedAlready if by in known.ayes and not arguments else None

    def count(self, known: Question, by: str, approve: bool, arguments: str) -> None:
        if arguments:
            known.arguments, known.version, known.ayes = arguments, known.version + 1, set()
        if not approve:
            known.state = "denied"
            return
        known.ayes.add(by)
        if len(known.ayes) >= known.quorum:
            known.state = "approved"

    async def expire(self) -> None:
        due = {
            id_ for id_, known in self.questions.items() if known.state == "pending" and known.expires_at <= self.now
        }
        assert {one.id for one in await self.approvals.expire(self.now)} == due
        for id_ in due:
            self.questions[id_].state = "expired"
            self.said.add(f"{id_}:expired")

    async def go_on(self, run: str) -> None:
        known, new = self.asked[run], f"resp_{self.number()}"
        pending = any(self.questions[id_].state == "pending" for id_ in known.questions)
        question = self.approvals.continue_by(run, held(new, continues=run), [])
        if known.goes_on:
            assert not await question
        elif known.status != "waiting":
            await self.outcome(question, Conflict)
        elif pending:
            await self.outcome(question, NotAnswered)
        else:
            assert await question
            known.goes_on, known.status = new, "completed"

    async def begin(self, id_: str) -> None:
        """A run begins a call under an approval: mostly the one that may, with what was approved, and now and then another."""
        known, dice = self.questions[id_], self.random.random()
        runs = [asked.goes_on for asked in self.asked.values() if asked.goes_on]
        if not runs:
            return
        mine = self.asked[known.run].goes_on
        run = mine if mine and dice < 0.85 else self.random.choice(runs)
        arguments = known.arguments if self.random.random() < 0.85 else '{"replicas":99}'
        call = f"did_{id_}" if self.random.random() < 0.7 else f"did_{self.number()}"
        entry = starting(run=run, of=id_, arguments=arguments, id=call)
        may = run == mine and arguments == known.arguments
        may = may and (known.state == "approved" or (known.state == "consumed" and known.used_by == call))
        await self.outcome(self.runs.write(run, 1, entry), None if may else NotConsumed)
        if may:
            known.state, known.used_by = "consumed", call

    async def cancel(self, run: str) -> None:
        known = self.asked[run]
        ended = Entry(status="cancelled")
        kept = await self.runs.request_cancel("acme", run, now=self.now, ended=ended)
        assert kept is not None
        if known.status == "waiting":
            known.status = "cancelled"
        assert kept.status == known.status
        known.cancelled_next = bool(known.goes_on)
        for id_ in known.questions:
            if self.questions[id_].state in ("pending", "approved"):
                self.questions[id_].state = "cancelled"
                self.said.add(f"{id_}:cancelled")

    async def step(self) -> None:
        self.now += self.random.choice((0.1, 1.0, 6.0))
        dice, run = self.random.random(), self.random.choice(list(self.asked))
        id_ = self.random.choice(list(self.questions))
        if dice < 0.08:
            await self.ask()
        elif dice < 0.55:
            await self.answer(id_)
        elif dice < 0.60:
            await self.expire()
        elif dice < 0.75:
            await self.go_on(run)
        elif dice < 0.95:
            await self.begin(id_)
        else:
            await self.cancel(run)

    async def read(self) -> None:
        """What the stores say by themselves."""
        begun: list[str] = []
        for run, asked in self.asked.items():
            kept = await self.runs.find("acme", run)
            assert kept is not None
            assert kept.status == asked.status
            for one in await self.approvals.of_run(run):
                known = self.questions[one.id]
                assert (one.state, one.version, one.edited or one.arguments) == (
                    known.state,
                    known.version,
                    known.arguments,
                )
                assert one.arguments_hash == digest(known.arguments)
                assert (one.continuation, one.consumed_by) == (asked.goes_on, known.used_by)
            if asked.goes_on:
                begun += await self.begun(asked)
            for call in await self.calls.calls(run):
                assert call.state == STATES[self.questions[call.approval].state]
        assert sorted(begun) == sorted(id_ for id_, known in self.questions.items() if known.state == "consumed")
        letters = await self.outbox.take(["slack", "approval"], now=self.now, until=1e9, most=1000)
        assert {letter.dedupe for letter in letters} == self.said
        assert len(letters) == len(self.said)

    async def begun(self, asked: Asked) -> list[str]:
        """Give the approvals under which the run that goes on began calls."""
        next_one = await self.runs.find(None, asked.goes_on)
        assert next_one is not None
        assert (next_one.cancel_requested_at is not None) == asked.cancelled_next
        calls = await self.calls.calls(asked.goes_on)
        for call in calls:
            assert call.arguments == self.questions[call.approval].arguments
        return [call.approval for call in calls]


STATES = {
    "pending": "awaiting_approval",
    "approved": "approved",
    "consumed": "approved",
    "denied": "denied",
    "expired": "denied",
    "cancelled": "cancelled",
}


async def simulate(database: Database, seed: int) -> None:
    world = World(database, seed)
    await world.ask()
    for _ in range(STEPS):
        await world.step()
    await world.read()


@pytest.mark.parametrize("group", range(GROUPS))
async def test_whatever_people_say_one_answer_holds_and_what_it_allows_is_done_once(migrated_sqlite, tmp_path, group):
    for seed in range(group, SEEDS, GROUPS):
        path = tmp_path / f"{seed}.db"
        shutil.copy(migrated_sqlite, path)
        database = await open_database(SqliteSettings(path=str(path)))
        try:
            await simulate(database, seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        finally:
            await database.aclose()
