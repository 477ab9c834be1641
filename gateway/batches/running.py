"""One batch, from its check to its end: asked line by line, a few at once, and taken up again where a dead process left it.

What is done stands in the results (`results`), what has happened to the batch in the store; nothing else is needed to go on.
Only who holds the claim on a batch runs this.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import msgspec
import structlog
from anyio.to_thread import run_sync

from gateway.batches.asking import Answer, Ask
from gateway.batches.book import Book
from gateway.batches.ending import end, fail
from gateway.batches.lines import Bounds, Line, check_input, read_lines
from gateway.batches.means import Means
from gateway.batches.results import Results, answered_line, unanswered_line
from gateway.core.errors import SwitchgearError
from gateway.stores.batches import Batch, Fault

log = structlog.get_logger()
replace = msgspec.structs.replace

_AHEAD: Final = 64
_AHEAD_BYTES: Final = 1024 * 1024
_TICK: Final = 1.0
"""Seconds between two looks at the clock and at the store, and between two times that results are forced to the disk."""
_LONGEST_PAUSE: Final = 60.0
_LONGEST_GROWTH: Final = 5.0
_LIMITED: Final = 429
_MISSING: Final = (Fault(code="input_file_missing", message="The bytes of the input file are not there."),)
_PASSING: Final = frozenset({408, 409, 425, 500, 502, 503, 504, 529})

UNDONE: Final = {
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was executed."),
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
}


class Stop(Enum):
    """Why no further line is asked."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LEAVING = "leaving"  # this process goes down; another one goes on


