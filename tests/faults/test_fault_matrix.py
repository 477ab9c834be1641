"""The fault matrix: what every fault of an upstream comes to for chat, responses, messages and embeddings, streamed or not.

Each fault is met four ways: by a model whose only target has it, and by one that has a healthy target behind it; whole and
streamed. Each call leaves exactly one record and one row of the ledger, in the database as in the record.
"""

import json
import re
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import anyio
import httpx2
import pytest

from gateway.stores.ledger import RowQuery
from tests.contract.upstream_faulty_server import make_certificates, serving
from tests.faults.fault_table import FAULTS, GENERATED, moves_on, table
from tests.faults.faulty_upstream import APIS, asked, faulty_upstream
from tests.faults.governed_gateways import PEPPER
from tests.faults.test_upstream_matrix import check, pools_are_whole
from tests.faults.upstream_faults import Answered, CutOff, Error
from tests.journeys.running_gateway import running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
TIMEOUTS = "{connect: 0.3, first_token: 0.3, idle: 0.3, total: 1}"
PATIENT = "{connect: 5, first_token: 5, idle: 5, total: 20}"
HEAD = """
database: {kind: sqlite, path: data/gateway.db}
access: {pepper: env:PEPPER, bootstrap_key_file: data/first.key}
logging: {level: error, calls: false}
routing: {retry: {attempts: 2, base: 0.001, longest: 0.002, budget: 1}, breaker: {failures: 10000, least: 1000000}}
"""
SPEAKS = "apis: [chat, responses, messages, embeddings]"


def full_port(stack: ExitStack) -> int:
    """A port that takes no more connections."""
    full = stack.enter_context(socket.socket())
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    for _ in range(4):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", full.getsockname()[1]))
    return full.getsockname()[1]


def closed_port(stack: ExitStack) -> int:
    """A port that nobody listens on, and nobody else takes meanwhile."""
    taken = stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    return taken.getsockname()[1]


async def without_tls(peer):
    """What a web server says to who comes with TLS where there is none."""
    await peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def configuration(addresses) -> str:
    """Providers for the addresses, and two models for every fault: one of its target alone, one with another behind it."""
    lines = [HEAD, "providers:"]
    for name, address in addresses.items():
        timeouts = PATIENT if name == "up-patient" else TIMEOUTS
        lines.append(f'  {name}: {{kind: openai_compatible, base_url: "{address}", {SPEAKS}, timeouts: {timeouts}}}')
    lines.append(f'  chat-only: {{kind: openai_compatible, base_url: "{addresses["up"]}", apis: [chat]}}')
    lines += ["models:", "  calls: chat-only/one-one-index"]
    for name, fault in FAULTS.items():
        provider = "up-patient" if fault.serial else fault.provider
        for count, more in (("one", ""), ("two", ", {provider: up, model: well}")):
            target = f"{{provider: {provider}, model: {count}-{name}}}"
            lines.append(f'  "{count}-{name}": {{targets: [{target}{more}]}}')
    return "\n".join(lines)


@pytest.fixture(scope="module")
async def upstream(tmp_path_factory):
    async with faulty_upstream(tmp_path_factory.mktemp("answers")) as upstream:

        async def behave(peer, request):
            name = re.search(rb'"model": ?"(?:one|two)-([\w-]+)"', request.body)
            fault = None if name is None else FAULTS[name[1].decode()]
            await (upstream.answer_well if fault is None else fault.make(upstream))(peer, request)

        upstream.behave = behave
        yield upstream


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory, upstream):
    folder = tmp_path_factory.mktemp("gateway")
    context, _ = make_certificates(tmp_path_factory.mktemp("certificates"))
    url = f"http://127.0.0.1:{upstream.port}/v1"
    with ExitStack() as stack:
        async with serving(upstream.script, tls=context) as tls, serving(without_tls) as plain:
            addresses = {
                "up": url,
                "up-patient": url,
                "refused": f"http://127.0.0.1:{closed_port(stack)}/v1",
                "dns": "http://upstream.invalid/v1",
                "tls": tls.url,
                "no-tls": plain.url.replace("http:", "https:"),
                "full": f"http://127.0.0.1:{full_port(stack)}/v1",
            }
            async with running(folder, configuration(addresses), environ=PEPPER) as gateway:
                gateway.owner = {"authorization": f"Bearer {(folder / 'data' / 'first.key').read_text().strip()}"}
                yield gateway


