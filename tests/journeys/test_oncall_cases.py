"""The on-call agent holds its cases: incidents on the simulated cluster, through the real MCP programs. Promised by docs/oncall.md."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.journeys.oncall_place import HERE, configuration
from tests.journeys.running_gateway import ROOT

CASES = yaml.safe_load((ROOT / "agents" / "oncall" / "cases.yaml").read_text())
WRITES = {"platform/restart", "platform/rollback", "platform/scale", "platform/drain"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oncall")
    (folder / "switchgear.yaml").write_text(yaml.safe_dump(configuration(folder)))
    command = [
        sys.executable,
        "-m",
        "gateway",
        "agent",
        "test",
        "oncall",
        "--json",
        "--config",
        str(folder / "switchgear.yaml"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {outcome["case"]: outcome["problems"] for outcome in json.loads(done.stdout)}


@pytest.mark.parametrize("name", [case["name"] for case in CASES])
def test_each_case_of_the_on_call_agent_holds(outcomes, name):
    assert outcomes[name] == []


def test_there_is_a_case_for_each_incident_and_none_allows_a_write_without_leave():
    scenarios = {word for case in CASES for word in case["live"]["platform"]}

    assert len(CASES) >= 10
    assert {
        "crash-loop", "bad-rollout", "disk-full", "dependency-down", "certificate-expiry", "traffic-spike", "noisy-alert", "two-at-once",
        "log-with-orders", "stubborn",
    } <= scenarios  # fmt: skip
    for case in CASES:
        for free in case["expect"].get("unasked", ()):
            assert free["tool"] in WRITES
            assert free["arguments"]["dry_run"] is True


def test_each_scenario_of_the_demo_has_an_alert_and_a_runbook():
    rules = yaml.safe_load((HERE / "alerts.yml").read_text())["groups"][0]["rules"]
    runbooks = [(ROOT / "runbooks" / name).read_text().split("---")[1] for name in ("crash-loop.md", "bad-rollout.md", "disk-full.md", "dependency-down.md", "certificate-expiry.md", "traffic-spike.md")]  # fmt: skip
    named = {alert for text in runbooks for alert in yaml.safe_load(text)["alerts"]}

    assert {rule["alert"] for rule in rules} <= named
