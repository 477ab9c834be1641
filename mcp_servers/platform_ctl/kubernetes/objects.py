"""Kubernetes objects as records: pure functions from the API's JSON. What a field is called there is said by apps/v1 and core/v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from mcp_servers.platform_ctl.cluster import Event, Kind, Node, Pod, Revision, Rollout, Workload
from mcp_servers.verbs import Json

MARK: Final = "platform-ctl/change"
REVISION: Final = "deployment.kubernetes.io/revision"
RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
HASH: Final = "pod-template-hash"


def name_of(found: Json) -> str:
    """Give its name."""
    return str(found["metadata"]["name"])


def notes_of(found: Json) -> Mapping[str, str]:
    """Give its annotations."""
    return found["metadata"].get("annotations") or {}


def owner(found: Json) -> Mapping[str, str]:
    """Give who controls it; empty where nobody does."""
    owners = found["metadata"].get("ownerReferences") or []
    return next((each for each in owners if each.get("controller")), {})


def images(template: Json) -> str:
    """Give what runs, as a version."""
    return ", ".join(str(each.get("image", "?")) for each in template.get("spec", {}).get("containers") or [])


def selector(found: Json) -> str:
    """Give what selects a workload's pods, as the API takes it."""
    chosen = found["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted((chosen.get("matchLabels") or {}).items())]
    for each in chosen.get("matchExpressions") or []:
        values = ",".join(each.get("values") or [])
        words = {"In": f"{each['key']} in ({values})", "NotIn": f"{each['key']} notin ({values})"}
        words |= {"Exists": each["key"], "DoesNotExist": f"!{each['key']}"}
        parts.append(words[each["operator"]])
    return ",".join(parts)


def rollout(found: Json, kind: Kind, revision: int) -> Rollout:
    """Say how far a workload is, as `kubectl rollout status` does."""
    status, desired = found.get("status") or {}, _desired(found)
    updated, total = status.get("updatedReplicas") or 0, status.get("replicas") or 0
    ready = status.get("readyReplicas") or 0
    useful = (status.get("availableReplicas") or 0) if kind == "deployment" else ready
    seen = (status.get("observedGeneration") or 0) >= (found["metadata"].get("generation") or 0)
    failed = [
        each
        for each in status.get("conditions") or []
        if (each.get("type"), each.get("reason")) == ("Progressing", "ProgressDeadlineExceeded")
        or (each.get("type"), each.get("status")) == ("ReplicaFailure", "True")
    ]
    done = seen and updated >= desired and total == updated and useful >= desired
    state: Literal["complete", "progressing", "failed"] = "progressing"
    if done:
        state = "complete"
    elif seen and failed:
        state = "failed"
    return Rollout(
        state=state,
        desired=desired,
        updated=updated,
        ready=ready,
        total=total,
        revision=revision,
        version=images(found["spec"]["template"]),
        says=""
        if done
        else str(failed[0].get("message", ""))
        if failed
        else ""
        if seen
        else "not yet seen by its controller",
    )


def workload(found: Json, kind: Kind, revision: int) -> Workload:
    """Give a deployment or a stateful set."""
    now = rollout(found, kind, revision)
    state: Literal["healthy", "progressing", "degraded", "failed"] = "healthy"
    if now.ready < now.desired:
        state = "degraded" if now.ready else "failed"
    if now.state == "progressing" and state == "healthy":
        state = "progressing"
    return Workload(
        namespace=str(found["metadata"]["namespace"]),
        kind=kind,
        name=name_of(found),
        version=now.version,
        revision=revision,
        desired=now.desired,
        ready=now.ready,
        state="degraded" if now.state == "failed" and state == "healthy" else state,
        says=now.says,
    )


def pod(found: Json, of: str) -> Pod:
    """Give a pod."""
    status = found.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = any((each.get("type"), each.get("status")) == ("Ready", "True") for each in status.get("conditions") or [])
    waiting = [each["state"]["waiting"] for each in containers if (each.get("state") or {}).get("waiting")]
    ended = [each["lastState"]["terminated"] for each in containers if (each.get("lastState") or {}).get("terminated")]
    says = [str(each.get("message") or each.get("reason") or "") for each in waiting]
    says += [f"ended before with status {each.get('exitCode')} ({each.get('reason', '')})" for each in ended]
    if found["metadata"].get("deletionTimestamp"):
        says.append("it is being deleted")
    return Pod(
        namespace=str(found["metadata"]["namespace"]),
        name=name_of(found),
        workload=of,
        node=str(found.get("spec", {}).get("nodeName") or ""),
        state=str(waiting[0].get("reason"))
        if waiting
        else str(status.get("reason") or status.get("phase") or "Unknown"),
        ready=ready,
        restarts=sum(each.get("restartCount") or 0 for each in containers),
        started_at=str(status.get("startTime") or ""),
        says="; ".join(each for each in says if each),
    )


def node(found: Json) -> Node:
    """Give a machine."""
    conditions = (found.get("status") or {}).get("conditions") or []
    bad = [each for each in conditions if each.get("type") != "Ready" and each.get("status") == "True"]
    return Node(
        name=name_of(found),
        ready=any((each.get("type"), each.get("status")) == ("Ready", "True") for each in conditions),
        schedulable=not found.get("spec", {}).get("unschedulable"),
        says="; ".join(f"{each.get('type')}: {each.get('message', '')}" for each in bad),
    )


def event(found: Json) -> Event:
    """Give an event."""
    about = found.get("involvedObject") or {}
    return Event(
        at=str(
            found.get("lastTimestamp") or found.get("eventTime") or found["metadata"].get("creationTimestamp") or ""
        ),
        kind="Warning" if found.get("type") == "Warning" else "Normal",
        reason=str(found.get("reason") or ""),
        object=f"{about.get('kind', '')}/{about.get('name', '')}",
        says=str(found.get("message") or ""),
        count=int(found.get("count") or 1),
    )


def revision_of(found: Json, current: str) -> tuple[Revision, Json]:
    """Give a replica set or a controller revision as a revision, with the template of its pods; `current` is the name of the one that is wanted."""
    if "data" in found:
        template = {name: value for name, value in found["data"]["spec"]["template"].items() if name != "$patch"}
        number = int(found["revision"])
    else:
        template = dict(found["spec"]["template"])
        metadata = dict(template.get("metadata") or {})
        metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
        template["metadata"] = metadata
        number = int(notes_of(found).get(REVISION, 0))
    at = str(found["metadata"].get("creationTimestamp") or "")
    return Revision(number=number, version=images(template), current=name_of(found) == current, at=at), template


def goes_away(found: Json) -> bool:
    """Whether a pod has to leave a node that is drained: not what belongs to the node itself, nor what has ended."""
    ended = (found.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return (
        not ended and owner(found).get("kind") != "DaemonSet" and "kubernetes.io/config.mirror" not in notes_of(found)
    )


def _desired(found: Json) -> int:
    replicas = found["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)
