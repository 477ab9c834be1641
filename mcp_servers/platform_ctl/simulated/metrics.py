"""The simulated cluster's metrics, in Prometheus' text format. Pure: what is told is read off the world, and nothing is counted here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mcp_servers.platform_ctl.simulated.incidents import overload
from mcp_servers.platform_ctl.simulated.motion import DEADLINE
from mcp_servers.platform_ctl.simulated.world import SimPod, SimWorkload, World

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_CERTIFICATE: Final = 90 * 86400
_EXPIRED_SINCE: Final = 3600
_DISK_BASE, _DISK_A_POD, _DISK_FULL = 0.35, 0.02, 0.998

Sample = tuple[dict[str, str], float]


def exposition(world: World) -> str:
    """Give all metrics of a world."""
    lines: list[str] = []
    for name, kind, says, samples in _metrics(world):
        lines += [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{_labels(labels)}}} {value:g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _metrics(world: World) -> Iterable[tuple[str, str, str, Sequence[Sample]]]:
    workloads = world.workloads
    yield "cluster_replicas_desired", "gauge", "Pods that a workload should have.", _each(workloads, _desired)
    yield "cluster_replicas_ready", "gauge", "Pods that are ready.", _each(workloads, _ready)
    yield (
        "cluster_rollout_failed",
        "gauge",
        "Whether a rollout has not been done in time.",
        [(_of(each), float(_stuck(world, each))) for each in workloads],
    )
    yield (
        "cluster_pod_restarts_total",
        "counter",
        "Times that a pod's container was started again.",
        [({**_of(each), "pod": pod.name}, float(pod.restarts)) for each in workloads for pod in each.pods],
    )
    yield (
        "cluster_pod_backing_off",
        "gauge",
        "Whether a pod waits to be started again after a crash.",
        [({**_of(each), "pod": pod.name}, float(pod.waiting)) for each in workloads for pod in each.pods],
    )
    yield "cluster_request_rate", "gauge", "Requests per second.", _each(workloads, lambda each: each.load)
    yield "cluster_request_capacity", "gauge", "Requests per second that ready pods can serve.", _each(workloads, _room)
    yield "cluster_error_ratio", "gauge", "Share of requests that fail, 0 to 1.", _each(workloads, _errors)
    yield (
        "cluster_certificate_expiry_seconds",
        "gauge",
        "Seconds for which the certificate that a pod uses is still good.",
        [({**_of(each), "pod": pod.name}, _certificate(world, each, pod)) for each in workloads for pod in each.pods],
    )
    yield (
        "cluster_log_warnings_total",
        "counter",
        "Warnings among a workload's events.",
        [(_of(each), _warnings(world, each)) for each in workloads],
    )
    yield (
        "cluster_node_disk_used_ratio",
        "gauge",
        "Share of a node's disk that is used, 0 to 1.",
        [({"node": node.name}, _disk(world, node.name)) for node in world.nodes],
    )
    yield (
        "cluster_node_schedulable",
        "gauge",
        "Whether a node takes pods.",
        [({"node": node.name}, float(not node.cordoned)) for node in world.nodes],
    )


def _of(workload: SimWorkload) -> dict[str, str]:
    return {"namespace": workload.namespace, "workload": workload.name}


def _each(workloads: Iterable[SimWorkload], value: Callable[[SimWorkload], float]) -> list[Sample]:
    return [(_of(each), value(each)) for each in workloads]


def _desired(workload: SimWorkload) -> float:
    return workload.replicas


def _ready(workload: SimWorkload) -> float:
    return workload.ready


def _room(workload: SimWorkload) -> float:
    return workload.capacity * workload.ready


def _stuck(world: World, workload: SimWorkload) -> bool:
    new = [pod for pod in workload.pods if pod.template == workload.template]
    done = len(new) == len(workload.pods) == workload.replicas == workload.ready
    return workload.changed > 0 and not done and world.now - workload.moved_at > DEADLINE


def _errors(workload: SimWorkload) -> float:
    if workload.replicas and not workload.ready:
        return 1.0
    return 1 - _room(workload) / workload.load if overload(workload) else 0.0


def _certificate(world: World, workload: SimWorkload, pod: SimPod) -> float:
    for incident in world.incidents:
        expired = incident.begun and incident.script.kind == "certificate_expiry"
        if expired and incident.script.target == workload.path:
            renewed = incident.mended_at is not None and pod.born >= incident.mended_at
            return _FRESH_CERTIFICATE if renewed else -_EXPIRED_SINCE
    return _FRESH_CERTIFICATE


def _warnings(world: World, workload: SimWorkload) -> float:
    return sum(each.count for each in world.events if each.workload == workload.path and each.kind == "Warning")


def _disk(world: World, node: str) -> float:
    full = any(
        each.begun and each.script.kind == "disk_full" and each.script.target == node for each in world.incidents
    )
    pods = sum(pod.node == node for each in world.workloads for pod in each.pods)
    return _DISK_FULL if full else min(0.9, _DISK_BASE + _DISK_A_POD * pods)


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
