"""A Kubernetes cluster as a platform. A change and its mark are one PATCH with the resource version that was read: both are made, or neither."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio

from mcp_servers.platform_ctl import cluster
from mcp_servers.platform_ctl.cluster import (
    Event,
    Kind,
    Line,
    LogAsk,
    Node,
    Order,
    Outcome,
    Plan,
    Pod,
    Reference,
    Revision,
)
from mcp_servers.platform_ctl.kubernetes import objects
from mcp_servers.platform_ctl.kubernetes.api import JSON_PATCH, MERGE, Api, Failed, part
from mcp_servers.platform_ctl.planning import Standing, drained, planned
from mcp_servers.platform_ctl.settings import Kubernetes
from mcp_servers.verbs import Json, Refused

_KINDS: Final[tuple[Kind, ...]] = ("deployment", "statefulset")
_CONFLICTS: Final = 5
_PASS_SECONDS: Final = 0.5
_MOST_PODS_READ: Final = 20


class KubernetesBackend:
    """A Backend. Raises ConfigurationError."""

    def __init__(self, settings: Kubernetes, base: Path, seconds: float) -> None:
        self._api = Api(settings, base, seconds)
        self._seconds = seconds

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep connections while the program runs."""
        try:
            yield
        finally:
            await self._api.close()

    async def workloads(self, namespace: str) -> Sequence[cluster.Workload]:
        """Give the deployments and stateful sets of a namespace. Raises Refused."""
        found: list[cluster.Workload] = []
        for kind in _KINDS:
            items = await self._api.fetch_all(_apps(namespace, f"{kind}s"))
            found += [objects.workload(each, kind, _number(each)) for each in items]
        return found

    async def workload(self, of: Reference) -> cluster.Workload:
        """Give one. Raises Refused."""
        kind, found = await self._found(of)
        return objects.workload(found, kind, await self._revision(kind, found))

    async def pods(self, of: Reference) -> Sequence[Pod]:
        """Give its pods. Raises Refused."""
        _, found = await self._found(of)
        return [objects.pod(each, of.name) for each in await self._pods(of.namespace, found)]

    async def nodes(self) -> Sequence[Node]:
        """Give the machines; none where the token may not see them. Raises Refused."""
        try:
            return [objects.node(each) for each in await self._api.fetch_all("/api/v1/nodes")]
        except Failed as failed:
            if failed.status == 403:
                return []
            raise

    async def history(self, of: Reference) -> Sequence[Revision]:
        """Give what a workload can go back to, the newest first. Raises Refused."""
        kind, found = await self._found(of)
        return [revision for revision, _ in await self._history(kind, found)]

    async def rollout(self, of: Reference) -> cluster.Rollout:
        """Say how far a workload is. Raises Refused."""
        kind, found = await self._found(of)
        return objects.rollout(found, kind, await self._revision(kind, found))

    async def logs(self, of: Reference, ask: LogAsk) -> Sequence[Line]:
        """Give lines of at most twenty pods. Raises Refused."""
        _, found = await self._found(of)
        names = [objects.name_of(each) for each in await self._pods(of.namespace, found)]
        if ask.pod is not None and ask.pod not in names:
            msg = f"There is no pod {ask.pod!r} of {of} now."
            raise Refused(msg)
        params = {"tailLines": str(ask.lines), "limitBytes": str(ask.bytes), "timestamps": "true"}
        params |= {"sinceSeconds": str(ask.since_seconds)} if ask.since_seconds is not None else {}
        params |= {"previous": "true"} if ask.previous else {}
        lines: list[Line] = []
        for name in [ask.pod] if ask.pod is not None else names[:_MOST_PODS_READ]:
            path = f"/api/v1/namespaces/{part(of.namespace)}/pods/{part(name)}/log"
            try:
                text = await self._api.fetch_text(path, params, ask.bytes)
            except Failed as failed:
                # A container that has not started yet, or was never started before, has no log: others may have.
                if failed.status not in (400, 404):
                    raise
                text = f"[{failed}]"
            lines += [Line(pod=name, text=line) for line in text.splitlines()]
        return lines

    async def events(self, namespace: str, name: str | None, most: int) -> Sequence[Event]:
        """Give what happened: what speaks of a workload, or of what is called after it. Raises Refused."""
        items = await self._api.fetch_all(f"/api/v1/namespaces/{part(namespace)}/events")
        wanted = [each for each in items if name is None or _is_about(each, name)]
        return sorted((objects.event(each) for each in wanted), key=lambda each: each.at)[-most:]

    async def plan(self, order: Order) -> Plan:
        """Say what an order would change. Raises Refused."""
        if order.verb == "drain":
            return await self._plan_drain(order.node)
        kind, found = await self._found(order.of)
        history = await self._history(kind, found) if order.verb == "rollback" else []
        standing = Standing(
            path=f"{order.of.namespace}/{order.of.name}",
            replicas=objects.rollout(found, kind, 0).desired,
            pods=[objects.name_of(each) for each in await self._pods(order.of.namespace, found)],
            history=[revision for revision, _ in history],
            before=str(found["metadata"].get("generation") or 0),
        )
        plan = planned(order, standing)
        if order.verb == "rollback":
            template = next(template for revision, template in history if revision.number == plan.target)
            return Plan(changes=plan.changes, before=plan.before, target=template)
        if order.verb == "restart":
            return Plan(
                changes=plan.changes, before=plan.before, target=datetime.now(UTC).isoformat(timespec="seconds")
            )
        return plan

    async def carry_out(self, order: Order, plan: Plan, mark: str) -> None:
        """Make the change. Raises Refused and Unsure."""
        if order.verb == "drain":
            await self._drain(order.node, plan, mark)
            return
        for left in reversed(range(_CONFLICTS)):
            kind, found = await self._found(order.of)
            if str(found["metadata"].get("generation") or 0) != plan.before:
                msg = f"{order.of} was changed by somebody else in the meantime: nothing was done. Look again."
                raise Refused(msg)
            body, content = _patch(order, plan, mark, found)
            try:
                await self._api.patch(f"{_apps(order.of.namespace, f'{kind}s')}/{part(order.of.name)}", body, content)
            except Failed as failed:
                # A status that was written in between is a conflict too: what was wanted may still be right.
                if failed.status != 409 or not left:
                    raise
                continue
            return

    async def outcome(self, order: Order, plan: Plan, mark: str) -> Outcome:
        """Say whether an order was carried out. Raises Refused."""
        if order.verb == "drain":
            # Draining goes on where it stopped, and does nothing twice.
            return "not_done"
        _, found = await self._found(order.of)
        if objects.notes_of(found).get(objects.MARK) == mark:
            return "done"
        return "not_done" if str(found["metadata"].get("generation") or 0) == plan.before else "unknown"

    async def left_on(self, node: str) -> Sequence[str]:
        """Give the pods that have to leave a node. Raises Refused."""
        return [_path(each) for each in await self._on(node)]

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    async def _found(self, of: Reference) -> tuple[Kind, Json]:
        for kind in _KINDS:
            if of.kind not in (None, kind):
                continue
            try:
                return kind, await self._api.fetch(f"{_apps(of.namespace, f'{kind}s')}/{part(of.name)}")
            except Failed as failed:
                if failed.status != 404:
                    raise
        msg = f"There is no workload {of} here."
        raise Refused(msg)

    async def _pods(self, namespace: str, found: Json) -> list[Json]:
        return await self._api.fetch_all(
            f"/api/v1/namespaces/{part(namespace)}/pods", {"labelSelector": objects.selector(found)}
        )

    async def _history(self, kind: Kind, found: Json) -> list[tuple[Revision, Json]]:
        what = "replicasets" if kind == "deployment" else "controllerrevisions"
        items = await self._api.fetch_all(
            _apps(found["metadata"]["namespace"], what), {"labelSelector": objects.selector(found)}
        )
        own = [each for each in items if objects.owner(each).get("uid") == found["metadata"]["uid"]]
        current = (found.get("status") or {}).get("updateRevision") or ""
        if kind == "deployment":
            number = objects.notes_of(found).get(objects.REVISION)
            current = next(
                (objects.name_of(each) for each in own if objects.notes_of(each).get(objects.REVISION) == number), ""
            )
        revisions = [objects.revision_of(each, current) for each in own]
        return sorted(revisions, key=lambda each: each[0].number, reverse=True)

    async def _revision(self, kind: Kind, found: Json) -> int:
        if kind == "deployment":
            return _number(found)
        return next((revision.number for revision, _ in await self._history(kind, found) if revision.current), 0)

    async def _on(self, node: str) -> list[Json]:
        items = await self._api.fetch_all("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"})
        return [each for each in items if objects.goes_away(each)]

    async def _plan_drain(self, name: str) -> Plan:
        node = objects.node(await self._api.fetch(f"/api/v1/nodes/{part(name)}"))
        there = await self._on(name)
        if lost := [_path(each) for each in there if not objects.owner(each)]:
            msg = f"{len(lost)} pods on {name} belong to nothing that would make them anew ({', '.join(lost[:3])}): it is not drained."
            raise Refused(msg)
        workloads = set()
        for each in there:
            if (path := await self._workload_of(each)) is not None:
                workloads.add(path)
        return drained(
            name, cordoned=not node.schedulable, pods=[_path(each) for each in there], workloads=sorted(workloads)
        )

    async def _workload_of(self, pod: Json) -> str | None:
        """Give the deployment or stateful set of a pod; None for what is of another kind."""
        by, namespace = objects.owner(pod), pod["metadata"]["namespace"]
        if by.get("kind") == "ReplicaSet":
            by = objects.owner(await self._api.fetch(f"{_apps(namespace, 'replicasets')}/{part(by['name'])}"))
        return f"{namespace}/{by['name']}" if by.get("kind") in ("Deployment", "StatefulSet") else None

    async def _drain(self, name: str, plan: Plan, mark: str) -> None:
        """Let the node take no more pods, then evict those of the plan, for as long as one conversation may last."""
        body = {"metadata": {"annotations": {objects.MARK: mark}}, "spec": {"unschedulable": True}}
        await self._api.patch(f"/api/v1/nodes/{part(name)}", body, MERGE)
        end = anyio.current_time() + self._seconds * 0.7
        while True:
            there = [each for each in await self._on(name) if _path(each) in plan.target["pods"]]
            waiting = [each for each in there if not each["metadata"].get("deletionTimestamp")]
            refused = [each for each in waiting if not await self._evicted(each)]
            if not refused or anyio.current_time() > end:
                return
            await anyio.sleep(_PASS_SECONDS)

    async def _evicted(self, pod: Json) -> bool:
        """Ask a pod to leave; False where a disruption budget is against it for now. Raises Failed and Unsure."""
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{part(metadata['namespace'])}/pods/{part(metadata['name'])}/eviction"
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            # Another pod of that name, made since, is not meant.
            "deleteOptions": {"preconditions": {"uid": metadata["uid"]}},
        }
        try:
            await self._api.post(path, body)
        except Failed as failed:
            if failed.status == 429:
                return False
            if failed.status not in (404, 409):
                raise
        return True


