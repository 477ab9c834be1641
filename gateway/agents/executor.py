"""Executes runs in this process: takes leases on those that nobody executes, keeps the leases, and gives them back when it goes.

Every process of a deployment has one. A run that waits to be executed costs no task and no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final

import anyio
import structlog
from anyio.abc import TaskGroup

from gateway.agents.answering import Answering, Asking
from gateway.agents.attended import Attended
from gateway.agents.desk import Take
from gateway.agents.holding import Holding
from gateway.agents.journal import Journal, Scribe
from gateway.agents.means import Means
from gateway.core.errors import ClientLeft, InternalError, StoreUnavailable, SwitchgearError, Unavailable
from gateway.stores.runs import Entry, Fenced, Run, RunItem

log = structlog.get_logger()

CANCEL_POLL: Final = 0.5
"""Seconds between two looks whether somebody wants the end of a run, on whatever replica that was said."""
MOST_HOLDERS: Final = 50
"""Who have tried a run before it is given up: it may be what ended them."""
_SWEEP_SECONDS: Final = 300.0
_LAST_SECONDS: Final = 5.0
"""For the last write of a run that is ended from outside."""
_AT_ONE_LOOK: Final = 32


class Executor:
    """Executes runs until it is cancelled, or told to `finish`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._held: dict[str, Holding] = {}
        self._background = 0
        self._adopted = 0
        self._wake = anyio.Event()
        self._idle = anyio.Event()
        self._leaving = False
        self._scribe = Scribe(means)
        self._tasks: TaskGroup | None = None
        self.waited: Callable[[str], Awaitable[object]] | None = None
        """Looks whether what a run waits for was answered before it waited."""
        self._beside: list[Callable[[], Coroutine[object, object, None]]] = []

    def beside(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Have something done for as long as this runs."""
        self._beside.append(work)

    def wake(self) -> None:
        """Look now: there is a new run."""
        self._wake.set()

    def holds(self, run: str, tenant: str) -> bool:
        """Whether this process executes a run, and it is that tenant's."""
        holding = self._held.get(run)
        return holding is not None and holding.run.tenant == tenant

    def reserve(self) -> bool:
        """Take a place for a background run; False where there is none. It is for `start`, or given up."""
        if self._tasks is None or self._leaving or self._background >= self._means.settings.at_once:
            return False
        self._background += 1
        return True

    def give_up_place(self) -> None:
        """Give a place back that was taken, and nothing started."""
        self._background -= 1
        self._idle.set()

    def start(self, run: Run) -> None:
        """Execute a run that is in the journal under a lease of this process, in a place that was reserved."""
        if self._tasks is None:
            msg = "runs are executed only while the server runs"
            raise RuntimeError(msg)
        self._tasks.start_soon(self._execute_in_place, run)

    def adopt(self, run: Run, asking: Asking | None) -> None:
        """Execute a run that another one waits for, and that is in the journal under a lease of this process.

        It takes no place: who waits for it may have the last one.
        """
        if self._tasks is None:
            msg = "runs are executed only while the server runs"
            raise RuntimeError(msg)
        self._adopted += 1
        self._tasks.start_soon(self._execute_adopted, run, asking)

    def cancel(self, run: str) -> None:
        """End a run, if this process executes it."""
        holding = self._held.get(run)
        if holding is not None:
            holding.end("cancelled")
            for child in [other for other in self._held.values() if other.run.parent == run]:
                self.cancel(child.run.id)

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._scribe.run)
            tasks.start_soon(self._keep_leases)
            tasks.start_soon(self._watch_cancels)
            tasks.start_soon(self._sweep)
            for work in self._beside:
                tasks.start_soon(work)
            while True:
                self._wake = anyio.Event()
                try:
                    await self._look(tasks)
                except SwitchgearError:
                    pass  # the database says so itself, and the next look comes
                except Exception:
                    log.exception("runs.crashed")  # whatever it is, it is not worth the server
                with anyio.move_on_after(self._means.settings.poll):
                    await self._wake.wait()

    async def finish(self, seconds: float) -> None:
        """Begin nothing any more; wait so long at most for what runs here, and leave the rest to others."""
        self._leaving = True
        with anyio.move_on_after(seconds):
            await self._until_idle()
        for holding in tuple(self._held.values()):
            holding.end("left")
        with anyio.move_on_after(_LAST_SECONDS):
            await self._until_idle()

    async def _until_idle(self) -> None:
        while self._background or self._adopted:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def answer(self, run: Run, items: Sequence[RunItem], asking: Asking, take: Take) -> Run:
        """Execute a run for somebody who waits for it, in the task of the caller; give it as it ended.

        Raises what keeps it from beginning; a cancellation of the task ends it.
        """
        holding = Holding(run)
        journal = self._scribe.open(holding)
        sink = Attended(self._means, run, items, journal, take, lambda: self._hold(holding))
        answering = Answering(self._means, run, sink, self.adopt, asking, items)
        try:
            await answering()
            await self._look_again(answering)
        except asyncio.CancelledError as cancelled:
            ours = holding.settle()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                if holding.why != "lost" and (answering.begun or sink.is_kept):
                    await _end_attended(answering, _reason(cancelled))
            if not ours:
                raise
            if holding.why == "lost":
                msg = "The response could not be kept any more."
                raise Unavailable(msg) from None
        finally:
            journal.close()
            self._let_go(holding)
        return sink.run

    async def _look(self, tasks: TaskGroup) -> None:
        """Take what nobody executes, as much as there is room for."""
        means = self._means
        while not self._leaving:
            room = min(means.settings.at_once - self._background, _AT_ONE_LOOK)
            if room <= 0:
                return
            now = means.clock.wall()
            claimed = await means.runs.claim(
                means.owner, now=now, until=now + means.settings.lease, most=room, but=self._held
            )
            for run in claimed:
                self._background += 1
                tasks.start_soon(self._execute_in_place, run)
            if len(claimed) < room:
                return

    async def _execute_in_place(self, run: Run) -> None:
        try:
            await self._execute(run)
        finally:
            was_full = self._background >= self._means.settings.at_once
            self._background -= 1
            self._idle.set()
            if was_full:
                self.wake()

    async def _execute_adopted(self, run: Run, asking: Asking | None) -> None:
        try:
            await self._execute(run, asking)
        finally:
            self._adopted -= 1
            self._idle.set()

    async def _execute(self, run: Run, asking: Asking | None = None) -> None:
        holding = Holding(run)
        self._hold(holding)
        journal = self._scribe.open(holding)
        answering = Answering(self._means, run, journal, self.adopt, asking)
        try:
            await self._go(run, answering)
            await self._look_again(answering)
        except asyncio.CancelledError:
            ours = holding.settle()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                await self._leave(answering, holding, journal)
            if not ours:
                raise
        except Fenced:
            log.warning("run.fenced", run=run.id, epoch=run.epoch)
        except StoreUnavailable as error:
            log.warning("run.left", run=run.id, reason=error.message)
        except Exception:
            log.exception("run.crashed", run=run.id)
        finally:
            journal.close()
            self._let_go(holding)

    async def _go(self, run: Run, answering: Answering) -> None:
        if run.epoch > 1:
            self._means.counts.takeovers.add()
            log.info("run.taken_over", run=run.id, tenant=run.tenant, epoch=run.epoch, written=run.next_seq)
        if run.epoch > MOST_HOLDERS:
            await answering.give_up(InternalError("The response was begun too often, and never came to its end."))
            return
        if run.next_seq or run.spent.steps:
            await answering.restore()
        if run.cancel_requested_at is not None or await self._is_left_alone(run):
            await answering.cancel()
        elif not run.background:
            await answering.fail(Unavailable("The server that answered went away before the answer was complete."))
        else:
            await answering()

    async def _look_again(self, answering: Answering) -> None:
        if self.waited is None or not answering.waits_for_agents:
            return
        try:
            await self.waited(answering.run.id)
        except SwitchgearError as error:
            log.info("run.not_resumed", run=answering.run.id, reason=error.message)  # who watches does it later

    async def _is_left_alone(self, run: Run) -> bool:
        """Whether nobody waits any more for what a run was begun for."""
        return run.epoch > 1 and bool(run.parent) and bool(await self._means.runs.left_alone([run.id]))

    async def _leave(self, answering: Answering, holding: Holding, journal: Journal) -> None:
        """Do what is left to do for a run whose execution was ended from outside."""
        run = holding.run
        try:
            if holding.why == "cancelled":
                await answering.cancel()
            elif holding.why != "lost":
                await journal.write(Entry())
                await self._means.runs.release(run.id, run.epoch)
                log.info("run.released", run=run.id, tenant=run.tenant)
        except SwitchgearError as error:
            log.warning("run.left", run=run.id, reason=error.message)

    def _hold(self, holding: Holding) -> None:
        self._held[holding.run.id] = holding
        self._means.counts.live = len(self._held)

    def _let_go(self, holding: Holding) -> None:
        if self._held.get(holding.run.id) is holding:
            del self._held[holding.run.id]
        self._means.counts.live = len(self._held)

    async def _keep_leases(self) -> None:
        lease = self._means.settings.lease
        while True:
            await anyio.sleep(lease / 3)
            if self._held:
                await self._renew(tuple(self._held.values()), lease)

    async def _renew(self, holdings: Sequence[Holding], lease: float) -> None:
        now = self._means.clock.wall()
        leases = {holding.run.id: holding.run.epoch for holding in holdings}
        try:
            kept = await self._means.runs.renew(leases, until=now + lease)
        except SwitchgearError:
            now = self._means.clock.wall()
            for holding in holdings:
                # Who waits for the answer gets it, also where it cannot be kept.
                if holding.run.background and now >= holding.until:
                    holding.end("lost")
            return
        for holding in holdings:
            cancelled = kept.get(holding.run.id)
            if cancelled is not None:
                holding.until = now + lease
                if cancelled:
                    holding.end("cancelled")
            elif self._held.get(holding.run.id) is holding:
                self._means.counts.fenced.add()
                holding.end("lost")

    async def _watch_cancels(self) -> None:
        while True:
            await anyio.sleep(CANCEL_POLL)
            if self._held:
                try:
                    wanted = list(await self._means.runs.cancel_requested(tuple(self._held)))
                    children = [name for name, holding in self._held.items() if holding.run.parent]
                    if children:
                        wanted += await self._means.runs.left_alone(children)
                except SwitchgearError:
                    continue  # the database says so itself
                for run in wanted:
                    self.cancel(run)

    async def _sweep(self) -> None:
        """Forget what is to be kept no longer."""
        while True:
            try:
                removed = 0
                while count := await self._means.runs.remove_expired(self._means.clock.wall()):
                    removed += count
                if removed:
                    log.info("runs.forgotten", runs=removed)
            except SwitchgearError as error:
                log.warning("runs.untidy", reason=error.message)
            await anyio.sleep(_SWEEP_SECONDS)


async def _end_attended(answering: Answering, reason: SwitchgearError | None) -> None:
    """Write the end of a run whose client, or whose server, does not wait for it any longer."""
    if reason is None or isinstance(reason, ClientLeft):
        await answering.cancel()
    else:
        await answering.fail(reason)


def _reason(cancelled: asyncio.CancelledError) -> SwitchgearError | None:
    """Give the error that a cancellation carries, where it does."""
    said = cancelled.args[0] if cancelled.args else None
    return said if isinstance(said, SwitchgearError) else None
