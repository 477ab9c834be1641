"""What goes wrong in the simulated cluster, what is seen of it, and what mends it. Pure: the same world ails the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from mcp_servers.platform_ctl.cluster import Write
from mcp_servers.platform_ctl.settings import Incident, Settings, Simulated
from mcp_servers.platform_ctl.simulated.world import SimIncident, SimPod, SimRevision, SimWorkload, World
from mcp_servers.serving import ConfigurationError

FIXED_BY: Final[Mapping[str, tuple[Write, ...]]] = {
    # A stale lock lies in the pod's own folder: a new container finds it again, a new pod does not.
    "crash_loop": ("restart", "rollback"),
    "bad_rollout": ("rollback",),
    "disk_full": ("drain",),
    "dependency_down": ("restart", "rollback"),
    # The new certificate lies there already; who has read the old one keeps it until it is started anew.
    "certificate_expiry": ("restart", "rollback"),
    "traffic_spike": ("scale",),
    # There is nothing to mend.
    "noise": (),
}


@dataclass(frozen=True, kw_only=True)
class Ailment:
    """What a pod suffers from: it crashes this many seconds after its start, or, where that is None, runs and is not ready."""

    reason: str
    line: str
    crashes_after: int | None = None


def check_incidents(settings: Simulated) -> None:
    """Raises ConfigurationError for a script that speaks of what is not there."""
    paths = {f"{each.namespace}/{each.name}" for each in settings.workloads}
    listed = {"incidents": settings.incidents}
    listed |= {f"scenarios.{name}": incidents for name, incidents in settings.scenarios.items()}
    for where, incidents in listed.items():
        for number, incident in enumerate(incidents):
            targets = set(settings.nodes) if incident.kind == "disk_full" else paths
            if incident.target not in targets:
                msg = f"{where}[{number}].target: there is no {incident.target!r}"
                raise ConfigurationError(msg)
    for script in settings.workloads:
        if unknown := sorted(set(script.needs) - paths):
            msg = f"workloads: {script.namespace}/{script.name} needs {unknown[0]!r}, which is not there"
            raise ConfigurationError(msg)


def named(settings: Simulated, name: str) -> tuple[Incident, ...]:
    """Give the incidents that a name calls for: a scenario's, or one written kind:target. Raises ConfigurationError."""
    scenario = settings.scenarios.get(name, settings.scenarios.get(name.replace("_", "-")))
    if scenario is not None:
        return scenario
    kind, _, target = name.partition(":")
    if target and kind in FIXED_BY:
        incident = msgspec.convert({"kind": kind, "target": target}, Incident)
        check_incidents(msgspec.structs.replace(settings, incidents=(incident,)))
        return (incident,)
    known = ", ".join(sorted(settings.scenarios)) or "none"
    msg = f"there is no scenario {name!r} (known: {known}), and it is not kind:target with a kind of {', '.join(FIXED_BY)}"
    raise ConfigurationError(msg)


def with_incidents(settings: Settings, names: Sequence[str]) -> Settings:
    """Give settings in whose simulated clusters the named things go wrong, too. Raises ConfigurationError."""
    environments = {}
    for name, each in settings.environments.items():
        platform = each.platform
        if isinstance(platform, Simulated):
            more = tuple(incident for called in names for incident in named(platform, called))
            platform = msgspec.structs.replace(platform, incidents=(*platform.incidents, *more))
        environments[name] = msgspec.structs.replace(each, platform=platform)
    if names and not any(isinstance(each.platform, Simulated) for each in environments.values()):
        msg = "--incident: no environment is simulated"
        raise ConfigurationError(msg)
    return msgspec.structs.replace(settings, environments=environments)


