"""Real processes of this machine, through the tools: they run, are replaced, scaled and taken back, and outlive the program that looks after them."""

import contextlib
import os
import signal
import sys

import anyio
import pytest
import yaml

from mcp_servers.platform_ctl.processes.running import strays
from mcp_servers.platform_ctl.program import build
from mcp_servers.serving import ConfigurationError

SERVE = "import os, time\nprint('start', os.environ.get('WORD', '-'), flush=True)\nwhile True: time.sleep(0.05)"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVE}"
TALK = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.0005)"
WEB = {"namespace": "shop", "workload": "web"}


def service(script=SERVE, **more):
    return {"namespace": "shop", "command": [sys.executable, "-c", script], "ready_seconds": 0.2, **more}


@pytest.fixture
def services(configured, tmp_path):
    """Write the file of services and the configuration; what runs at the end is ended."""

    def write(more=None, **listed):
        (tmp_path / "services.yaml").write_text(yaml.safe_dump({"services": listed}))
        platform = {"kind": "processes", "services": "services.yaml", "folder": "kept"} | (more or {})
        return configured(platform, post_check={"seconds": 20, "every": 0.2, "steady": 0.5})

    yield write
    for pid, _ in strays(tmp_path / "kept").values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def numbers(tmp_path):
    return {name: pid for name, (pid, _) in strays(tmp_path / "kept").items()}


def starts(tmp_path):
    return {path.name: path.read_text().count("start") for path in (tmp_path / "kept").glob("*.log")}


async def until_healthy(control, name="web"):
    while (found := await control.workload(f"shop/{name}"))["state"] != "healthy":
        await anyio.sleep(0.05)
    return found


async def test_services_run_and_are_restarted_scaled_and_read(services, control_of, tmp_path):
    async with control_of(services(web=service(replicas=2, env={"WORD": "sesame"}, version="7"))) as control:
        found = await until_healthy(control)
        first = numbers(tmp_path)
        restarted = await control.ask("restart", **WEB)
        second = numbers(tmp_path)
        more = await control.ask("scale", **WEB, replicas=3)
        three = numbers(tmp_path)
        less = await control.ask("scale", **WEB, replicas=1)
        one = numbers(tmp_path)
        logs = (await control.ask("logs", **WEB))["lines"]
        events = (await control.ask("events", **WEB))["events"]
        drained = await control.refusal("drain", node="node-1")

    assert (found["kind"], found["version"], found["desired"], found["ready"]) == ("process", "7", 2, 2)
    assert restarted["check"]["holds"] is more["check"]["holds"] is less["check"]["holds"] is True
    assert set(first) == set(second) == {"web-0", "web-1"}
    assert not set(first.values()) & set(second.values())
    assert set(three) == {"web-0", "web-1", "web-2"}
    assert set(one) == {"web-0"}
    assert {line["text"] for line in logs} == {"start sesame"}
    assert "Started" in {event["reason"] for event in events}
    assert "nothing to drain it to" in drained


async def test_what_ends_by_itself_is_started_again_later_and_later_and_a_restart_does_not_hold(
    services, control_of, tmp_path
):
    config = services(web=service("print('start'); raise SystemExit(3)"))
    config.write_text(config.read_text().replace("seconds: 20", "seconds: 3"))
    async with control_of(config) as control:
        while (await control.workload("shop/web"))["state"] != "failed":
            await anyio.sleep(0.05)
        while (pod := (await control.ask("describe", **WEB))["pods"][0])["restarts"] < 2:
            await anyio.sleep(0.05)
        written = await control.ask("restart", **WEB)

    assert "next start in" in pod["says"] or pod["state"].startswith("Running")
    assert written["check"]["holds"] is False
    assert "ended by itself" in written["check"]["says"]
    assert 3 <= sum(starts(tmp_path).values()) < 10


async def test_a_command_that_is_not_there_is_told(services, control_of):
    async with control_of(services(web={"namespace": "shop", "command": ["/away/program"]})) as control:
        while not (found := await control.workload("shop/web"))["says"]:
            await anyio.sleep(0.05)

    assert (found["state"], found["says"]) == ("failed", "It cannot be started: No such file or directory")


