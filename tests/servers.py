"""Real PostgreSQL and Redis servers for tests: processes on free ports of this machine, which can be stopped and killed.

    with postgres_server() as server:
        ... server.url ...
        server.pause()    # SIGSTOP: connections stay open and nothing answers
        server.resume()
        server.kill()     # SIGKILL, as a power cut would
        server.start()    # the same port, the same data

All of it blocks; in a test with other things to do at the time, `await anyio.to_thread.run_sync(server.start)`.
"""

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

START_SECONDS = 30
PASSWORD = "a-password-of-the-tests"
_POSTGRES_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def postgres_programs() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them off the path."""
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else next(iter(_POSTGRES_PLACES), None)


def missing_servers() -> set[str]:
    """The servers that this machine has not. Where CI is true, none may be missing, so a test of one fails."""
    if os.environ.get("CI") == "true":
        return set()
    found = {
        "alertmanager": shutil.which("prometheus-alertmanager"),
        "nginx": shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"),
        "postgres": postgres_programs(),
        "prometheus": shutil.which("prometheus"),
        "redis": shutil.which("redis-server"),
    }
    return {name for name, program in found.items() if program is None}


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of servers that are missing: for `pytest_collection_modifyitems`."""
    missing = {f"{name}_server" for name in missing_servers()}
    without = [item for item in items if missing & set(getattr(item, "fixturenames", ()))]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """A process of a server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._pid: int | None = None

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's process and all that it has started."""
        if self._pid is None or not psutil.pid_exists(self._pid):
            return []
        parent = psutil.Process(self._pid)
        return [parent, *parent.children(recursive=True)]

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill everything at once and wait until it is gone."""
        processes = self.processes
        self._signal(signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS
        while any(map(_runs, processes)):
            assert time.monotonic() < deadline, "the server does not die"
        self._reap()
        self._pid = None

    def _signal(self, number: int) -> None:
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _reap(self) -> None:
        """Take the exit status of a child of ours, so that no zombie stays."""


class PostgresServer(Server):
    """PostgreSQL. `url` names its first database; `new_database()` gives an empty one of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self._programs = programs
        # PostgreSQL refuses to run as root.
        self._user = _plain_user() if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._data = folder / "data"
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--pgdata", self._data, "--username", "switchgear", "--pwfile", secret, "--auth", "scram-sha-256",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nmax_connections = 60\n"
                # The machine stays up: what a killed process has written is there without.
                "fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\n"
            )

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, name: str, password: str = PASSWORD) -> str:
        return f"postgresql://switchgear:{password}@127.0.0.1:{self.port}/{name}"

    def new_database(self, template: str = "template1") -> str:
        """Make an empty database, or one like `template`; its address."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url_of(name)

    def execute(self, statement: str, url: str | None = None) -> str:
        """Run SQL with psql; what it prints."""
        return self._run("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, url or self.url)

    def start(self) -> None:
        log = self.folder / "server.log"
        self._run("pg_ctl", "start", "--wait", "--timeout", START_SECONDS, "--pgdata", self._data, "--log", log)
        self._pid = int((self._data / "postmaster.pid").read_text().partition("\n")[0])

    def kill(self) -> None:
        super().kill()
        # Nobody may have buried the process yet, and then its lock would be taken for that of a running server.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self.processes:
            self.resume()
            self._run("pg_ctl", "stop", "--wait", "--mode", "immediate", "--pgdata", self._data)
        self._pid = None

    def _run(self, program: str, *arguments: object) -> str:
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)],
            user=self._user,
            group=_group_of(self._user),
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            # A file, not a pipe: the server keeps it open.
            stdin=subprocess.DEVNULL,
            stdout=(output := tempfile.TemporaryFile()),  # noqa: SIM115 - closed below
            stderr=subprocess.STDOUT,
            timeout=2 * START_SECONDS,
            check=False,
        )
        with output:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
        assert done.returncode == 0, f"{program} ended with {done.returncode}: {text}"
        return text


class RedisServer(Server):
    """Redis, with a password, keeping what it acknowledged."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__(folder)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        settings = (
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nrequirepass {PASSWORD}\nsave ''\nappendonly yes\n"
            f"appendfsync always\ndaemonize no\nlogfile {self.folder}/server.log\n"
        )
        (self.folder / "redis.conf").write_text(settings)
        self._process = subprocess.Popen([self._program, self.folder / "redis.conf"], stdin=subprocess.DEVNULL)
        self._pid = self._process.pid
        deadline = time.monotonic() + START_SECONDS
        while self.ask("PING") != "+PONG":
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the Redis server does not answer"

    def ask(self, *words: str) -> str:
        """Send one command on a connection of its own; the first line of the answer, empty when there is none."""
        commands = (("AUTH", PASSWORD), words)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            for command in commands:
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{parts}".encode())
            with connection.makefile("rb") as answers:
                return [answers.readline().decode().strip() for _ in commands][-1]
        return ""

    def stop(self) -> None:
        self.kill()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=START_SECONDS)


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server while the block runs."""
    programs = postgres_programs()
    assert programs is not None, "PostgreSQL is not installed: apt-get install postgresql"
    with folder_of_a_server() as folder:
        server = PostgresServer(folder, programs)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server while the block runs."""
    program = shutil.which("redis-server")
    assert program is not None, "Redis is not installed: apt-get install redis-server"
    with folder_of_a_server() as folder:
        server = RedisServer(folder, program)
        try:
            server.start()
            yield server
        finally:
            server.stop()


