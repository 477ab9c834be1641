"""A place where batches run: a real database, a folder, a clock that stands, and somebody who answers as he is told."""

import json
from collections import Counter

import anyio
import msgspec
import pytest

from gateway.batches.asking import Answer
from gateway.batches.cabinet import Cabinet
from gateway.batches.counts import Counts
from gateway.batches.desk import Desk, Wish
from gateway.batches.means import Means
from gateway.batches.runner import Runner
from gateway.config.batch_settings import BatchSettings
from gateway.config.database_settings import SqliteSettings
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.ids import new_id
from gateway.stores.batches import UNFINISHED
from gateway.stores.batches_sql import SqlBatches
from gateway.stores.database import open_database
from gateway.stores.file_bytes import FileBytes
from gateway.stores.files_sql import SqlFiles

CHAT = "/v1/chat/completions"
CALLER = Caller(id="key_1", tenant="acme")
GOOD = Answer(status=200, request_id="call_1", body=b'{"fine": true}')


SETTINGS = BatchSettings(poll=0.02)


def error(status, retry_after=None):
    return Answer(status=status, request_id="call_2", body=b'{"error": {}}', retry_after=retry_after)


class Answerer:
    """Answers lines: `behave` gives the answer to a text, and may wait. It notes who asked what, and how many at once."""

    def __init__(self):
        self.asked = Counter()
        self.most_at_once = 0
        self._at_once = 0

    async def behave(self, text):
        del text
        return GOOD

    def __call__(self, caller):
        assert caller == CALLER

        async def ask(path, body):
            assert path == CHAT
            text = json.loads(body)["input"]
            self.asked[text] += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                return await self.behave(text)
            finally:
                self._at_once -= 1

        return ask


class Place:
    """Where batches run. `now` is the time of day; `desk` takes them in."""

    def __init__(self, database, folder, settings=SETTINGS):
        self.now = 1000.0
        self.settings = settings
        self.clock = Clock(wall=lambda: self.now)
        self.files, self.batches = SqlFiles(database), SqlBatches(database)
        self.bytes = FileBytes(folder)
        self.bytes.prepare()
        self.cabinet = Cabinet(self.files, self.bytes, settings, clock=self.clock, new_id=new_id)
        self.answerer = Answerer()
        self.counts = Counts()

    def runner(self, store=None):
        means = Means(
            bytes=self.bytes,
            ask_as=self.answerer,
            settings=self.settings,
            body_bytes=10_000,
            depth=20,
            places=anyio.CapacityLimiter(self.settings.at_once),
            counts=self.counts,
            clock=self.clock,
            new_id=new_id,
        )
        return Runner(store or self.batches, self.cabinet, means)

    def desk(self, runner):
        return Desk(self.batches, self.cabinet, runner, self.settings, clock=self.clock, new_id=new_id)

    async def make(self, texts, runner=None):
        """Take in a batch that asks these texts."""
        async with self.cabinet.incoming() as (file, incoming):
            for text in texts:
                line = {"custom_id": text, "method": "POST", "url": CHAT, "body": {"model": "m", "input": text}}
                await incoming.write(json.dumps(line).encode() + b"\n")
        await self.cabinet.keep(file, CALLER, filename="in", size=incoming.size, seconds=None)
        wish = Wish(input_file=file, endpoint=CHAT, window="24h", metadata={})
        return await self.desk(runner or self.runner()).create(CALLER, wish)

    async def state(self, batch):
        return await self.batches.find("acme", batch.id)

    async def until(self, batch, condition):
        with anyio.fail_after(10):
            while True:
                found = await self.state(batch)
                if condition(found):
                    return found
                await anyio.sleep(0.01)

    async def ended(self, batch):
        return await self.until(batch, lambda found: found.status not in UNFINISHED)

    async def run(self, batch, runner=None):
        """Run a batch to its end."""
        async with anyio.create_task_group() as tasks:
            runner = runner or self.runner()
            tasks.start_soon(runner.run)
            ended = await self.ended(batch)
            await runner.finish(10)
            tasks.cancel_scope.cancel()
        return ended

    async def lines(self, file):
        """Give the lines of a result by their ids; none where there is no file."""
        found = file and await self.files.find("acme", file, now=self.now)
        if not found:
            return {}
        data = self.bytes.path(file).read_bytes()
        assert len(data) == found.bytes
        lines = [json.loads(line) for line in data.splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        return {line["custom_id"]: line for line in lines}


@pytest.fixture
async def database(tmp_path):
    opened = await open_database(SqliteSettings(path=str(tmp_path / "switchgear.db")))
    yield opened
    await opened.aclose()


@pytest.fixture
def place(database, tmp_path):
    return Place(database, tmp_path / "files")


@pytest.fixture
def place_with(database, tmp_path):
    """A place with other settings."""

    def make(**changes):
        return Place(database, tmp_path / "files", msgspec.structs.replace(SETTINGS, **changes))

    return make
