"""`cascade`: the small target is asked first, and a larger one where its answer does not pass. The last one's goes out as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple, NoReturn, Protocol

import anyio
from msgspec.structs import replace

from gateway.config.ensemble_settings import CascadeSettings
from gateway.core.answer import Answer
from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import Overloaded, SwitchgearError, UnsupportedParameter, UpstreamTimeout
from gateway.core.events import CutShort, Decided, Event, Spent, Started, Tried
from gateway.core.responder import Send
from gateway.routing.ensembles.checking import Checked
from gateway.routing.ensembles.ensemble import TIMES_OUT, Amended, Refused, Told, ask_whole, remarked
from gateway.routing.ensembles.held import HeldAnswer, release, without_marks
from gateway.routing.ensembles.suitability import unsuitable
from gateway.routing.routed import Routed
from gateway.routing.seat import Seat
from gateway.routing.timing import Timing

_TIMEOUT: Final = "routing.cascade.timeout"


class LooksAt(Protocol):
    """Looks at a whole answer."""

    async def __call__(self, call: Call, answer: Answer, send: Send, left: float) -> Checked:
        """Make the checks, within `left` seconds. What that has spent goes to `send`."""
        ...


class Cascade:
    """A Responder over the targets of a model, small to large. `deadline` is in seconds, for all of them together."""

    def __init__(
        self, routed: Routed, settings: CascadeSettings, look_at: LooksAt, timing: Timing, deadline: float
    ) -> None:
        self._routed = routed
        self._settings = settings
        self._look_at = look_at
        self._now = timing.now
        self._deadline = deadline
        self._asks_marks = "low_confidence" in settings.escalate_on
        self._markless: set[Seat] = set()

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer from the first target whose answer passes. Raises what the last one raised."""
        if why := unsuitable(call):
            await self._routed(call, remarked(send, why))
            return
        now = self._now()
        seats, decision = self._routed.pool.decide(call, now)
        seats = self._in_turn(call, seats)
        if len(seats) < 2:
            await self._routed(call, send)
            return
        course = _Course(call, send, Told(decision, send), now, now + self._deadline)
        await send(Decided(decision))
        try:
            for seat, following in pairwise(seats):
                if await self._answered(course, seat, following):
                    return
            await self._last(course, seats[-1])
        except SwitchgearError as error:
            if course.kept is None or course.begun:
                raise
            await self._resort(course, course.kept, error)
        finally:
            await course.settle()

    def _in_turn(self, call: Call, seats: Sequence[Seat]) -> Sequence[Seat]:
        """Give the seats with room, and larger ones that are full: they may have room by then. Nobody where all are full."""
        full = [seat for seat in seats if not seat.has_room(call.id)]
        if not full:
            return seats
        roomy = [seat for seat in seats if seat not in full]
        return (*roomy, *self._routed.pool.behind(roomy, full)) if roomy else ()

    async def _answered(self, course: _Course, seat: Seat, following: Seat) -> bool:
        """Ask one target and look at its answer; whether that went out."""
        held, checked, error = await self._asked(course, seat)
        if error is None and not checked.failed:
            await self._release(course, seat, held, checked)
            return True
        if not isinstance(error, Overloaded):  # it never got there
            course.asked.append(seat)
        code = checked.failed.partition(":")[0] if error is None else error.code
        if error is None and code in self._settings.last_resort:
            await course.keep(_Kept(seat, held, checked))
        elif error is None or held.begun:
            await course.send(Spent(target=seat.name, usage=held.used(), why="cascade"))
        await course.send(Tried(target=seat.name, error=code, following=following.name))
        await course.told.tell(
            {
                seat.name: ("escalated", checked.failed) if error is None else ("failed", error.code),
                following.name: ("chosen", "those before it did not answer, or not well enough"),
            }
        )
        return False

    async def _asked(self, course: _Course, seat: Seat) -> tuple[HeldAnswer, Checked, SwitchgearError | None]:
        """Ask one target whole and look at what it says. What had begun is accounted for where nobody waits any longer."""
        held = HeldAnswer(course.call, self._settings.held_bytes, course.send)
        try:
            with anyio.move_on_after(course.left(self._now())):
                error = await self._whole(course.call, seat, held)
                checked = Checked() if error is not None else await self._checked(course, held)
                return held, checked, error
            _raise_late()
        except Refused as refused:
            if isinstance(refused.error, UnsupportedParameter):
                return held, Checked(), refused.error  # another may know it
            raise refused.error from None
        except BaseException:
            if held.begun and course.kept is None:
                await course.send(CutShort(usage=held.used()))
            elif held.begun:
                await course.send(Spent(target=seat.name, usage=held.used(), why="cascade"))
            raise

    async def _whole(self, call: Call, seat: Seat, held: HeldAnswer) -> SwitchgearError | None:
        longest = self._settings.timeout or self._deadline
        if self._adds_marks(call) and seat not in self._markless:
            marked = replace(call, content=replace(call.content, logprobs=True))  # type: ignore[type-var]  # a Prompt
            try:
                return await ask_whole(self._routed, seat, marked, held, longest, _TIMEOUT)
            except Refused:
                # Perhaps it was we who asked for what it does not give.
                error = await ask_whole(self._routed, seat, call, held, longest, _TIMEOUT)
                if error is None:
                    self._markless.add(seat)
                return error
        return await ask_whole(self._routed, seat, call, held, longest, _TIMEOUT)

    def _adds_marks(self, call: Call) -> bool:
        """Whether log probabilities are asked for that the caller did not ask for."""
        return self._asks_marks and isinstance(call.content, Prompt) and not call.content.logprobs

    async def _checked(self, course: _Course, held: HeldAnswer) -> Checked:
        return await self._look_at(course.call, held.answer(), course.send, course.left(self._now()))

    async def _release(self, course: _Course, seat: Seat, held: HeldAnswer, checked: Checked) -> None:
        why = "its answer passed"
        if checked.skipped:
            why = f"{why}; not checked: {', '.join(checked.skipped)}"
        await course.told.tell({seat.name: ("chosen", why)})
        await self._let_go(course, held)

    async def _let_go(self, course: _Course, held: HeldAnswer) -> None:
        answer = held.answer()
        if self._adds_marks(course.call):
            answer = without_marks(answer)
        await release(held, answer, course.send, waited=self._now() - course.began)

    async def _last(self, course: _Course, seat: Seat) -> None:
        """Ask the largest, whose answer goes out as it is: from here on everything is as without a cascade."""
        now = self._now()
        if now >= course.deadline:
            _raise_late()
        send = course.live(now)
        error = await self._routed.ask_alone(seat, course.call, send, course.deadline - now)
        if error is not None:
            decision = course.told.decision
            await self._routed.recover(
                seat, error, course.call, send, decision=decision, deadline=course.deadline, asked=course.asked
            )

    async def _resort(self, course: _Course, kept: _Kept, error: SwitchgearError) -> None:
        """No larger target has answered: let the answer go out that was kept for this case."""
        last = course.told.decision.chosen or kept.seat.name
        await course.send(Tried(target=last, error=error.code, following=kept.seat.name))
        why = f"{kept.checked.failed}; no larger target answered"
        await course.told.tell({last: ("failed", error.code), kept.seat.name: ("chosen", why)})
        course.kept = None
        await self._let_go(course, kept.held)