class Run:
    """One batch that this process has claimed."""

    def __init__(self, book: Book, means: Means) -> None:
        self._book = book
        self._means = means
        self._ask: Ask = means.ask_as(book.batch.caller)
        self._stop: Stop | None = None
        self._stopped = anyio.Event()
        self._reading = anyio.Lock()
        self._ahead: list[Line] = []
        self._undone = 0
        self._results: Results

    def leave(self) -> None:
        """Ask no further line, because this process goes down; what is in flight may end."""
        self._halt(Stop.LEAVING)

    def cancel(self) -> None:
        """Ask no further line, because the batch was cancelled; what is in flight may end."""
        self._halt(Stop.CANCELLED)

    async def __call__(self) -> bool:
        """Run it, and say whether it has ended. Raises Gone, and OSError when the folder fails."""
        self._look_at_clock()
        if self._book.batch.status == "validating" and not await self._check():
            return True
        batch = self._book.batch
        if not batch.output_file:  # cancelled, or over, before anything was asked
            await self._end(None)
            return True
        path = self._means.bytes.path
        self._results = Results(path(batch.output_file), path(batch.error_file))
        try:
            await run_sync(self._results.open)
            if batch.status != "finalizing" and not await self._ask_all(path(batch.input_file)):
                return True
            if self._stop is Stop.LEAVING:
                await run_sync(self._results.sync)
                return False
            await self._end(self._results)
        finally:
            self._results.close()
        return True

    async def _check(self) -> bool:
        """Check the input, and begin or fail."""
        batch, means = self._book.batch, self._means
        bounds = Bounds(
            endpoint=batch.endpoint, lines=means.settings.lines, body_bytes=means.body_bytes, depth=means.depth
        )
        try:
            checked = await run_sync(check_input, means.bytes.path(batch.input_file), bounds)
        except FileNotFoundError:
            await fail(self._book, _MISSING, means)
            return False
        if checked.faults:
            await fail(self._book, checked.faults, means, total=checked.total)
            return False
        await self._book.change(partial(self._begun, total=checked.total, model=checked.model))
        return True

    def _begun(self, batch: Batch, *, total: int, model: str) -> Batch:
        if batch.status != "validating":
            return batch
        new_id = self._means.new_id
        return replace(
            batch,
            status="in_progress",
            in_progress_at=self._means.clock.wall(),
            total=total,
            model=model,
            output_file=new_id("file-"),
            error_file=new_id("file-"),
        )

    async def _ask_all(self, path: Path) -> bool:
        """Ask all that is left; False when there is no input any more, and the batch has failed."""
        try:
            opened = await run_sync(_open, path)
        except FileNotFoundError:
            await fail(self._book, _MISSING, self._means)
            return False
        with opened as file:
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._watch)
                async with anyio.create_task_group() as workers:
                    for _ in range(self._means.settings.at_once):
                        workers.start_soon(self._work, file)
                watching.cancel_scope.cancel()
            if self._stop in (Stop.CANCELLED, Stop.EXPIRED):
                await self._note_undone(file, self._stop)
        return True

    async def _watch(self) -> None:
        """See to it that a cancellation and the end of the time are noticed, and that what is done is told and kept."""
        while True:
            with anyio.move_on_after(_TICK):
                await self._stopped.wait()
                await anyio.sleep(_TICK)
            try:
                await run_sync(self._results.sync)
                self._look_at_clock()
                if (await self._book.refresh()).status == "cancelling":
                    self._halt(Stop.CANCELLED)
                await self._book.change(self._counted)
            except (OSError, SwitchgearError) as error:
                log.warning("batch.store_away", batch=self._book.batch.id, reason=str(error))

    def _look_at_clock(self) -> None:
        batch = self._book.batch
        if batch.status == "cancelling":
            self._halt(Stop.CANCELLED)
        elif batch.status != "finalizing" and self._means.clock.wall() >= batch.expires_at:
            self._halt(Stop.EXPIRED)

    def _halt(self, why: Stop) -> None:
        if self._stop is None or why is Stop.LEAVING:
            self._stop = why
        self._stopped.set()

    def _counted(self, batch: Batch) -> Batch:
        if (batch.completed, batch.failed) == (self._results.completed, self._results.failed):
            return batch
        return replace(batch, completed=self._results.completed, failed=self._results.failed)

    async def _work(self, file: BinaryIO) -> None:
        while (line := await self._next(file)) is not None:
            await self._answer(line)

    async def _next(self, file: BinaryIO) -> Line | None:
        """Give the next line that is not done; None at the end, and when no more are to be asked."""
        async with self._reading:
            while self._stop is None:
                while self._ahead:
                    line = self._ahead.pop(0)
                    if line.custom_id not in self._results.done:
                        return line
                self._ahead = await run_sync(read_lines, file, _AHEAD, _AHEAD_BYTES)
                if not self._ahead:
                    return None
        return None

    async def _answer(self, line: Line) -> None:
        """Ask a line until it is answered, or until the batch has no time for it any more."""
        means, tried, limited = self._means, 0, 0
        while True:
            async with means.places:
                if self._stop is not None:
                    return
                means.counts.in_flight += 1
                try:
                    answer = await self._ask(self._book.batch.endpoint, bytes(line.body))
                    tried += answer.status != _LIMITED
                    limited += answer.status == _LIMITED
                    pause = self._pause(answer, tried, limited)
                    if pause is None:
                        # Nothing between the answer and this: see `results`.
                        await self._note(line, answer)
                finally:
                    means.counts.in_flight -= 1
            if pause is None:
                return
            means.counts.retries.add((str(answer.status),))
            await self._rest(pause)

    def _pause(self, answer: Answer, tried: int, limited: int) -> float | None:
        """Give for how many seconds to wait before the line is asked again; None when this was its answer.

        A limit's end is waited for, for as long as the batch has time. Other faults that may pass are tried a few times; and
        a call that failed because this process goes down is left to whoever goes on.
        """
        if answer.status == _LIMITED:
            return max(answer.retry_after or 0.0, min(0.25 * limited, _LONGEST_GROWTH))
        if answer.status not in _PASSING:
            return None
        if tried >= self._means.settings.tries and self._stop is not Stop.LEAVING:
            return None
        return answer.retry_after or min(2.0 ** (tried - 1), _LONGEST_PAUSE)

    async def _rest(self, seconds: float) -> None:
        self._means.counts.waiting += 1
        try:
            with anyio.move_on_after(seconds):
                await self._stopped.wait()
        finally:
            self._means.counts.waiting -= 1

    async def _note(self, line: Line, answer: Answer) -> None:
        good = answer.status == 200
        data = answered_line(self._means.new_id("batch_req_"), line.custom_id, answer)
        while True:
            try:
                self._results.note(line.custom_id, data, into="output" if good else "errors")
            except OSError as error:
                # The answer is paid for: it waits in memory for room on the disk.
                log.warning("batch.result_waits", batch=self._book.batch.id, reason=error.strerror)
                await anyio.sleep(_TICK)
            else:
                break
        self._means.counts.lines.add(("completed" if good else "failed",))

    async def _note_undone(self, file: BinaryIO, why: Stop) -> None:
        """Give every line that was not answered its line among the errors: none of the input is lost."""
        code, message = UNDONE[why.value]
        file.seek(0)
        while lines := await run_sync(read_lines, file, _AHEAD, _AHEAD_BYTES):
            for line in lines:
                if line.custom_id not in self._results.done:
                    data = unanswered_line(self._means.new_id("batch_req_"), line.custom_id, code, message)
                    self._results.note(line.custom_id, data, into="errors")
                    self._means.counts.lines.add((why.value,))
                    self._undone += 1

    async def _end(self, results: Results | None) -> None:
        # The last answer may have come with the end of the time: then nothing is missing.
        expired = self._stop is Stop.EXPIRED and self._undone > 0
        await end(self._book, results, self._means, expired=expired)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
