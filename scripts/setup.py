"""Makes .venv hold exactly what one lock file says, plus this checkout as an editable install.

Standard library only: it runs before anything is installed. Every package is checked against a hash; pip brings uv, uv the
rest. A stamp inside the environment remembers the lock files' digest, so that a second run costs a few milliseconds. An
environment that an interrupted run left half-built is made anew. Called by scripts/setup.sh; it is not a package manager.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "switchgear-setup.json"
UNFINISHED = VENV / "switchgear-setup.unfinished"
REQUIREMENTS = ROOT / "requirements"
# A kind of environment is a lock file, and serves every wish for a smaller one.
INCLUDES = {
    "runtime": ("runtime",),
    "otlp": ("otlp", "runtime"),
    "litellm": ("litellm", "otlp", "runtime"),
    "dev": ("dev", "otlp", "runtime"),
}
NEEDED_BYTES = 2 * 1024**3


class SetupError(Exception):
    """Set-up cannot go on; the message says why, and what to do."""


def fingerprint(kind: str) -> str:
    """A digest of all that decides what the environment of this kind holds, and of where the checkout lies."""
    digest = hashlib.sha256(f"{kind} {ROOT} {sys.version_info[:2]}".encode())
    for path in (REQUIREMENTS / f"{kind}.txt", *(REQUIREMENTS / f"{name}.txt" for name in ("bootstrap", "models"))):
        digest.update(path.read_bytes())
    digest.update((ROOT / "pyproject.toml").read_bytes())
    return digest.hexdigest()


def installed_kind() -> str | None:
    """The kind of environment that a finished run left, whether or not it is still current."""
    try:
        kind = json.loads(STAMP.read_text())["kind"]
    except (OSError, ValueError, KeyError):
        return None
    return kind if kind in INCLUDES else None


def is_current(kind: str) -> bool:
    """Whether the environment holds what this kind's lock file says, by the stamp of the last finished run."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return False
    programs = (VENV / "bin" / "python", VENV / "bin" / "switchgear")
    return stamp == {"kind": kind, "fingerprint": fingerprint(kind)} and all(map(os.path.exists, programs))


def choose_kind(wish: str, installed: str | None) -> str:
    """What to install: the wish, unless what is there includes it already (serve after test must not shrink .venv)."""
    return installed if installed and wish in INCLUDES[installed] else wish


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the set-up lock: a second run waits for the first, and then finds its work done."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up is running here; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def step(name: str) -> Iterator[None]:
    """One progress line, with the seconds that the step took."""
    began = time.monotonic()
    print(f"setup: {name} ...", end="", flush=True)
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - began:.1f} s", flush=True)


def call(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed; a failure shows the last of its output."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        message = f"`{' '.join(command)}` exited with {done.returncode}:\n{tail}"
        raise SetupError(message)
    return done.stdout


def check_disk() -> None:
    """Refuse to begin what would end half-way on a full disk."""
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        message = (
            f"{ROOT} has {free / 1024**3:.1f} GB free; the environment needs 2 GB. Free some, or move the checkout."
        )
        raise SetupError(message)


def interpreter() -> str:
    """The interpreter outside any environment, which can make one."""
    # Resolved, because it may be a link inside the environment that is about to be removed.
    base = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    probe = subprocess.run([base, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    if probe.returncode:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        message = f"{base} cannot make environments (no venv or ensurepip). Debian, Ubuntu: apt-get install python{version}-venv"
        raise SetupError(message)
    return base


def is_whole() -> bool:
    """Whether .venv is an environment that works and that no interrupted run left behind."""
    python = VENV / "bin" / "python"
    if UNFINISHED.exists() or not python.exists():
        return False
    probe = "import pip, sys; print(sys.prefix, *sys.version_info[:2])"
    done = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0] == f"{VENV} {sys.version_info[0]} {sys.version_info[1]}"


def index_settings() -> dict[str, str]:
    """This process's environment with pip's index settings translated for uv."""
    script = [str(VENV / "bin" / "python"), str(ROOT / "scripts" / "index_settings.py"), "--json"]
    return {**os.environ, **json.loads(call(script)), "VIRTUAL_ENV": str(VENV)}


def install(kind: str) -> None:
    """Bring .venv to what the lock file of this kind says."""
    python, uv = str(VENV / "bin" / "python"), str(VENV / "bin" / "uv")
    locks = [str(REQUIREMENTS / f"{name}.txt") for name in ("bootstrap", kind, "models")]
    if not is_whole():
        with step("making .venv"):
            base = interpreter()
            shutil.rmtree(VENV, ignore_errors=True)
            call([base, "-m", "venv", str(VENV)])
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    with step("installing uv (by hash)"):
        call([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", locks[0]])
    environment = index_settings()
    with step(f"installing requirements/{kind}.txt (by hash)"):
        call([uv, "pip", "sync", "--quiet", "--require-hashes", *locks], environment)
    with step("installing this checkout"):
        call([uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."], environment)
    STAMP.write_text(json.dumps({"kind": kind, "fingerprint": fingerprint(kind)}))
    UNFINISHED.unlink()


def main(arguments: list[str]) -> int:
    """Set up the kind of environment that is named first, `dev` without a name."""
    wish = arguments[0] if arguments else "dev"
    if wish not in INCLUDES:
        print(f"setup: no such kind of environment: {wish} (choose from {', '.join(INCLUDES)})", file=sys.stderr)
        return 2
    if is_current(choose_kind(wish, installed_kind())):
        return 0
    try:
        with only_one():
            kind = choose_kind(wish, installed_kind())
            if not is_current(kind):
                check_disk()
                install(kind)
    except (SetupError, OSError) as error:
        print(f"\nsetup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
