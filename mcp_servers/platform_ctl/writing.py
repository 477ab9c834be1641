"""How a write is made: planned, noted, carried out once, and looked at afterwards. The order of these is the whole point.

A write that was begun, and of which nobody knows what came, is looked for on the platform: it left its mark there, or the state is still the
one that it was planned from, and then it is carried out now. If neither is so, nothing is done and a person has to look.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

import anyio
import msgspec
import structlog

from mcp_servers.platform_ctl.cluster import Backend, Change, Order, Plan, Reference, Unsure
from mcp_servers.platform_ctl.settings import Environment, Limits, PostCheck
from mcp_servers.receipts import Receipt, Receipts
from mcp_servers.verbs import Json, Refused

log = structlog.get_logger()
_LONGEST_TEXT: Final = 4000


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An environment at work."""

    name: str
    settings: Environment
    backend: Backend


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the wanted state was there after a write, and for how long it was waited; None where nothing was done."""

    holds: bool | None
    seconds: float
    says: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a write gives."""

    changed: bool
    dry_run: bool
    diff: Sequence[Change]
    check: Check
    idempotency_key: str
    replayed: bool = False


class Writer:
    """Makes writes."""

    def __init__(self, receipts: Receipts, limits: Limits, post_check: PostCheck) -> None:
        self._receipts = receipts
        self._limits = limits
        self._post_check = post_check

    async def write(self, place: Place, order: Order, *, key: str | None, dry_run: bool) -> Written:
        """Make a write, or say what it would do. Raises Refused."""
        permit(place, order)
        if dry_run:
            plan = await self._plan(place, order)
            says = "This was a dry run: nothing was changed."
            check = Check(holds=None, seconds=0.0, says=says)
            return Written(changed=False, dry_run=True, diff=plan.changes, check=check, idempotency_key=key or "")
        key = key or uuid.uuid4().hex
        digest = _digest(place, order)
        async with self._receipts.held(self._limits.seconds):
            receipt = self._known(key, digest)
            if receipt is not None and receipt.result is not None:
                return _replayed(receipt.result)
            plan = await self._applied(place, order, Receipt(key=key, digest=digest, step="begun"), receipt)
        check = await self._checked(place, order, plan)
        written = Written(
            changed=bool(plan.changes), dry_run=False, diff=plan.changes, check=check, idempotency_key=key
        )
        async with self._receipts.held(self._limits.seconds):
            receipt = self._known(key, digest)
            if receipt is not None and receipt.result is not None:
                return _replayed(receipt.result)  # the same call, made twice at once: the first one's word stands
            self._receipts.note(Receipt(key=key, digest=digest, step="done", result=msgspec.to_builtins(written)))
        return written

    def _known(self, key: str, digest: str) -> Receipt | None:
        receipt = self._receipts.find(key)
        if receipt is not None and receipt.digest != digest:
            msg = "This idempotency key was used for another write or other arguments: nothing was done. Use a new one."
            raise Refused(msg)
        return receipt

    async def _plan(self, place: Place, order: Order) -> Plan:
        with _bounded(self._limits.seconds):
            plan = await place.backend.plan(order)
        if order.verb == "drain":
            foreign = [each for each in plan.target["pods"] if each.split("/")[0] not in place.settings.namespaces]
            if foreign:
                msg = f"{len(foreign)} pods on {order.node} are of namespaces that are not listed here: it is not drained."
                raise Refused(msg)
        return plan

    async def _applied(self, place: Place, order: Order, new: Receipt, old: Receipt | None) -> Plan:
        """See that an order is carried out, once."""
        if old is not None:
            plan = msgspec.convert(old.plan, Plan)
            if old.step == "applied" or await self._was_done(place, order, plan, new.key):
                self._receipts.note(msgspec.structs.replace(new, step="applied"))
                return plan
        else:
            plan = await self._plan(place, order)
            self._receipts.note(msgspec.structs.replace(new, plan=msgspec.to_builtins(plan)))
        try:
            if plan.changes:
                # Whoever asked may leave: what is begun is carried on until it is known what came of it.
                with _bounded(self._limits.seconds, shield=True):
                    await place.backend.carry_out(order, plan, _mark(new.key))
        except Refused:
            # The platform said no: the key is as if it had never been used.
            self._receipts.note(msgspec.structs.replace(new, step="dropped"))
            raise
        except (Unsure, TimeoutError) as unsure:
            reason = str(unsure) or f"No answer within {self._limits.seconds:g} seconds."
            msg = f"{reason} It is not known whether the {order.verb} was made. Call again with idempotency_key {new.key!r}: it is never made twice."
            raise Refused(msg) from None
        log.info("write.applied", verb=order.verb, environment=place.name, target=str(order.workload or order.node))
        self._receipts.note(msgspec.structs.replace(new, step="applied"))
        return plan

    async def _was_done(self, place: Place, order: Order, plan: Plan, key: str) -> bool:
        with _bounded(self._limits.seconds):
            outcome = await place.backend.outcome(order, plan, _mark(key))
        if outcome == "unknown":
            msg = (
                f"This {order.verb} was begun earlier, and it cannot be found out whether it was made, for something else was changed "
                "since. Nothing was done now: look at the state, and use a new key for what is still wanted."
            )
            raise Refused(msg)
        return outcome == "done"

    async def _checked(self, place: Place, order: Order, plan: Plan) -> Check:
        """Wait for the wanted state, which has to last; no longer than the settings say."""
        backend, settings = place.backend, self._post_check
        began = backend.now()
        good_since: float | None = None
        while True:
            try:
                with _bounded(self._limits.seconds):
                    missing = await _missing(backend, order, plan)
            except Refused as refused:
                missing = f"It cannot be looked at: {refused}"
            except TimeoutError:
                missing = "The platform does not answer."
            now = backend.now()
            good_since = None if missing else now if good_since is None else good_since
            seconds = round(now - began, 1)
            if good_since is not None and now - good_since >= settings.steady:
                return Check(
                    holds=True, seconds=seconds, says=f"The wanted state is there, for {settings.steady:g} seconds."
                )
            if now - began >= settings.seconds + (settings.steady if good_since is not None else 0):
                return Check(holds=False, seconds=seconds, says=missing or "The wanted state did not last.")
            await backend.pause(settings.every)


