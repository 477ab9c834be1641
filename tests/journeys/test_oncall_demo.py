"""`make demo`: an alert fires, a person agrees in Slack, the agent mends it, and all that was started ends. Promised by docs/oncall.md."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.journeys.running_gateway import ROOT


@pytest.fixture
def prometheus_server():
    """The demo starts its own: where it is not installed, a test of this is left out by its fixture's name."""


@pytest.fixture
def alertmanager_server():
    """The same."""


def run_demo(folder, *words: str, answer: str = "") -> tuple[int, str]:
    """Run it to its end; nothing that it started may be left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.oncall.demo", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        out, _ = process.communicate(answer, timeout=300)
    finally:
        process.kill()
    assert started_in(folder) == []
    assert list(folder.iterdir()) == []
    return process.returncode, out


def started_in(folder) -> list[str]:
    """Programs that were given a file of this folder."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in process.info["cmdline"] or ())
    ]  # fmt: skip


def in_order(text: str, *parts: str) -> None:
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"{part!r} is not there, or not after the others:\n{text}"
        at = found + len(part)


def test_the_demo_mends_an_incident_with_leave_and_without_prometheus(tmp_path):
    code, out = run_demo(tmp_path, "--yes", "--without-prometheus")

    assert code == 0, out
    in_order(
        out,
        "something goes wrong: crash-loop", "handbook/for_alert", "platform/logs", "platform/restart dry_run=true", "each is replaced",
        "ada clicks on Approve", "Approved by ada", "post-check: holds", "the agent's summary: resolved", "evidence:", "runbook:    crash-loop (sha256 ", "timeline:", "the incident is mended",
        "the alert is posted as resolved", "State: Resolved", "the incident is one thread of",
    )  # fmt: skip
    in_order(
        out,
        "asks for leave to call platform/restart",
        '"workload": "checkout"',
        "[ Approve ] [ Deny ]",
        "ada clicks on Approve",
    )
    in_order(
        out, "Slack, #oncall: a new message", "WorkloadCrashLooping (high)", "a reply in the thread", "It has looked at:", "platform/logs",
        "A dry run of platform/restart says what would change", "a reply in the thread", "asks for leave",
        "Post-check: the wanted state is there", "The agent's summary",
    )  # fmt: skip


def test_the_demo_changes_nothing_when_the_terminal_says_no(tmp_path):
    code, out = run_demo(tmp_path, "--without-prometheus", "--incident", "bad-rollout", answer="no\n")

    assert code == 0, out
    in_order(
        out,
        "asks for leave to call platform/rollback",
        "Approve it?",
        "ada clicks on Deny",
        "Denied by ada",
        "nothing was changed",
    )
    assert "post-check: holds" not in out


@pytest.mark.parametrize(
    ("answer", "says"),
    [("perhaps\nYES\n", ["Please write yes or no.", "ada clicks on Approve", "the incident is mended"]), ("", ["nobody is there", "ada clicks on Deny", "nothing was changed"])],
    ids=["a word that is no answer", "nobody"],
)  # fmt: skip
def test_the_demo_asks_again_and_takes_silence_for_a_no(tmp_path, answer, says):
    code, out = run_demo(tmp_path, "--without-prometheus", answer=answer)

    assert code == 0, out
    in_order(out, *says)


@pytest.mark.parametrize(
    ("number", "when", "code"),
    [(signal.SIGINT, "Approve it?", 130), (signal.SIGTERM, "something goes wrong", 143), (signal.SIGHUP, "cluster runs", 143)],
)  # fmt: skip
def test_the_demo_that_is_ended_in_the_middle_leaves_nothing(tmp_path, number, when, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.oncall.demo", "--without-prometheus"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        out = ""
        while when not in out:
            out += (read := process.stdout.read(1))
            assert read, out
        os.killpg(process.pid, number)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == code, rest
    assert "Traceback" not in rest
    assert started_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_where_prometheus_is_not_installed_the_demo_says_how_to_get_it_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-is-here"))

    code, out = run_demo(tmp_path, "--yes")

    assert code == 0, out
    in_order(out, "are not installed (on Debian: apt install prometheus", "is posted, as Alertmanager's webhook does it", "the incident is mended")  # fmt: skip


@pytest.mark.parametrize("incident", ["disk-full"])
def test_the_demo_is_started_by_an_alert_of_a_real_prometheus(
    tmp_path, prometheus_server, alertmanager_server, incident
):
    code, out = run_demo(tmp_path, "--yes", "--incident", incident)

    assert code == 0, out
    in_order(
        out, "Prometheus is at", "Prometheus fires NodeDiskFull", "observe/query_metrics", "platform/drain dry_run=true", "ada clicks on Approve",
        "post-check: holds", "evidence:   Prometheus gives 0.998 for cluster_node_disk_used_ratio > 0.95", "/graph?g0.expr=cluster_node_disk_used_ratio",
        "the incident is mended", "Prometheus: the alert is resolved",
    )  # fmt: skip
