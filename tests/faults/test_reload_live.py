"""Reloading under traffic: all of the new configuration or nothing, and nobody who is being answered notices."""

import json
import os
import signal
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import STREAM_HEAD, asked, chunk, faulty_upstream
from tests.journeys.running_gateway import running

SCRIPT = "models: {{talker: {{answers: [{{when: {{contains: slow}}, say: {word} one two three four, pace: 0.05}}, {{say: {word}}}]}}}}"
CONFIG = """
providers:
  play: {kind: scripted, document: script.yaml}
models:
  talker: play/talker
"""
MORE = CONFIG + "  second: play/talker\n"


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT.format(word="old"))
    async with running(tmp_path, CONFIG) as gateway:
        gateway.folder = tmp_path
        yield gateway


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http:
        yield http


async def say(http, model="talker"):
    answer = await http.post("/v1/chat/completions", json=asked("chat", stream=False, model=model))
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def generation(gateway):
    return gateway.application.live.report.generation


def replace(path: Path, text: str) -> None:
    """As editors do: a new file in the place of the old one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("write", [Path.write_text, replace], ids=["in place", "atomically"])
async def test_a_change_of_the_file_is_put_into_force(gateway, http, write):
    await anyio.sleep(0.1)  # the watcher's thread begins to watch; it has no event that says so
    write(gateway.folder / "switchgear.yaml", MORE)

    await until(lambda: generation(gateway) == 2)
    assert await say(http, "second") == "old"


async def test_a_symbolic_link_that_is_swapped_is_a_change(tmp_path):
    for name, text in (("1", CONFIG), ("2", MORE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "switchgear.yaml").write_text(text)
    for name in ("switchgear.yaml", "script.yaml"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "script.yaml").write_text(SCRIPT.format(word="old"))
    async with running(tmp_path, CONFIG) as gateway:
        await anyio.sleep(0.1)
        (tmp_path / "..data").symlink_to("2")
        (tmp_path / "new").symlink_to("..data/switchgear.yaml")
        (tmp_path / "new").rename(tmp_path / "switchgear.yaml")

        # Relative paths count from where the link is, as `load` sees it.
        await until(lambda: generation(gateway) == 2)


async def test_a_script_that_says_something_else_is_a_change(gateway, http):
    assert await say(http) == "old"
    await anyio.sleep(0.1)
    (gateway.folder / "script.yaml").write_text(SCRIPT.format(word="new"))

    await until(lambda: generation(gateway) == 2)
    assert await say(http) == "new"
    [change] = gateway.application.live.report.changes
    assert (change.path, change.kind) == ("providers.play.document", "changed")


async def test_sighup_reloads(gateway):
    path = gateway.folder / "script.yaml"
    path.write_text(SCRIPT.format(word="signalled"))
    os.kill(os.getpid(), signal.SIGHUP)

    await until(lambda: generation(gateway) == 2)


async def test_the_reply_says_what_changed_or_that_nothing_did(gateway, http):
    same = await http.post("/admin/reload")
    (gateway.folder / "switchgear.yaml").write_text(MORE + "server: {port: 9999}\n")
    changed = await http.post("/admin/reload")

    assert (same.status_code, same.json()["status"]) == (200, "unchanged")
    assert (changed.status_code, changed.json()["status"]) == (200, "applied")
    assert {"path": "models.second", "kind": "added"} in changed.json()["changes"]
    assert changed.json()["restart"] == ["server.port"]


BROKEN = {
    "no YAML": ("models: [", 1),
    "unknown key": (CONFIG + "modles: {}\n", 6),
    "unknown provider": (CONFIG.replace("play/talker", "pley/talker"), 5),
    "no document": (CONFIG.replace("script.yaml", "gone.yaml"), 3),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_document_changes_nothing_and_says_where_it_is_broken(gateway, http, capsys, case):
    text, line = BROKEN[case]
    (gateway.folder / "switchgear.yaml").write_text(text)

    reply = await http.post("/admin/reload")
    ready = await http.get("/readyz")

    assert reply.status_code == 422
    assert reply.json()["status"] == "refused"
    [fault, *_] = reply.json()["faults"]
    assert fault["file"].endswith("switchgear.yaml")
    assert fault["line"] >= line
    assert await say(http) == "old"
    assert ready.status_code == 200
    told = ready.json()["configuration"]
    assert told["last_reload"] == "refused"
    assert f"switchgear.yaml:{fault['line']}" in told["faults"][0]
    assert "config.reload.refused" in "".join(capsys.readouterr())
    assert generation(gateway) == 1


@pytest.mark.parametrize(
    "script",
    [
        "models: [",
        "models: {talker: {answers: [{sya: x}]}}",
        "models: {talker: {answers: [{when: {matches: '('}, say: x}]}}",
    ],
)
async def test_a_broken_script_changes_nothing_and_is_named(gateway, http, script):
    (gateway.folder / "script.yaml").write_text(script)

    reply = await http.post("/admin/reload")

    assert reply.status_code == 422
    assert reply.json()["faults"][0]["file"].endswith("script.yaml")
    assert await say(http) == "old"
    (gateway.folder / "script.yaml").write_text(SCRIPT.format(word="mended"))
    assert (await http.post("/admin/reload")).json()["status"] == "applied"
    assert await say(http) == "mended"


async def test_a_stream_in_flight_finishes_with_what_it_began(gateway, http):
    body = asked("chat", stream=True, text="slow")
    async with http.stream("POST", "/v1/chat/completions", json=body) as stream:
        pieces = stream.aiter_bytes()
        seen = await anext(pieces)
        (gateway.folder / "script.yaml").write_text(SCRIPT.format(word="new"))
        reply = await http.post("/admin/reload")
        during = await say(http)
        async for piece in pieces:
            seen += piece

    assert reply.json()["status"] == "applied"
    assert during == "new"
    said = [json.loads(line[6:]) for line in seen.decode().split("\n") if line.startswith("data: {")]
    assert (
        "".join(event["choices"][0]["delta"].get("content") or "" for event in said if event["choices"])
        == "old one two three four"
    )


UPSTREAMS = """
providers:
  same: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat]}}
  other: {{kind: openai_compatible, base_url: "{url}/v1", apis: [chat], connections: {connections}}}
