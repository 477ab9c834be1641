"""The arrows of the architecture hold: import-linter's contracts, on the code and on packages that break them."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

LINT = Path(sys.executable).parent / "lint-imports"
PLAIN = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}


def lint(folder: Path, contracts: Path) -> subprocess.CompletedProcess[str]:
    command = [LINT, "--no-cache", "--config", contracts]
    environment = {**PLAIN, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def layers(contracts: Path) -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(contracts)
    return re.findall(r"\w+", parser["importlinter:contract:layers"]["layers"])


@pytest.fixture
def contracts(repository):
    return repository.root / ".importlinter"


@pytest.fixture
def made_up(tmp_path, contracts):
    """A package called gateway with every layer in its place, and nothing in them."""
    for name in ("", *(layer for layer in layers(contracts) if layer != "__main__")):
        (tmp_path / "gateway" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "gateway" / name / "__init__.py").touch()
    (tmp_path / "gateway" / "__main__.py").touch()
    return tmp_path


def test_the_code_keeps_every_contract(repository, contracts):
    done = lint(repository.root, contracts)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_packages_in_their_place_keep_every_contract(made_up, contracts):
    (made_up / "gateway" / "api" / "chat.py").write_text("import gateway.pipeline\nimport gateway.core\n")

    done = lint(made_up, contracts)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/call.py", "import gateway.dialects"),
        ("routing/retry.py", "from gateway.api import chat"),
        ("providers/openai.py", "import gateway.accounting"),
        ("api/chat.py", "import gateway.console"),
        ("server/wire.py", "import gateway.live"),
        ("core/clock.py", "import socket"),
        ("dialects/sse.py", "import starlette.responses"),
        ("pipeline/cost.py", "import litellm"),
        ("api/health.py", "import rich"),
        ("kitchen_sink.py", "x = 1"),
    ],
)
def test_a_broken_contract_is_seen(made_up, contracts, path, line):
    (made_up / "gateway" / "api" / "chat.py").touch()
    (made_up / "gateway" / path).write_text(f"{line}\n")

    done = lint(made_up, contracts)

    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def test_a_cycle_inside_a_package_is_seen(made_up, contracts):
    (made_up / "gateway" / "routing" / "retry.py").write_text("import gateway.routing.breaker\n")
    (made_up / "gateway" / "routing" / "breaker.py").write_text("import gateway.routing.retry\n")

    assert "No import cycle, at any depth BROKEN" in lint(made_up, contracts).stdout