class WebServer(Server):
    """A program that serves HTTP on `port`, and says at `ready` when it does. Given up with a TERM: it has nothing that must survive."""

    def __init__(self, folder: Path, ready: str) -> None:
        super().__init__(folder)
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *command: object) -> None:
        log = self.folder / "server.log"
        with log.open("wb") as said:
            self._process = subprocess.Popen([str(each) for each in command], stdout=said, stderr=said, cwd=self.folder)
        self._pid = self._process.pid
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server does not answer"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self._ready, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=START_SECONDS)


@contextlib.contextmanager
def alertmanager_server(
    config: str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
) -> Iterator[WebServer]:
    """Run an Alertmanager of its own, without `config` with one receiver that does nothing, while the block runs."""
    program = shutil.which("prometheus-alertmanager")
    assert program is not None, "Alertmanager is not installed: apt-get install prometheus-alertmanager"
    with folder_of_a_server() as folder:
        (folder / "config.yml").write_text(config)
        server = WebServer(folder, "/-/ready")
        listen = f"--web.listen-address=127.0.0.1:{server.port}"
        server.start(program, "--config.file=config.yml", "--storage.path=data", listen, "--cluster.listen-address=")
        try:
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def prometheus_server(alertmanager: WebServer, rules: str = "groups: []") -> Iterator[WebServer]:
    """Run a Prometheus that watches itself, evaluates `rules` each second, and tells an Alertmanager, while the block runs."""
    program = shutil.which("prometheus")
    assert program is not None, "Prometheus is not installed: apt-get install prometheus"
    with folder_of_a_server() as folder:
        server = WebServer(folder, "/-/ready")
        (folder / "rules.yml").write_text(rules)
        (folder / "config.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
            f'scrape_configs: [{{job_name: itself, static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]}}]\n'
            f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager.port}"]}}]}}]}}\n'
        )
        listen = f"--web.listen-address=127.0.0.1:{server.port}"
        server.start(program, "--config.file=config.yml", "--storage.tsdb.path=data", listen)
        try:
            yield server
        finally:
            server.kill()


def _runs(process: psutil.Process) -> bool:
    """Whether a process still does anything; one that nobody has buried does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def folder_of_a_server() -> Iterator[Path]:
    """A folder that another user can be given: pytest's own are closed to all others."""
    folder = Path(tempfile.mkdtemp(prefix="switchgear-server-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody", getpass.getuser()) if name in known)


def _group_of(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None
