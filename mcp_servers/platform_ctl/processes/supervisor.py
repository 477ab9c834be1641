"""Makes what runs what should run: a step at a time, from the state alone. A program that begins anew goes on where the last one was killed."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import structlog

from mcp_servers.platform_ctl.processes import running
from mcp_servers.platform_ctl.processes.record import Instance, Kept, Services, State, clock_time, renewed, save_state

log = structlog.get_logger()
_FIRST_BACK_OFF: Final = 1.0
_LONGEST_BACK_OFF: Final = 60.0
_LASTING: Final = 60.0
"""A process that ran for these seconds begins its back-off anew."""


class Supervisor:
    """The services of a folder. Times in the state are of the wall clock, for they outlive this program."""

    def __init__(self, state: State, services: Services, *, folder: Path, base: Path) -> None:
        self.state = renewed(state, services)
        self._folder = folder
        self._base = base
        self._file = folder / "state.json"
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._retired = [
            each
            for name, known in state.services.items()
            if name not in self.state.services
            for each in known.instances
        ]

    def adopt(self) -> None:
        """Take over what runs already, also what was started in the moment before a program was killed. Others are ended."""
        found = running.strays(self._folder)
        for kept in self.state.services.values():
            for instance in kept.instances:
                if instance.name in found:
                    instance.pid, instance.template = found.pop(instance.name)
                    instance.born = running.born(instance.pid)
            for name in [each for each in found if each.rpartition("-")[0] == kept.name]:
                pid, template = found.pop(name)
                kept.instances.append(
                    Instance(name, template, pid, running.born(pid), time.time(), clock_time(), says="adopted")
                )
        for name, (pid, template) in found.items():
            self._retired.append(Instance(name, template, pid, running.born(pid)))
        for instance in self._retired:
            running.end(instance, signal.SIGTERM)
        self.save()

    def save(self) -> None:
        """Keep the state."""
        save_state(self._file, self.state)

    def step(self) -> None:
        """Look at everything once, and do what is next."""
        for pid, child in [*self._children.items()]:
            if child.poll() is not None:
                del self._children[pid]
        # Of what is compared, nothing changes while nothing happens.
        before = repr(self.state)
        for kept in self.state.services.values():
            for instance in [*kept.instances]:
                self._watch(kept, instance)
            self._roll(kept)
        if repr(self.state) != before:
            self.save()

    def ready(self, kept: Kept, instance: Instance) -> bool:
        """Whether a process has been running for long enough."""
        seconds = kept.step.service.ready_seconds
        return bool(instance.pid) and not instance.stopping_since and time.time() - instance.since >= seconds

    def log_of(self, instance: Instance) -> Path:
        """Where a process writes."""
        return self._folder / f"{instance.name}.log"

    def stop_all(self) -> None:
        """Ask all to end: for when they must not outlive this program."""
        for kept in self.state.services.values():
            for instance in kept.instances:
                running.end(instance, signal.SIGTERM)

    def _watch(self, kept: Kept, instance: Instance) -> None:
        running.trim(self.log_of(instance), kept.step.service.log_bytes)
        if instance.pid and running.born(instance.pid) != instance.born:
            self._ended(kept, instance)
        elif instance.stopping_since and time.time() - instance.stopping_since > kept.step.service.stop_seconds:
            running.end(instance, signal.SIGKILL)
        if instance.stopping_since and not instance.pid:
            kept.instances.remove(instance)
        elif not instance.pid and not instance.stopping_since and time.time() >= instance.again_at:
            self._start(kept, instance)

    def _ended(self, kept: Kept, instance: Instance) -> None:
        instance.pid = 0
        if instance.stopping_since:
            kept.tell("Normal", "Stopped", instance.name, "Stopped, as it was asked to")
            return
        ran = time.time() - instance.since
        back_off = (
            _FIRST_BACK_OFF
            if ran > _LASTING
            else min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(instance.restarts, 10))
        )
        instance.again_at = time.time() + back_off
        instance.says = f"It ended by itself; next start in {back_off:g} s"
        kept.tell("Warning", "BackOff", instance.name, "It ended by itself, and is started again after a while")

    def _start(self, kept: Kept, instance: Instance) -> None:
        service = next((each.service for each in kept.steps if each.number == instance.template[0]), kept.step.service)
        if instance.since:
            instance.restarts += 1
        instance.since, instance.started_at = time.time(), clock_time()
        try:
            child = running.start(
                service, instance, folder=self._folder, cwd=self._base / service.cwd, log=self.log_of(instance)
            )
        except OSError as error:
            back_off = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(instance.restarts, 10))
            instance.again_at = time.time() + back_off
            instance.says = f"It cannot be started: {error.strerror}"
            kept.tell("Warning", "FailedStart", instance.name, instance.says)
            return
        self._children[child.pid] = child
        instance.pid, instance.born, instance.says = child.pid, running.born(child.pid), ""
        kept.tell("Normal", "Started", instance.name, f"Started, version {kept.step.version}")
        log.info("process.started", instance=instance.name, pid=child.pid)

    def _roll(self, kept: Kept) -> None:
        """One step towards what should run: one process more, or one less. One at a time is replaced, for two may want one port."""
        if any(instance.stopping_since for instance in kept.instances):
            return
        if len(kept.instances) > kept.replicas:
            # Those of before first, then the highest number.
            last = max(
                kept.instances, key=lambda each: (each.template != kept.template, int(each.name.rpartition("-")[2]))
            )
            self._stop(last)
            return
        old = [each for each in kept.instances if each.template != kept.template]
        new_ready = all(self.ready(kept, each) for each in kept.instances if each.template == kept.template)
        ill = next((each for each in old if not self.ready(kept, each)), None)
        if ill is not None or (old and new_ready and len(kept.instances) == kept.replicas):
            self._stop(ill or old[-1])
        elif len(kept.instances) < kept.replicas:
            taken = {each.name for each in kept.instances}
            name = next(name for number in range(10_000) if (name := f"{kept.name}-{number}") not in taken)
            kept.instances.append(Instance(name, kept.template))

    def _stop(self, instance: Instance) -> None:
        instance.stopping_since = time.time()
        running.end(instance, signal.SIGTERM)
