"""People's own connections to a server: one each, so many at most, closed when nobody uses them, and made anew when they break."""

from contextlib import asynccontextmanager

import anyio
import pytest

from gateway.core.caller import ANONYMOUS, Caller
from gateway.core.tools import ToolOutput
from gateway.tools.connection import CannotConnect, Signals, ToolCallAsked
from gateway.tools.hub import ToolNotReached, ToolUnauthorized
from gateway.tools.oauth.wire import AuthorizationFailed
from gateway.tools.offers import OfferAsked, Page
from gateway.tools.personal import KEY, Personal, holder_of

ADA = Caller(id="key_1", kind="key", tenant="acme", user="ada")
BOB = Caller(id="key_2", kind="key", tenant="acme", user="bob")


class Office:
    """A server in memory: `opened` and `closed` are whose connections were; `refuse` keeps any from being made, `token` may raise."""

    def __init__(self, **settings):
        self.opened, self.closed, self.signals = [], [], {}
        self.refuse = ""
        self.hold = anyio.Event()
        self.hold.set()
        self.error = None
        self.token_error = None
        self.personal = Personal("notes", self.of, **({"most": 2, "idle": 60, "start_timeout": 5} | settings))

    def of(self, holder):
        return _Connector(self, holder.person)

    async def call(self, caller, seconds=5.0, **answers):
        return await self.personal.call(
            caller, ToolCallAsked(tool=None, arguments={}, key="k", seconds=seconds, answers=answers)
        )


class _Connector:
    def __init__(self, office, person):
        self.office, self.person, self.bearer = office, person, self

    async def token(self):
        if self.office.token_error is not None:
            raise self.office.token_error
        return "t"

    @asynccontextmanager
    async def open(self):
        if self.office.refuse:
            raise CannotConnect(self.office.refuse)
        self.office.opened.append(self.person)
        self.signals = self.office.signals[self.person] = Signals()
        try:
            yield self
        finally:
            self.office.closed.append(self.person)

    async def call(self, asked):
        await self.office.hold.wait()
        if self.office.error is not None:
            raise self.office.error
        return ToolOutput(text=self.person)

    async def ask(self, asked, seconds):
        if self.office.error is not None:
            raise self.office.error
        return {"contents": [{"uri": asked.params["uri"], "text": self.person}]}

    async def offered(self, kind, wanted):
        return Page()

    async def listen(self):
        """It tells of nothing."""

    async def watch(self, watched):
        await anyio.sleep_forever()


@asynccontextmanager
async def office(**settings):
    made = Office(**settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.personal.run)
        await anyio.wait_all_tasks_blocked()
        yield made
        tasks.cancel_scope.cancel()


async def until(holds):
    with anyio.fail_after(5):
        while not holds():
            await anyio.sleep(0.005)


async def test_each_has_a_connection_that_is_used_again_and_nobody_elses():
    async with office() as notes:
        said = [(await notes.call(caller)).text for caller in (ADA, BOB, ADA, BOB)]

    assert said == ["user:ada", "user:bob", "user:ada", "user:bob"]
    assert notes.opened == ["user:ada", "user:bob"]
    assert sorted(notes.closed) == ["user:ada", "user:bob"]


def test_the_same_name_of_another_kind_or_tenant_is_somebody_else():
    callers = [
        ADA,
        Caller(id="ada", kind="key", tenant="acme"),
        Caller(id="x", kind="jwt", tenant="globex", user="ada"),
    ]

    assert len({holder_of(caller, "notes") for caller in callers}) == 3
    assert holder_of(Caller(id="other_key", kind="key", tenant="acme", user="ada"), "notes") == holder_of(ADA, "notes")


async def test_who_is_not_known_has_no_account():
    async with office() as notes:
        with pytest.raises(ToolNotReached, match="nobody knows who asks"):
            await notes.call(ANONYMOUS)


async def test_with_too_many_the_one_that_nobody_uses_makes_room():
    async with office(most=1) as notes:
        await notes.call(ADA)
        await notes.call(BOB)
        await until(lambda: notes.closed == ["user:ada"])
        notes.hold = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(notes.call, BOB)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ToolNotReached, match="More than 1"):
                await notes.call(ADA)
            notes.hold.set()

        assert notes.personal.open == 1


async def test_what_nobody_uses_is_closed_and_opened_again_when_it_is():
    async with office(idle=0.05) as notes:
        await notes.call(ADA)
        await until(lambda: notes.closed == ["user:ada"])
        assert notes.personal.open == 0
        assert (await notes.call(ADA)).text == "user:ada"

    assert notes.opened == ["user:ada", "user:ada"]


async def test_a_call_that_takes_longer_than_that_is_not_cut_off():
    async with office(idle=0.02) as notes:
        notes.hold = anyio.Event()
        said = []

        async def ask():
            said.append((await notes.call(ADA)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.move_on_after(0.1):
                await anyio.sleep_forever()
            notes.hold.set()

    assert (said, notes.opened) == (["user:ada"], ["user:ada"])


async def test_one_that_broke_or_was_taken_back_is_made_anew():
    async with office() as notes:
        await notes.call(ADA)
        notes.signals["user:ada"].breaks("the server went away")
        await notes.call(ADA)
        notes.personal.forget(holder_of(ADA, "notes"))
        await notes.call(ADA)

    assert notes.opened == ["user:ada"] * 3


async def test_a_server_that_does_not_take_it_is_told_and_tried_again_at_the_next_call():
    async with office() as notes:
        notes.refuse = "it is closed today"
        with pytest.raises(ToolNotReached, match="closed today"):
            await notes.call(ADA)
        notes.refuse = ""
        assert (await notes.call(ADA)).text == "user:ada"


@pytest.mark.parametrize("how", ["no grant", "taken back in the midst"])
async def test_who_has_not_connected_an_account_is_asked_to_and_only_once_a_call(how):
    async with office() as notes:
        if how == "no grant":
            notes.token_error = AuthorizationFailed("nobody has", again=True)
        else:
            notes.error = ToolUnauthorized("over")
        [wish] = (await notes.call(ADA)).wishes
        again = await notes.call(ADA, **{KEY: None})

    assert (wish.key, wish.url, wish.schema) == (KEY, "", {})
    assert "switchgear tools connect notes" in wish.message
    assert again.is_error


def read(caller):
    return OfferAsked(method="resources/read", params={"uri": "memo://mine"}, caller=caller)


async def test_each_reads_with_an_account_of_his_own():
    async with office() as notes:
        said = [await notes.personal.ask(read(caller), 5.0) for caller in (ADA, BOB)]

    assert [one["contents"][0]["text"] for one in said] == ["user:ada", "user:bob"]


@pytest.mark.parametrize("how", ["no grant", "taken back in the midst"])
async def test_who_has_no_account_to_read_with_is_told_where_to_connect_one(how):
    async with office() as notes:
        if how == "no grant":
            notes.token_error = AuthorizationFailed("nobody has", again=True)
        else:
            notes.error = ToolUnauthorized("over")
        with pytest.raises(ToolUnauthorized, match="switchgear tools connect notes"):
            await notes.personal.ask(read(ADA), 5.0)


async def test_an_authorization_server_that_is_away_is_no_reason_to_ask_a_person():
    async with office() as notes:
        notes.token_error = AuthorizationFailed("it did not answer")
        with pytest.raises(ToolNotReached, match="did not answer"):
            await notes.call(ADA)
