"""Processes under measurement: starting, CPU time and memory of a process tree (Linux /proc), stopping."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def free_port() -> int:
    """Give a TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(argv: Sequence[str], *, core: int, log: pathlib.Path, env: dict[str, str] | None = None) -> Iterator[int]:
    """Run a command pinned to one core; gives its process id, and ends it and its children afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *argv],
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(url: str, *, seconds: float, body: bytes | None = None, headers: dict[str, str] | None = None) -> float:
    """Ask until the answer is 200; give the seconds that it took. Raises TimeoutError."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            request = urllib.request.Request(url, data=body, headers=headers or {})
            with urllib.request.urlopen(request, timeout=seconds) as response:
                response.read()
                return time.monotonic() - began
        except OSError:
            time.sleep(0.01)
    msg = f"{url} did not answer within {seconds} s"
    raise TimeoutError(msg)


def warm(core: int) -> None:
    """Keep a core busy for a moment: one that has slept takes several times as long for the first wake-ups."""
    work = "sum(len(str(n)) for n in range(150_000))"
    subprocess.run(["taskset", "-c", str(core), sys.executable, "-c", work], check=True)


def tree(root: int) -> list[int]:
    """Give a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        found.append(pid := queue.pop())
        queue += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Give the CPU time that a process tree has used, from the scheduler's nanosecond counts."""
    nanoseconds = 0
    for pid in tree(root):
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                nanoseconds += int(task.read_text().split()[0])
            except OSError:
                continue
    return nanoseconds / 1e9


def memory_kib(root: int) -> int:
    """Give the memory of a process tree in KiB, shared pages divided among their users (Pss)."""
    total = 0
    for pid in tree(root):
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def resident_kib(pid: int) -> int:
    """Give the resident set of one process in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
