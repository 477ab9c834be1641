"""What is slow is judged elsewhere and stopped; who judges something ordinary meanwhile does not notice."""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio
import pytest

from gateway.core.errors import Overloaded, UnsupportedSchema
from gateway.schemas.judge import Judges
from gateway.schemas.worker import Judging

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
WIDE = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}}
# Each level of the answer is judged twice as often as the one above it.
FORKED = {
    "$defs": {"n": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": m} for m in (9, 5)]}},
    "$ref": "#/$defs/n",
}
DEEP = "[" * 40 + "]" * 40


@pytest.fixture
async def judging():
    judging = Judging(deadline=0.6)
    yield judging
    await judging.aclose()


def runs(pid):
    """Whether a process lives; a zombie whose parent is gone does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_an_ordinary_schema_starts_no_process(judging):
    assert await judging.violations(PERSON, '{"name": "Ada"}') == ()
    assert (await judging.violations(PERSON, "{}"))[0].keyword == "required"
    await judging.check(PERSON)

    assert judging.pids == ()


async def test_a_large_schema_is_judged_in_another_process_with_the_same_verdict(judging):
    await judging.check(WIDE)

    assert await judging.violations(WIDE, '{"p1": "x"}') == ()
    (found,) = await judging.violations(WIDE, '{"p1": 5}')
    assert (found.pointer, found.keyword) == ("/p1", "type")
    assert len(judging.pids) == 1


async def test_what_takes_too_long_is_killed_in_time_and_the_next_is_served(judging):
    await judging.check(WIDE)
    (first,) = judging.pids

    with anyio.fail_after(10):
        began = anyio.current_time()
        with pytest.raises(UnsupportedSchema, match=r"longer than 0\.6 s"):
            await judging.violations(FORKED, DEEP)
        took = anyio.current_time() - began

        assert await judging.violations(WIDE, '{"p1": 5}')
    assert took < 3
    assert judging.killed == 1
    assert not runs(first)


async def test_a_schema_that_was_too_slow_three_times_is_not_tried_again(judging):
    for _ in range(3):
        with pytest.raises(UnsupportedSchema):
            await judging.violations(FORKED, DEEP)
    sent = judging.sent

    with pytest.raises(UnsupportedSchema, match="longer"):
        await judging.violations(FORKED, DEEP)
    assert judging.sent == sent


async def test_a_caller_who_leaves_takes_the_work_with_it(judging):
    await judging.check(WIDE)
    (first,) = judging.pids

    with anyio.move_on_after(0.1):
        await judging.violations(FORKED, DEEP)

    assert not runs(first)
    assert await judging.violations(WIDE, "{}") == ()


async def test_a_child_that_dies_is_replaced(judging):
    await judging.check(WIDE)
    (first,) = judging.pids
    os.kill(first, signal.SIGKILL)
    with anyio.fail_after(10):
        found = await judging.violations(WIDE, '{"p1": 5}')

    assert found[0].pointer == "/p1"


async def test_more_than_may_wait_are_refused_at_once(judging):
    refused = []

    async def one():
        try:
            await judging.violations(FORKED, DEEP)
        except Overloaded as error:
            refused.append(error)
        except UnsupportedSchema:
            pass

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(80):
                tasks.start_soon(one)

    assert len(refused) > 10


async def test_a_lone_surrogate_in_a_large_answer_is_a_violation(judging):
    (found,) = await judging.violations(WIDE, '"\ud800"')

    assert found.keyword == "json"


async def test_a_child_ends_with_its_parent_even_at_work():
    program = f"""
import anyio, json, os
from gateway.schemas.worker import Judging
async def main():
    judging = Judging(deadline=1)
    await judging.check({WIDE!r})
    print(judging.pids[0], flush=True)
    await judging.violations({FORKED!r}, {DEEP!r})
anyio.run(main)
"""
    with subprocess.Popen(  # noqa: ASYNC220 nothing else runs here
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()

    with anyio.fail_after(6):
        while runs(child):
            await anyio.sleep(0.05)


def doubled(keyword, times):
    parts = {"a0": {"type": "string"}}
    for number in range(1, times):
        parts[f"a{number}"] = {keyword: [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    return {"$defs": parts, "$ref": f"#/$defs/a{times - 1}"}


def hostile(port):
    return [
        ({"pattern": "^(a+)+$"}, json.dumps("a" * 30_000 + "!")),
        ({"pattern": "^(?=(((a|a)+)+)+b)(a|a)+$"}, json.dumps("a" * 3_000 + "!")),
        (
            {"patternProperties": {f"^(x{n}a+)+b*$": {} for n in range(400)}},
            json.dumps({f"x{n}": 1 for n in range(500)}),
        ),
        ({"pattern": "((a{50}){50}){50}"}, '"a"'),
        ({"anyOf": [{"properties": {"a": {"const": n}}, "required": ["a"]} for n in range(1000)]}, '{"a": -1}'),
        ({"anyOf": [{"const": n} for n in range(5000)]}, "-1"),
        (FORKED, DEEP),
        ({"$ref": f"http://127.0.0.1:{port}/x.json"}, "{}"),
        ({"$id": f"http://127.0.0.1:{port}/", "items": {"$ref": "other"}}, "[1]"),
        ({"$schema": f"http://127.0.0.1:{port}/meta"}, "{}"),
        ({"enum": [{"a": n} for n in range(9_000)]}, '{"a": -1}'),
        ({"uniqueItems": True}, json.dumps([{"a": n, "b": [n]} for n in range(20_000)])),
        (doubled("allOf", 30), '"x"'),
        (doubled("anyOf", 17), "1"),
        ({"contains": {"const": {"a": 1}}, "minContains": 2}, json.dumps([{"a": 2}] * 50_000)),
    ]


async def test_hostile_schemas_take_no_longer_than_allowed_fetch_nothing_and_hold_up_nobody(judging):
    reached = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()

    def listen():
        while not over.is_set():
            try:
                reached.append(listener.accept())
            except TimeoutError:
                continue

    thread = threading.Thread(target=listen)
    thread.start()
    cases = hostile(listener.getsockname()[1])
    hostile_times = []
    ordinary = []
    await judging.check(WIDE)

    async def attack():
        for schema, text in cases:
            began = time.perf_counter()
            with contextlib.suppress(UnsupportedSchema, Overloaded):
                await judging.violations(schema, text)
            hostile_times.append(time.perf_counter() - began)

    async def ask():
        while len(hostile_times) < 3 * len(cases):
            began = time.perf_counter()
            assert await judging.violations(PERSON, '{"name": "Ada"}') == ()
            ordinary.append(time.perf_counter() - began)
            await anyio.sleep(0.002)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(attack)
            tasks.start_soon(ask)
    over.set()
    thread.join()
    listener.close()

    assert reached == []
    # Waiting for a turn, loading a successor, working: each has its own bound.
    assert max(hostile_times) < 6
    assert statistics.median(ordinary) < 0.001
    assert sorted(ordinary)[int(len(ordinary) * 0.99)] < 0.05


def test_the_usual_schema_and_answer_cost_little():
    judges = Judges()
    text = json.dumps({"name": "Ada"})
    judges.compiled(PERSON)
    best = 1.0
    for _ in range(200):
        began = time.perf_counter()
        judges.compiled(PERSON).violations(text)
        best = min(best, time.perf_counter() - began)

    assert best < 100e-6


async def test_patterns_that_look_around_or_back_are_never_judged_in_this_process(judging):
    for pattern in ("(?=a*b)c", r"^(a+)\1$"):
        schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
        before = judging.sent
        (found,) = await judging.violations(schema, '{"a": "ab"}')
        assert (found.keyword, judging.sent) == ("pattern", before + 1)
    schema = {"type": "string", "pattern": "(?=a*b)c"}
    with pytest.raises(UnsupportedSchema, match="takes longer"):
        await judging.violations(schema, json.dumps("a" * 60_000))
