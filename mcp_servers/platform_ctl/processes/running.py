"""Processes of this machine: started in sessions of their own, known again by what they carry in their environment, ended as a group. Linux only."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

from mcp_servers.platform_ctl.processes.record import Instance, Service

MARK: Final = "PLATFORM_CTL_INSTANCE"
_PROC: Final = Path("/proc")
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def born(pid: int) -> int:
    """Give the tick at which a process was started; 0 where there is none, or one that has ended and is not buried."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def start(service: Service, instance: Instance, *, folder: Path, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process; it writes to its log. It gets the environment that its service lists and nothing of this program's. Raises OSError."""
    env = {"PATH": _PATH, "LANG": "C.UTF-8", **service.env, MARK: _carried(folder, instance)}
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the commands are the operator's own
            service.command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def strays(folder: Path) -> dict[str, tuple[int, tuple[int, int]]]:
    """Find what was started for this folder and still runs: process number and template by the instance's name."""
    wanted = f"{MARK}={folder}|".encode()
    found: dict[str, tuple[int, tuple[int, int]]] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            # What a service has started itself carries the same; it is in its group, and not its leader.
            if os.getsid(pid) != pid:
                continue
            carried = next(
                (each for each in (entry / "environ").read_bytes().split(b"\0") if each.startswith(wanted)), None
            )
        except OSError:
            continue
        if carried is not None:
            name, revision, restarts = carried.decode().rsplit("|", 3)[1:]
            found[name] = (pid, (int(revision), int(restarts)))
    return found


def end(instance: Instance, number: signal.Signals) -> None:
    """Send a signal to a process and all of its group, if it is still the one that was started."""
    if instance.pid and born(instance.pid) == instance.born:
        try:
            os.killpg(instance.pid, number)
        except ProcessLookupError:
            return


def trim(log: Path, most: int) -> None:
    """Keep a log small: what is older goes to one file beside it, which the next one replaces. Who writes goes on at the beginning."""
    try:
        if log.stat().st_size <= most:
            return
        with log.open("rb+") as file:
            file.seek(-most // 2, os.SEEK_END)
            older = log.with_name(f"{log.name}.1")
            older.write_bytes(file.read())
            file.truncate(0)
    except OSError:
        return


def tail(log: Path, most: int) -> list[str]:
    """Give the last lines of a log, of at most so many bytes."""
    text = b""
    for path in (log, log.with_name(f"{log.name}.1")):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - (most - len(text))))
                text = file.read(most - len(text)) + text
        except OSError:
            continue
        if len(text) >= most:
            text = text.partition(b"\n")[2]
            break
    return text.decode(errors="replace").splitlines()


def _carried(folder: Path, instance: Instance) -> str:
    return f"{folder}|{instance.name}|{instance.template[0]}|{instance.template[1]}"
