"""The shipped on-call agent and its configuration, as a test runs them: with the interpreter of the tests."""

import sys
from pathlib import Path

import yaml

from tests.journeys.running_gateway import ROOT

HERE = ROOT / "examples" / "oncall"


def configuration(folder: Path, **changes: list[str]) -> dict:
    """Give the shipped configuration for a folder; `changes` are arguments of servers' programs in place of the shipped ones."""
    found = yaml.safe_load((HERE / "switchgear.yaml").read_text())
    found["agents"]["folder"], found["policies"]["folder"] = str(ROOT / "agents"), str(ROOT / "policies")
    found["providers"]["script"]["document"] = str(HERE / "model.yaml")
    found["database"]["path"] = str(folder / "data" / "switchgear.db")
    found["access"]["bootstrap_key_file"] = str(folder / "data" / "first.key")
    for name, server in found["tools"]["servers"].items():
        server |= {"command": sys.executable, "cwd": str(ROOT), "args": changes.get(name, server["args"])}
    return found