models:
  same: same/talker
  other: other/talker
"""


async def test_connections_close_after_the_last_stream_and_what_did_not_change_is_shared(tmp_path):
    go_on = anyio.Event()
    async with faulty_upstream(tmp_path) as upstream:

        async def in_two_halves(peer, request):
            events = upstream.answers.events["chat"]
            await peer.send(STREAM_HEAD + chunk(b"".join(events[:2])))
            await go_on.wait()
            await peer.send(chunk(b"".join(events[2:])) + b"0\r\n\r\n")

        upstream.behave = in_two_halves
        url = f"http://127.0.0.1:{upstream.port}"
        async with (
            running(tmp_path, UPSTREAMS.format(url=url, connections=5)) as gateway,
            httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
        ):
            live = gateway.application.live
            before = live.current().providers
            async with http.stream(
                "POST", "/v1/chat/completions", json=asked("chat", stream=True, model="other")
            ) as stream:
                pieces = stream.aiter_bytes()
                seen = await anext(pieces)
                (tmp_path / "switchgear.yaml").write_text(UPSTREAMS.format(url=url, connections=6))
                assert (await http.post("/admin/reload")).json()["status"] == "applied"
                after = live.current().providers
                still_open = not before["other"]._access.upstream._pool.closing
                go_on.set()
                async for piece in pieces:
                    seen += piece

            assert after["same"] is before["same"]
            assert after["other"] is not before["other"]
            assert still_open
            assert seen.rstrip().endswith(b"data: [DONE]")
            await until(lambda: before["other"]._access.upstream._pool.closing)
            assert not before["same"]._access.upstream._pool.closing
            await until(lambda: upstream.server.open == 0)


async def test_fifty_reloads_under_traffic_lose_nothing(gateway, http):
    answers = []
    stop = anyio.Event()

    async def keep_asking():
        while not stop.is_set():
            answers.append(await say(http))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(keep_asking)
            for number in range(50):
                (gateway.folder / "script.yaml").write_text(SCRIPT.format(word=f"word{number}"))
                reply = await http.post("/admin/reload")
                assert reply.json()["status"] in ("applied", "unchanged")
                assert await say(http) == f"word{number}"
            stop.set()

    assert len(answers) > 50
    assert {record.status for record in gateway.records} == {200}
    await until(lambda: not gateway.application.live._retired)


async def test_what_a_provider_raises_when_it_starts_leaves_the_old_generation_in_force(gateway, http):
    async def fail(providers):
        raise RuntimeError("no more file descriptors")

    gateway.application.live._start = fail
    (gateway.folder / "script.yaml").write_text(SCRIPT.format(word="never"))

    reply = await http.post("/admin/reload")

    assert reply.status_code == 422
    assert "RuntimeError" in reply.json()["faults"][0]["message"]
    assert await say(http) == "old"
    del gateway.application.live._start
    assert (await http.post("/admin/reload")).json()["status"] == "applied"
    assert await say(http) == "never"
