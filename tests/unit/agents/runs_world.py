"""Runs in one process, over a real SQLite: a model that says what a test tells it to, and everything else as it is in the server."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import msgspec

from gateway.accounting.limits.estimates import count_by_length
from gateway.agents.counts import Counts
from gateway.agents.desk import Draft
from gateway.agents.executor import Executor
from gateway.agents.listeners import Listeners
from gateway.agents.means import Means
from gateway.agents.running import Running
from gateway.config.database_settings import SqliteSettings
from gateway.config.run_settings import RunSettings
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.errors import UpstreamUnreachable
from gateway.core.events import Finished, ItemFinished, ItemStarted, Started, TextDelta
from gateway.core.ids import new_id
from gateway.core.items import Message, Text
from gateway.core.usage import Usage
from gateway.dialects.openai_responses.compaction import PREFIX
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import model as resource
from gateway.stores.conversations_sql import SqlConversations
from gateway.stores.database import open_database
from gateway.stores.runs_sql import SqlRuns
from gateway.stores.sealing import Seal

SEAL = Seal(b"p" * 32, purpose=b"compaction", prefix=PREFIX)
ADA = Caller(id="ada", tenant="acme")
EVE = Caller(id="eve", tenant="globex")


class Model:
    """A responder. `calls` are those that it was asked; `say` is what it does, which a test may replace."""

    def __init__(self):
        self.calls = []
        self.say = self.echo

    async def __call__(self, call, send):
        self.calls.append(call)
        await self.say(call, send)

    async def echo(self, call, send):
        """Say the last thing that was said, in words."""
        last = call.content.items[-1]
        text = last.parts[0].text if isinstance(last, Message) else "nothing"
        await speak(call, send, ["You ", "said ", text])


async def speak(call, send, words, *, end=True, reason="stop", name="msg_"):
    """One message, in so many pieces; without its end where `end` is false."""
    message = Message(role="assistant", parts=(), id=f"{name}{call.id}")
    await send(Started(id=call.id, model="upstream-name", created=0, target="up/model"))
    await send(ItemStarted(index=0, item=message))
    for word in words:
        await send(TextDelta(index=0, text=word))
    if end:
        whole = msgspec.structs.replace(message, parts=(Text(text="".join(words)),))
        await send(ItemFinished(index=0, item=whole))
        await send(Finished(reason=reason, usage=Usage(input=3, output=len(words))))


async def broken(call, send):
    """Says something, and breaks off."""
    await speak(call, send, ["Half an "], end=False)
    raise UpstreamUnreachable("The line is dead.")


async def endless(call, send):
    await speak(call, send, ["Once ", "upon "], end=False)
    await anyio.sleep_forever()


def route_to(responder, context=None):
    """A route of the model `talker`."""
    subject = resource("talker", ("up",))
    return SimpleNamespace(
        responder=responder,
        subject=subject,
        count_input=count_by_length,
        context=context,
        providers=(),
        helping=(),
    )


class Silent:
    """An Ear."""

    def __init__(self):
        self.told = []

    def asking(self):
        self.told.append("asking")

    def started(self, started):
        self.told.append(started.target)


class World:
    """What a test has: the desk, the stores, the model, and who is known."""

    def __init__(self, database, settings, stores=lambda runs: runs):
        self.model = Model()
        self.counts = Counts()
        self.runs = SqlRuns(database)
        self.conversations = SqlConversations(database)
        self.known = lambda caller: caller
        generation = SimpleNamespace(
            authorizer=Authorizer(None, wall=SYSTEM_CLOCK.wall),
            routes={"talker": route_to(self.model)},
            hold=lambda: None,
            release=lambda: None,
        )
        self.means = Means(
            runs=stores(self.runs),
            conversations=self.conversations,
            settings=settings,
            current=lambda: generation,
            known=self._known,
            counts=self.counts,
            listeners=Listeners(self.counts),
            clock=SYSTEM_CLOCK,
            new_id=new_id,
            owner="this-process",
            seal=SEAL,
        )
        self.executor = Executor(self.means)
        self.desk = Running(self.means, self.executor)

    def _known(self, caller):
        # A test may replace it later.
        return self.known(caller)

    async def answer(self, text="hello", caller=ADA, take=None, **fields):
        """Answer one who waits; the run and its events."""
        events = []

        async def keep(event):
            events.append(event)

        run = await self.desk.answer(draft(text, caller, **fields), take or keep, Silent())
        return run, events

    async def follow(self, run, after=-1):
        """Give the events of a run until its end."""
        events = []

        async def keep(event):
            events.append(event)

        with anyio.fail_after(10):
            await self.desk.follow(run.tenant, run.id, keep, after=after)
        return events

    async def ended(self, run):
        """Wait for a run's end, and give it."""
        await self.follow(run)
        return await self.desk.find(run.tenant, run.id)


def draft(text="hello", caller=ADA, **fields):
    """A request."""
    body = {"model": "talker", "input": text, **fields}
    return Draft(caller=caller, model=body["model"], fields=body, received=SYSTEM_CLOCK.monotonic())


@asynccontextmanager
async def world_in(folder, *, executing=True, stores=lambda runs: runs, **settings):
    """Run one, on a database of its own in `folder`."""
    database = await open_database(SqliteSettings(path=str(folder / "runs.db")))
    world = World(database, RunSettings(**settings), stores)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.executor.run)
            await anyio.wait_all_tasks_blocked()
            if not executing:
                world.executor._leaving = True
            yield world
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await database.aclose()


def said(run):
    """The text of a response."""
    return "".join(part["text"] for item in run.response["output"] for part in item["content"])


def check_stream(events):
    """Numbered without gaps, ended once; its last document."""
    assert [event.seq for event in events] == list(range(len(events)))
    assert [msgspec.json.decode(event.data)["sequence_number"] for event in events] == list(range(len(events)))
    terminal = [
        event for event in events if event.name in ("response.completed", "response.incomplete", "response.failed")
    ]
    assert terminal == events[-1:]
    assert [event.name for event in events].count("response.created") == 1
    return msgspec.json.decode(events[-1].data)["response"]
