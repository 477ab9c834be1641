"""The simulated cluster is seen by Prometheus as it is seen by the MCP program. Promised by docs/platform-ctl.md."""

import pytest

from mcp_servers.platform_ctl.settings import Incident, Settings, Simulated, WorkloadScript
from mcp_servers.platform_ctl.simulated.backend import SimulatedBackend
from mcp_servers.platform_ctl.simulated.incidents import named, with_incidents
from mcp_servers.serving import ConfigurationError

WEB = WorkloadScript(namespace="shop", name="web", replicas=3)
CLUSTER = Simulated(workloads=(WEB,), call_seconds=20, scenarios={"bad-night": (Incident(kind="crash_loop", target="shop/web"),)})  # fmt: skip


def read(text: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


async def seen(tmp_path, *incidents: Incident) -> dict[str, float]:
    backend = SimulatedBackend(CLUSTER, tmp_path)
    await backend.inject(incidents)
    await backend.pause(70)
    return read(await backend.metrics())


@pytest.mark.parametrize(
    ("kind", "more", "metric", "wrong"),
    [
        ("crash_loop", {}, 'cluster_replicas_ready{namespace="shop",workload="web"}', lambda value: value == 0),
        ("bad_rollout", {}, 'cluster_rollout_failed{namespace="shop",workload="web"}', lambda value: value == 1),
        ("traffic_spike", {"factor": 12}, 'cluster_error_ratio{namespace="shop",workload="web"}', lambda value: value == 0.5),
        ("noise", {}, 'cluster_log_warnings_total{namespace="shop",workload="web"}', lambda value: value > 5),
        ("dependency_down", {}, 'cluster_error_ratio{namespace="shop",workload="web"}', lambda value: value == 1),
    ],
)  # fmt: skip
async def test_each_incident_is_seen_in_a_metric(tmp_path, kind, more, metric, wrong):
    well = (await seen(tmp_path))[metric]
    ill = (await seen(tmp_path, Incident(kind=kind, target="shop/web", **more)))[metric]

    assert (wrong(well), wrong(ill)) == (False, True)


async def test_certificates_and_disks_are_seen_by_pod_and_node(tmp_path):
    found = await seen(
        tmp_path,
        Incident(kind="certificate_expiry", target="shop/web"),
        Incident(kind="disk_full", target="node-2"),
    )

    expiries = [value for name, value in found.items() if name.startswith("cluster_certificate_expiry_seconds")]
    assert len(expiries) == 3
    assert max(expiries) < 0
    assert (
        found['cluster_node_disk_used_ratio{node="node-2"}']
        > 0.95
        > found['cluster_node_disk_used_ratio{node="node-1"}']
    )


async def test_two_programs_see_one_cluster(tmp_path):
    shared = Simulated(workloads=(WEB,), state="cluster.json", call_seconds=20)
    one, other = SimulatedBackend(shared, tmp_path), SimulatedBackend(shared, tmp_path)

    await one.inject(named(shared, "traffic_spike:shop/web"))
    await one.pause(5)

    assert read(await other.metrics())['cluster_request_rate{namespace="shop",workload="web"}'] == 250


def test_incidents_are_called_for_by_name():
    assert named(CLUSTER, "bad-night") == named(CLUSTER, "bad_night") == named(CLUSTER, "crash_loop:shop/web")
    for wrong in ("day", "crash_loop:shop/none", "sorrow:shop/web"):
        with pytest.raises(ConfigurationError):
            named(CLUSTER, wrong)
    with pytest.raises(ConfigurationError, match="no environment is simulated"):
        with_incidents(Settings(environments={}), ["bad-night"])
