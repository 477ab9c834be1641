"""How the simulated cluster moves: second by second, and always the same way. Pure but for the world that it is given."""

from __future__ import annotations

from typing import Final

from mcp_servers.platform_ctl.simulated.incidents import ailment, begin, chatter, overload
from mcp_servers.platform_ctl.simulated.world import SimNode, SimPod, SimWorkload, World, pod_name

START_SECONDS: Final = 4
"""What a pod takes until it is ready."""
DEADLINE: Final = 60
"""A rollout that is not done after these seconds has failed."""
_TALK_SECONDS: Final = 5
_FIRST_BACK_OFF: Final = 10
_LONGEST_BACK_OFF: Final = 300
_MOST_TICKS: Final = 3600


def advance(world: World, to: int) -> None:
    """Let time pass. What was left alone for more than an hour has gone through the last hour of it only."""
    if to - world.now > _MOST_TICKS:
        world.now = to - _MOST_TICKS
    while world.now < to:
        world.now += 1
        tick(world)


def settle(world: World) -> None:
    """Begin the world with everything running, before anything goes wrong."""
    for workload in world.workloads:
        for _ in range(workload.replicas):
            pod = _make(world, workload, "")
            pod.ready, pod.since = True, -START_SECONDS


def tick(world: World) -> None:
    """One second."""
    begin(world)
    for node in world.nodes:
        if node.draining:
            _drain(world, node)
    for workload in world.workloads:
        _roll(world, workload)
        for pod in workload.pods:
            _live(world, workload, pod)
        for text in chatter(world, workload) if world.now % _TALK_SECONDS == 0 else ():
            world.tell("Warning", "Noted", workload, workload.name, text)
            for pod in workload.pods:
                world.log(pod, text)
        if (text := overload(workload)) and world.now % _TALK_SECONDS == 0:
            world.tell("Warning", "Overloaded", workload, workload.name, text)
            for pod in workload.pods:
                world.log(pod, "WARN queue is full: request refused after 2000 ms")


def _roll(world: World, workload: SimWorkload) -> None:
    """One step towards what the workload should be: a pod more, or a pod less. A ready pod goes when there are enough others."""
    new = [pod for pod in workload.pods if pod.template == workload.template]
    old = [pod for pod in workload.pods if pod.template != workload.template]
    spare = 0 if workload.kind == "statefulset" else 1
    if len(new) > workload.replicas:
        # The last one made, but one that is not ready first; of a stateful set the highest number.
        last = (
            new[-1]
            if workload.kind == "statefulset"
            else next((pod for pod in reversed(new) if not pod.ready), new[-1])
        )
        _end(world, workload, last)
    elif len(new) < workload.replicas and len(workload.pods) < workload.replicas + spare:
        node = old[0].node if old else ""
        _make(world, workload, node)
    elif old:
        # Without a spare one, a stateful set does one at a time, from the highest number down.
        gone = next((pod for pod in old if not pod.ready), None)
        enough = workload.ready > workload.replicas or (spare == 0 and all(pod.ready for pod in new))
        if gone is None and (enough or workload.replicas == 0):
            gone = old[-1] if spare == 0 else old[0]
        if gone is not None:
            _end(world, workload, gone)
            if spare == 0:
                _make(world, workload, gone.node)


def _make(world: World, workload: SimWorkload, like: str) -> SimPod:
    """Make a pod: on the machine of the one that it replaces, or on the one that has the fewest."""
    open_nodes = [node.name for node in world.nodes if not node.cordoned]
    load = {name: sum(pod.node == name for each in world.workloads for pod in each.pods) for name in open_nodes}
    node = like if like in load else min(open_nodes, key=lambda name: (load[name], name), default="")
    name = pod_name(workload)
    pod = SimPod(name=name, node=node, template=workload.template, born=world.now, since=world.now)
    workload.pods.append(pod)
    if node:
        world.log(pod, f"INFO starting {workload.name} {workload.current.version} on {node}")
        world.tell("Normal", "Scheduled", workload, name, f"Assigned to {node}")
    else:
        pod.says = "Pending: no machine takes pods"
        world.tell("Warning", "FailedScheduling", workload, name, "0 machines take pods")
    return pod


def _end(world: World, workload: SimWorkload, pod: SimPod) -> None:
    workload.pods.remove(pod)
    world.tell("Normal", "Killing", workload, pod.name, "Stopping the container")


def _drain(world: World, node: SimNode) -> None:
    """Take one pod of each workload off the machine, where the others can bear it."""
    for workload in world.workloads:
        for pod in workload.pods:
            others = sum(each.ready for each in workload.pods if each is not pod)
            if pod.node == node.name and (not pod.ready or others >= workload.replicas - 1):
                world.tell("Normal", "Evicted", workload, pod.name, f"Evicted from {node.name}")
                workload.pods.remove(pod)
                break


def _live(world: World, workload: SimWorkload, pod: SimPod) -> None:
    if not pod.node:
        return
    if pod.waiting:
        if world.now < pod.until:
            return
        pod.waiting, pod.since = False, world.now
        pod.restarts += 1
        world.log(pod, f"INFO starting {workload.name} on {pod.node}")
    suffers = ailment(world, workload, pod)
    age = world.now - pod.since
    if suffers is not None and suffers.crashes_after is not None and age >= suffers.crashes_after:
        _crash(world, workload, pod, suffers.line)
        return
    was = pod.ready
    pod.ready = age >= START_SECONDS and (suffers is None or suffers.crashes_after is not None)
    pod.says = "" if pod.ready else "starting" if suffers is None else suffers.line
    if pod.ready and not was:
        world.log(pod, "INFO ready")
    elif suffers is not None and suffers.crashes_after is None and world.now % _TALK_SECONDS == 0:
        world.log(pod, suffers.line)
        world.tell("Warning", suffers.reason, workload, pod.name, f"Readiness probe failed: {suffers.line}")
    elif pod.ready and world.now % (6 * _TALK_SECONDS) == 0:
        world.log(pod, f"INFO served {workload.load / max(1, workload.ready):.0f} requests per second")


def _crash(world: World, workload: SimWorkload, pod: SimPod, line: str) -> None:
    world.log(pod, line)
    pod.ready, pod.waiting = False, True
    back_off = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(pod.restarts, 10))
    pod.until = world.now + back_off
    pod.says = f"CrashLoopBackOff: the container ended with status 1; next start in {back_off} s. {line}"
    world.tell("Warning", "BackOff", workload, pod.name, "Back-off restarting failed container")