def _apps(namespace: str, what: str) -> str:
    return f"/apis/apps/v1/namespaces/{part(namespace)}/{what}"


def _path(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _number(found: Json) -> int:
    return int(objects.notes_of(found).get(objects.REVISION) or 0)


def _is_about(found: Json, name: str) -> bool:
    about = str((found.get("involvedObject") or {}).get("name") or "")
    return about == name or about.startswith(f"{name}-")


def _patch(order: Order, plan: Plan, mark: str, found: Json) -> tuple[Json, str]:
    """Give what to send: the change, its mark, and the version of what it was made from."""
    version = found["metadata"]["resourceVersion"]
    if order.verb == "rollback":
        # The template as a whole: merged, what the newer one has besides would stay.
        kept = {**objects.notes_of(found), objects.MARK: mark}
        return [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/metadata/annotations", "value": kept},
            {"op": "replace", "path": "/spec/template", "value": plan.target},
        ], JSON_PATCH
    metadata = {"resourceVersion": version, "annotations": {objects.MARK: mark}}
    if order.verb == "scale":
        return {"metadata": metadata, "spec": {"replicas": plan.target}}, MERGE
    template = {"metadata": {"annotations": {objects.RESTARTED: plan.target}}}
    return {"metadata": metadata, "spec": {"template": template}}, MERGE