async def test_processes_outlive_the_program_and_a_changed_command_can_be_taken_back(services, control_of, tmp_path):
    async with control_of(services(web=service(env={"WORD": "one"}, version="1"))) as control:
        await until_healthy(control)
    between = numbers(tmp_path)
    async with control_of(services(web=service(env={"WORD": "one"}, version="1"))) as control:
        await until_healthy(control)
        same = numbers(tmp_path)
    async with control_of(services(web=service(env={"WORD": "two"}, version="2"))) as control:
        changed = await until_healthy(control)
        written = await control.ask("rollback", **WEB)
        back = await control.workload("shop/web")
        again = await control.refusal("rollback", **WEB)

    assert between == same
    assert changed["version"] == "2"
    assert [change["after"] for change in written["diff"]] == [1, "1"]
    assert written["check"]["holds"] is True
    assert back["version"] == "1"
    assert "has not an earlier revision" in again
    assert "start one\nstart two\nstart one\n" in (tmp_path / "kept" / "web-0.log").read_text()


async def test_a_program_killed_while_it_restarts_goes_on_and_restarts_each_once(
    services, control_of, kill_in_the_middle, tmp_path
):
    """The processes do not listen to SIGTERM: the first one is being waited for when the program is killed."""
    config = services(web=service(STUBBORN, replicas=2, stop_seconds=1.0))
    async with control_of(config) as control:
        await until_healthy(control)
    before, journal = numbers(tmp_path), tmp_path / "journal.jsonl"
    call = WEB | {"idempotency_key": "one"}
    await kill_in_the_middle(config, "restart", call, lambda: journal.exists() and "applied" in journal.read_text())
    killed = numbers(tmp_path)
    async with control_of(config) as control:
        written = await control.ask("restart", **call)
        again = await control.ask("restart", **call)

    assert killed == before
    assert written["check"]["holds"] is True
    assert again == written | {"replayed": True}
    assert starts(tmp_path) == {"web-0.log": 2, "web-1.log": 2}
    assert len(numbers(tmp_path)) == 2


async def test_a_process_started_in_the_moment_of_a_kill_is_found_again(services, control_of, tmp_path):
    """What runs is known by what it carries: nothing is run twice, though the file of what runs is lost."""
    config = services(web=service(replicas=2))
    async with control_of(config) as control:
        await until_healthy(control)
    before = numbers(tmp_path)
    (tmp_path / "kept" / "state.json").unlink()
    async with control_of(config) as control:
        await until_healthy(control)

    assert numbers(tmp_path) == before


async def test_a_log_stays_small_while_it_is_written(services, control_of, tmp_path):
    async with control_of(services(web=service(TALK, log_bytes=4096))) as control:
        while not (tmp_path / "kept" / "web-0.log.1").exists():
            await control.workload("shop/web")
        logs = await control.ask("logs", **WEB, lines=5)

    assert logs["count"] == 5
    assert all(line["text"] == "x" * 99 for line in logs["lines"])


async def test_where_they_are_not_to_outlive_the_program_all_are_ended(services, control_of, tmp_path):
    async with control_of(services({"leave_running": False}, web=service(replicas=2))) as control:
        await until_healthy(control)

    with anyio.fail_after(20):
        while numbers(tmp_path):
            await anyio.sleep(0.05)


async def test_a_service_gets_nothing_of_the_programs_environment(services, control_of):
    script = "import os, time\nprint(sorted(os.environ), flush=True)\nwhile True: time.sleep(0.05)"
    async with control_of(services(web=service(script)), SECRET_OF_THE_PROGRAM="x") as control:
        await until_healthy(control)
        while not (lines := (await control.ask("logs", **WEB))["lines"]):
            await anyio.sleep(0.05)

    assert "SECRET_OF_THE_PROGRAM" not in lines[0]["text"]
    assert "PATH" in lines[0]["text"]


def test_one_program_looks_after_a_folder(services):
    config = services(web=service(replicas=0))
    kept = build(config)

    with pytest.raises(ConfigurationError, match="another program looks after"):
        build(config)
    assert kept is not None
