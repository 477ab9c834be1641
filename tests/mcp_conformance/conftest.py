"""The conformance suite of MCP, one scenario at a time: it runs all of them at once otherwise, which says more of the machine than of us.

It is installed by scripts/setup-mcp-conformance.sh; what a revision requires is read from the suite's own frozen list.
"""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".mcp-conformance"
SUITE = HOME / "node_modules" / "@modelcontextprotocol" / "conformance"
SECONDS = 120


def required(leg, revision):
    """The scenarios that a revision requires of a client or a server."""
    listed = SUITE / "requirements" / f"{revision}.yaml"
    return yaml.safe_load(listed.read_text())[leg] if listed.exists() else ["not-installed"]


@pytest.fixture
def suite(tmp_path):
    """Run a scenario, and give what the suite said; it fails where the suite does."""

    def run(leg, scenario, revision, *words):
        assert SUITE.exists(), "run scripts/setup-mcp-conformance.sh (make test-mcp does)"
        about = ("--scenario", scenario, "--spec-version", revision, "-o", tmp_path / "results")
        ran = subprocess.run(
            [HOME / "node" / "bin" / "node", SUITE / "dist" / "index.js", leg, *words, *about],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        said = [path.read_text()[-3000:] for path in (tmp_path / "results").rglob("stderr.txt")]
        assert ran.returncode == 0, "\n".join([ran.stdout[-6000:], *said])
        return ran.stdout

    return run