def permit(place: Place, order: Order) -> None:
    """Raises Refused for what the configuration does not allow."""
    if order.verb not in place.settings.writes:
        allowed = ", ".join(place.settings.writes) or "nothing"
        msg = f"{order.verb} is not allowed in {place.name}. Allowed there: {allowed}."
        raise Refused(msg)
    if order.verb == "drain":
        if order.node not in place.settings.nodes:
            msg = f"{order.node!r} may not be drained in {place.name}. Nodes that may be: {', '.join(place.settings.nodes) or 'none'}."
            raise Refused(msg)
        return
    of = order.of
    within(place, of.namespace)
    if order.verb == "scale":
        bounds = place.settings.bounds(of.namespace, of.name)
        if bounds is None:
            msg = f"{of} may not be scaled in {place.name}: it has no bounds there."
            raise Refused(msg)
        if order.replicas is None or not bounds.least <= order.replicas <= bounds.most:
            msg = f"{of} may be scaled to {bounds.least} to {bounds.most} replicas in {place.name}, not to {order.replicas}."
            raise Refused(msg)


def within(place: Place, namespace: str) -> None:
    """Raises Refused for a namespace that is not listed."""
    if namespace not in place.settings.namespaces:
        msg = f"The namespace {namespace!r} is not listed for {place.name}. Listed: {', '.join(place.settings.namespaces)}."
        raise Refused(msg)


async def _missing(backend: Backend, order: Order, plan: Plan) -> str:
    """Say what is missing for the wanted state; nothing where it is there."""
    if order.verb == "drain":
        left = await backend.left_on(order.node)
        if left:
            return f"{len(left)} pods are still on {order.node}: {', '.join(left)[:_LONGEST_TEXT]}"
        for path in plan.target["workloads"]:
            namespace, _, name = path.partition("/")
            workload = await backend.workload(Reference(namespace=namespace, name=name))
            if workload.ready < workload.desired:
                return f"{path}: {workload.ready} of {workload.desired} are ready. {workload.says}".rstrip()
        return ""
    rollout = await backend.rollout(order.of)
    if rollout.state == "complete" and (order.replicas is None or rollout.desired == order.replicas):
        return ""
    progress = f"{rollout.ready} ready, {rollout.updated} updated, {rollout.total} there, {rollout.desired} wanted"
    return f"{rollout.state}: {progress}. {rollout.says}".rstrip()


def _bounded(seconds: float, *, shield: bool = False) -> AbstractContextManager[anyio.CancelScope]:
    return anyio.fail_after(seconds, shield=shield)


def _digest(place: Place, order: Order) -> str:
    text = json.dumps([place.name, msgspec.to_builtins(order)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _mark(key: str) -> str:
    """What is left on the platform: it says nothing of the key."""
    return hashlib.sha256(f"platform_ctl {key}".encode()).hexdigest()[:32]


def _replayed(result: dict[str, Json]) -> Written:
    return msgspec.structs.replace(msgspec.convert(result, Written), replayed=True)
