"""Whole gateways with limits and a ledger, as processes, and what the tests of governance ask of them over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import anyio
import msgspec

from tests.faults.faulty_upstream import APIS, asked
from tests.journeys.running_gateway import ServedProcess, served_process

DIALECTS = ("chat", "responses", "messages")
BOUNDS = {"chat": "max_completion_tokens", "responses": "max_output_tokens", "messages": "max_tokens"}
PATIENCE = 20
PEPPER = {"PEPPER": "a-pepper-of-the-tests-that-is-long-enough"}
ACCESS = "access: {pepper: env:PEPPER, bootstrap_key_file: data/first.key, keys_refresh: 0.1}"


class Answer(msgspec.Struct, frozen=True):
    """What a client was told. A `status` of 0: the connection ended before an answer. `seconds` is how long it all took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def call(self) -> str:
        """The call's id, also in the ledger."""
        return self.headers.get("x-switchgear-call-id", "")

    @property
    def error(self):
        """An error, in whichever dialect it came."""
        return json.loads(self.body)["error"]


class Replica:
    """A gateway that runs, a key for calls and one for administration."""

    def __init__(self, process: ServedProcess, owner: str, key: str) -> None:
        self.process = process
        self.port = process.port
        self.owner = owner
        self.key = key

    async def ask(
        self,
        dialect: str = "chat",
        *,
        stream: bool = False,
        most: int = 100,
        model: str = "talker",
        text: str = "hello",
    ) -> Answer:
        """Make one call on a connection of its own; `most` bounds the answer's tokens."""
        body = asked(dialect, stream=stream, model=model, text=text) | {BOUNDS[dialect]: most}
        return await request(self.port, "POST", APIS[dialect], self.key, body)

    async def read(self, path: str, **query: str):
        """Read what an administrator may see."""
        answer = await request(self.port, "GET", f"{path}?{urlencode(query)}" if query else path, self.owner)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    async def metric(self, name: str) -> float:
        """Give a metric, summed over its labels."""
        answer = await request(self.port, "GET", "/metrics", self.owner)
        lines = [line for line in answer.body.decode().splitlines() if line.partition("{")[0].split(" ")[0] == name]
        assert lines, f"there is no metric {name}"
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    async def rows(self, **where: str) -> list[dict[str, object]]:
        """Give the rows of the ledger."""
        page = await self.read("/admin/calls", limit="1000", **where)
        rows = page["data"]
        while page["has_more"]:
            page = await self.read("/admin/calls", limit="1000", after=page["next"], **where)
            rows += page["data"]
        return rows


async def rows_of(books: Sequence[Replica], calls: int, **where: str) -> list[dict[str, object]]:
    """Wait until these gateways' ledgers together have so many rows, and give all that there are."""
    with anyio.fail_after(PATIENCE):
        while True:
            rows = [row for replica in books for row in await replica.rows(**where)]
            if len(rows) >= calls:
                return rows
            await anyio.sleep(0.05)


async def request(port: int, method: str, path: str, key: str, body: Mapping[str, object] | None = None) -> Answer:
    """Ask once, without a client library: a thousand of these at once cost the machine little."""
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    got, began = b"", asyncio.get_running_loop().time()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head.encode() + data)
            got = await reader.read(-1)
        finally:
            writer.close()
    except OSError:
        pass  # The gateway is dead, or dies.
    return _answer(got, asyncio.get_running_loop().time() - began)


def _answer(got: bytes, seconds: float) -> Answer:
    head, _, body = got.partition(b"\r\n\r\n")
    if not head:
        return Answer(0, {}, b"", seconds)
    status, *lines = head.decode().split("\r\n")
    return Answer(int(status.split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines), body, seconds)


@asynccontextmanager
async def governed(
    folders: Sequence[Path], config: str, environ: Mapping[str, str] | None = None, *, before: Sequence[Replica] = ()
) -> AsyncIterator[list[Replica]]:
    """Run a gateway in each folder. Those that share a database share the first one's keys, or that of those `before`."""
    async with AsyncExitStack() as stack:
        replicas: list[Replica] = []
        for folder in folders:
            environment = {**PEPPER, **(environ or {})}
            process = await stack.enter_async_context(served_process(folder, config, environment))
            replicas.append(await _with_keys(process, folder / "data" / "first.key", [*before, *replicas]))
        yield replicas


async def _with_keys(process: ServedProcess, first: Path, before: Sequence[Replica]) -> Replica:
    owner = _read(first)
    if not owner:
        owner, key = before[0].owner, before[0].key
        with anyio.fail_after(PATIENCE):
            while (await request(process.port, "GET", "/v1/models", key)).status == 401:
                await anyio.sleep(0.02)
        return Replica(process, owner, key)
    made = await request(process.port, "POST", "/admin/keys", owner, {"name": "calls"})
    assert made.status == 200, made
    return Replica(process, owner, json.loads(made.body)["key"])


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