def _raise_late() -> NoReturn:
    raise UpstreamTimeout(TIMES_OUT.format(why="routing.deadline"))


class _Kept(NamedTuple):
    """An answer that did not pass, and may go out as a last resort."""

    seat: Seat
    held: HeldAnswer
    checked: Checked


class _Course:
    """How far one call has got. `begun` says whether an answer is going out, `asked` are those that gave none that does."""

    def __init__(self, call: Call, send: Send, told: Told, began: float, deadline: float) -> None:
        self.call = call
        self.send = send
        self.told = told
        self.began = began
        self.deadline = deadline
        self.begun = False
        self.asked: list[Seat] = []
        self.kept: _Kept | None = None

    def left(self, now: float) -> float:
        """Give the seconds until the deadline."""
        return max(self.deadline - now, 0.0)

    def live(self, now: float) -> Send:
        """Give a Send for an answer that goes out as it comes; those before it were waited for too."""

        def amend(event: Event) -> Event:
            if not isinstance(event, Started):
                return event
            self.begun = True
            return replace(event, waited=event.waited + now - self.began)

        return Amended(self.send, amend)

    async def keep(self, kept: _Kept) -> None:
        """Keep an answer in the place of the one before it."""
        await self.settle()
        self.kept = kept

    async def settle(self) -> None:
        """Account for the answer that was kept, which does not go out."""
        if self.kept is not None:
            used = self.kept.held.used()
            await self.send(Spent(target=self.kept.seat.name, usage=used, why="cascade"))
            self.kept = None