class Asker:
    """Makes the calls of one fault, and notes what is wrong."""

    def __init__(self, gateway, name):
        self.gateway = gateway
        self.name = name
        self.fault = FAULTS[name]
        self.wrong = []
        self.calls = 0

    async def run(self):
        headers = self.gateway.owner
        async with httpx2.AsyncClient(base_url=self.gateway.url, timeout=20, headers=headers) as http:
            cells = [
                (api, stream, count)
                for api in self.fault.only
                for stream in (False, True)
                for count in ("one", "two")
                if (api in GENERATED or not stream) and self.expected(stream) is not None
            ]
            self.calls = len(cells)
            if self.fault.serial:
                for cell in cells:
                    self._forget_rests()
                    await self.ask(http, *cell)
                return
            async with anyio.create_task_group() as tasks:
                for cell in cells:
                    tasks.start_soon(self.ask, http, *cell)

    def expected(self, stream):
        return self.fault.stream if stream else self.fault.whole

    def _forget_rests(self):
        """One call's Retry-After must not spare the target of the next: what comes of it is asked elsewhere."""
        for condition in self.gateway.application.conditions:
            condition.cooling_until = 0.0

    async def ask(self, http, api, stream, count):
        expected = self.expected(stream)
        helped = count == "two" and moves_on(self.fault, expected)
        body = asked(api, stream=stream, model=f"{count}-{self.name}")
        try:
            response = await http.post(APIS[api], json=body)
            told = Answered() if helped else expected
            check(told, api, response, response.content)
            record = await self.record_of(response.headers["x-switchgear-call-id"])
            self.check_record(record, told, self.route(count, expected, helped=helped))
            await self.check_row(record)
        except (AssertionError, KeyError, ValueError, httpx2.HTTPError) as error:
            where = f"{api}, {'stream' if stream else 'whole'}, {count}"
            self.wrong.append(f"{where}: {type(error).__name__}: {error}")

    def route(self, count, expected, *, helped):
        """The targets that are tried, in order."""
        provider = "up-patient" if self.fault.serial else self.fault.provider
        bad = f"{provider}/{count}-{self.name}"
        if helped:
            return (bad, "up/well")
        tries = 2 if isinstance(expected, Error) and self.fault.tried == "again" and count == "one" else 1
        return (bad,) * tries

    async def record_of(self, call):
        with anyio.move_on_after(2):  # the record is made after the answer has left
            while not any(record.id == call for record in self.gateway.records):
                await anyio.sleep(0.005)
        [record] = [record for record in self.gateway.records if record.id == call]
        return record

    def check_record(self, record, told, route):
        assert record.route == route
        assert record.duration < 20
        if isinstance(told, Answered):
            assert record.error is None, record.error
            assert record.usage is not None
            assert record.usage.estimated == (not told.usage), record.usage
        else:
            assert record.error
            assert record.status == (200 if isinstance(told, CutOff) else told.status) or isinstance(told, CutOff)

    async def check_row(self, record):
        kept = self.gateway.application.governance.kept
        await kept.ledger.flush()
        page = await kept.services.ledger.find_rows(RowQuery(ids=(record.id,)))
        [row] = page.rows
        assert (row.id, row.status, row.error, row.route) == (
            record.id, record.status, record.error or "", record.route,
        )  # fmt: skip
        counted = record.usage
        assert (row.input, row.output, row.estimated) == (
            (None, None, False) if counted is None else (counted.input, counted.output, counted.estimated)
        )
        assert row.decision == record.decision


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_told_or_mended_and_leaves_one_record_and_one_row(gateway, name):
    gateway.forget()
    kept = gateway.application.governance.kept
    before = Counter(row.model for row in (await kept.services.ledger.find_rows(RowQuery(limit=1000))).rows)
    asker = Asker(gateway, name)
    with anyio.fail_after(40):
        await asker.run()

    # No pytest.fail: what it raises ends the event loop's runner, and every test after this one.
    assert not asker.wrong, "\n".join(sorted(asker.wrong))
    assert len(gateway.records) == asker.calls
    await kept.ledger.flush()
    rows = Counter(row.model for row in (await kept.services.ledger.find_rows(RowQuery(limit=1000))).rows)
    assert (rows - before).total() == asker.calls
    with anyio.fail_after(3):
        while not (gateway.idle and pools_are_whole(gateway)):
            await anyio.sleep(0.005)


def calls_in(api, stream, text):
    """The tools that an answer calls, with their arguments, by id."""
    if not stream:
        answer = json.loads(text)
        if api == "responses":
            return {one["call_id"]: json.loads(one["arguments"]) for one in answer["output"]}
        return {one["id"]: one["input"] for one in answer["content"]}
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    if api == "responses":
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        return {one["call_id"]: json.loads(one["arguments"]) for one in items}
    blocks = {
        event["index"]: event["content_block"]["id"] for event in events if event["type"] == "content_block_start"
    }
    said = dict.fromkeys(blocks.values(), "")
    for event in events:
        if event["type"] == "content_block_delta":
            said[blocks[event["index"]]] += event["delta"]["partial_json"]
    return {name: json.loads(arguments) for name, arguments in said.items()}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", ["messages", "responses"])
async def test_two_calls_under_one_index_are_two_calls_to_callers_of_other_dialects(gateway, api, stream):
    async with httpx2.AsyncClient(base_url=gateway.url, headers=gateway.owner) as http:
        answer = await http.post(APIS[api], json=asked(api, stream=stream, model="calls"))

    assert calls_in(api, stream, answer.text) == {"call_a": {"city": "Aachen"}, "call_b": {"city": "Bonn"}}


def test_the_page_says_what_the_table_says():
    found = re.search(r"<!-- faults -->\n(?:\|.*\n){2}((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"))

    assert found is not None
    assert found[1].splitlines() == table()