def begin(world: World) -> None:
    """Begin what is to go wrong by now."""
    for incident in world.incidents:
        script = incident.script
        if incident.begun or script.at > world.now:
            continue
        incident.begun = True
        workload = world.workload(script.target)
        if script.kind == "bad_rollout" and workload is not None:
            number = workload.revisions[-1].number + 1
            workload.revisions.append(SimRevision(number, script.version, world.now, bad=True))
            workload.revision, workload.moved_at = number, world.now
            workload.changed += 1
            world.tell("Normal", "ScalingReplicaSet", workload, workload.name, f"Rolling out version {script.version}")
        if script.kind == "traffic_spike" and workload is not None:
            workload.load *= script.factor


def mend(world: World, verb: Write, target: str) -> None:
    """Take note of a write: what it mends is mended for the pods that are made from now on."""
    for incident in world.incidents:
        fixed_by = FIXED_BY[incident.script.kind] if incident.script.fixed_by is None else incident.script.fixed_by
        if incident.begun and incident.script.target == target and verb in fixed_by and incident.mended_at is None:
            incident.mended_at = world.now


def ailment(world: World, workload: SimWorkload, pod: SimPod) -> Ailment | None:
    """Say what a pod suffers from."""
    for incident in world.incidents:
        if incident.begun and (found := _of_incident(incident, workload, pod)) is not None:
            return found
    if _revision(workload, pod).bad and not _forgiven(world, workload):
        line = "FATAL configuration: unknown key 'payments.currency_table' (added by this version)"
        return Ailment(reason="Error", line=line, crashes_after=8)
    for path in workload.needs:
        needed = world.workload(path)
        if needed is not None and needed.ready == 0:
            return Ailment(
                reason="Unhealthy", line=f"ERROR upstream {path}: connection refused, giving up after 3 tries"
            )
    return None


def chatter(world: World, workload: SimWorkload) -> list[str]:
    """Give what is written into a workload's log besides, by whoever can."""
    return [
        each.script.text
        for each in world.incidents
        if each.begun and each.script.kind == "noise" and each.script.target == workload.path
    ]


def overload(workload: SimWorkload) -> str:
    """Say that there is more to do than the ready pods can, or nothing."""
    room = workload.capacity * workload.ready
    if workload.ready == 0 or workload.load <= room:
        return ""
    return f"{workload.load:g} requests per second for {workload.ready} ready pods that serve {room:g}: requests wait and time out"


def _of_incident(incident: SimIncident, workload: SimWorkload, pod: SimPod) -> Ailment | None:
    script = incident.script
    if script.kind == "disk_full":
        # The disk stays full: whoever is on the machine suffers.
        if pod.node != script.target:
            return None
        line = f"ERROR write /var/lib/app/journal: no space left on device ({script.target})"
        return Ailment(reason="Unhealthy", line=line)
    if script.target != workload.path or (incident.mended_at is not None and pod.born >= incident.mended_at):
        return None
    if script.kind == "crash_loop":
        line = "FATAL cannot start: /scratch/app.lock is held by a process that is gone"
        return Ailment(reason="Error", line=line, crashes_after=3)
    if script.kind == "dependency_down":
        return Ailment(reason="Unhealthy", line="WARN all 32 workers wait for a lock, no request is answered")
    if script.kind == "certificate_expiry":
        line = "ERROR tls: handshake failed: certificate has expired (a newer one is in /etc/tls, read at start)"
        return Ailment(reason="Unhealthy", line=line)
    return None


def _revision(workload: SimWorkload, pod: SimPod) -> SimRevision:
    return next(each for each in workload.revisions if each.number == pod.template[0])


def _forgiven(world: World, workload: SimWorkload) -> bool:
    """Whether a script lets a bad version be mended by something else than going back."""
    scripts = [each for each in world.incidents if _is_rollout_of(each.script, workload) and each.begun]
    return any(
        each.mended_at is not None and "rollback" not in (each.script.fixed_by or ("rollback",)) for each in scripts
    )


def _is_rollout_of(script: Incident, workload: SimWorkload) -> bool:
    return script.kind == "bad_rollout" and script.target == workload.path
