"""Starting is cheap: what a process loads before it is asked for anything is a budget, not an accident."""

import os
import subprocess
import sys

HELP_CPU_SECONDS = 0.5
# Not rich: structlog imports it where it is installed.
NOT_AT_START = {
    "click",
    "httpx2",
    "litellm",
    "mcp",
    "numpy",
    "onnxruntime",
    "opentelemetry",
    "tokenizers",
    "xllamacpp",
}


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after importing the module."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def cpu_seconds(command: list[str]) -> float:
    """The processor time, user and system, that a program took from start to end."""
    before = os.times()
    subprocess.run(command, capture_output=True, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def test_help_answers_at_once():
    """The least of three runs: the first may write byte code."""
    assert min(cpu_seconds([sys.executable, "-m", "gateway", "--help"]) for _ in range(3)) < HELP_CPU_SECONDS


def test_the_server_loads_no_model_runtime_and_no_extra():
    assert loaded_by("gateway.app") & NOT_AT_START == set()


def test_the_measures_see_what_is_loaded_and_what_it_costs():
    assert {"json", "decimal"} <= loaded_by("json, decimal")
    assert "click" not in loaded_by("json")
    assert cpu_seconds([sys.executable, "-c", "sum(range(5_000_000))"]) > 0.02
