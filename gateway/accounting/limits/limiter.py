"""The limiter: reserves for a call before it is made, and settles with its record. What surrounds it, `opening` puts together.

A call takes from the counters of all rules that hold for it, or from none. What it takes is an estimate; its record replaces it
by what was really used. A cost that nobody knows leaves the estimate; a call that failed before anything came takes nothing
but its place among the requests.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec

from gateway.accounting.limits.estimates import CountInput, Outputs, Price, count_by_length, estimate
from gateway.accounting.limits.rules import NANO, Plan, Rule, plan_for, rule_of, rule_of_budget
from gateway.accounting.limits.soft import SoftLimits
from gateway.accounting.limits.wording import Headers, Shown, limit_headers, refusal, shown_in
from gateway.config.limit_settings import LimitRuleSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import LimitExceeded
from gateway.core.record import Record
from gateway.core.usage import NO_USAGE
from gateway.stores.budgets import Budget
from gateway.stores.counters import CounterStore, Outcome
from gateway.stores.counters_memory import RESERVATION_SECONDS, Group, MemoryCounters, Taken
from gateway.telemetry.metrics import Counter, Metric, Reading

MOST_PLANS = 16_384
MOST_ENDED = 1024
# In the order of COUNTS; None keeps what was reserved. A call is a call, and gives its place back.
_NOTHING_CAME = (None, 0, 0, 0, 0, 0)
_UNHEARD_OF = (None, 0, None, None, None, None)


class Way(msgspec.Struct, frozen=True):
    """All that is known of a caller at a model before he calls. `group` are the counters, where they are in this process.

    `price` gives nano-dollars for tokens in and out.
    """

    plan: Plan
    group: Group | None
    shown: tuple[tuple[Shown, ...], ...]
    price: Callable[[int, int], int | None]


Reservation = tuple[Plan, Taken | None, float]
"""What a call has taken, until its record comes: from counters in this process where they are here; when, on the steady clock."""


class Limiter:
    """Reserves and settles. `price` is asked for the estimates of money."""

    def __init__(
        self,
        store: CounterStore,
        soft: SoftLimits,
        *,
        clock: Clock,
        price: Price,
    ) -> None:
        self._store = store
        self._here = store if isinstance(store, MemoryCounters) else None
        self._soft = soft
        self._steady = clock.monotonic if self._here is None else self._here.steady
        self._wall = clock.wall
        self._price = price
        self._outputs = Outputs()
        self._configured: tuple[Rule, ...] = ()
        self._budgets: tuple[Rule, ...] = ()
        self._rules: tuple[Rule, ...] = ()
        self._ways: OrderedDict[tuple[str, Caller], Way | None] = OrderedDict()
        self._open: dict[str, Reservation] = {}
        self._ended: deque[Record] = deque()  # of calls that are in `_open` still
        self.refused = Counter("switchgear_limit_refused_total", "Calls that a limit refused.", ("limit",))
        self.unpriced = Counter(
            "switchgear_limit_unpriced_total", "Calls that a budget let pass without a known price.", ("model",)
        )
        self.metrics: tuple[Metric, ...] = (
            self.refused,
            self.unpriced,
            soft.reached,
            Reading("switchgear_limit_reservations", "Calls with a reservation.", self._reading),
        )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What is in force: the configuration's rules, then the budgets."""
        return self._rules

    @property
    def store(self) -> CounterStore:
        """Who counts."""
        return self._store

    def configure(self, settings: Mapping[str, LimitRuleSettings]) -> None:
        """Put the configuration's rules into force. A rule that stays what it counts keeps its counters."""
        self._configured = tuple(rule_of(name, one) for name, one in settings.items())
        self._apply()

    def set_budgets(self, budgets: Iterable[Budget]) -> None:
        """Put the budgets made at run time into force."""
        self._budgets = tuple(rule_of_budget(budget) for budget in budgets)
        self._apply()

    def _apply(self) -> None:
        self._rules = (*self._configured, *self._budgets)
        self._ways.clear()
        self._soft.watch(self._rules)

    def admit(self, call: Call, count_input: CountInput = count_by_length) -> Headers | Awaitable[Headers]:
        """Take from every limit that holds for the call, and give the x-ratelimit-* headers; none when no limit has any to show.

        `count_input` is asked only where tokens or money are limited. In process that is done at once. Raises LimitExceeded or BudgetExceeded, or Unavailable where a limit must not be passed
        unseen and Redis is lost.
        """
        if not self._rules:
            return ()
        try:
            way = self._ways[call.model, call.caller]
        except KeyError:
            way = self._find_way(call)
        if way is None:
            return ()
        plan = way.plan
        amounts = self._amounts(way, call, count_input)
        if self._here is None or way.group is None:
            return self._admit_elsewhere(call.id, way, amounts)
        if call.id in self._open:
            return ()
        taken = self._here.take(way.group, amounts)
        if isinstance(taken, Outcome) and self._ended:
            self.settle_ended()
            taken = self._here.take(way.group, amounts)
        if isinstance(taken, Outcome):
            raise self._refusal(plan, amounts, taken)
        self._open[call.id] = (plan, taken, taken.at)
        shown = way.shown
        return limit_headers(shown, [tally.total for tally in way.group.tallies], self._wall) if shown else ()

    async def reserve(self, call: Call) -> Headers:
        """Do what `admit` does, wherever limits are counted."""
        admitted = self.admit(call)
        return admitted if isinstance(admitted, tuple) else await admitted

    async def _admit_elsewhere(self, call: str, way: Way, amounts: tuple[int, ...]) -> Headers:
        plan = way.plan
        try:
            outcome = await self._store.reserve(call, plan.buckets, amounts)
        except BaseException:
            # It may have been taken although nobody heard of it.
            self._store.settle(call, (0,) * len(amounts))
            raise
        if outcome.refused is not None:
            raise self._refusal(plan, amounts, outcome)
        self._open[call] = (plan, None, self._steady())
        return limit_headers(way.shown, outcome.used, self._wall) if way.shown else ()

    def _refusal(self, plan: Plan, amounts: tuple[int, ...], outcome: Outcome) -> LimitExceeded:
        index = outcome.refused or 0
        rule = plan.rules[index]
        self.refused.add((rule.name,))
        return refusal(rule, outcome.used[index], amounts[index], outcome.retry_after)

    def settle_soon(self, record: Record) -> None:
        """Settle with the next `settle_ended`, which comes before anybody is refused for what this call has given back.

        Many in a row cost half of what they cost one by one. Where others count along, in Redis, it is done at once.
        """
        if self._here is None:
            self.settle(record)
        elif record.id in self._open:
            self._ended.append(record)
            if len(self._ended) >= MOST_ENDED:
                self.settle_ended()

    def settle_ended(self) -> None:
        """Settle what waits."""
        ended = self._ended
        while ended:
            self.settle(ended.popleft())

    def settle(self, record: Record) -> None:
        """Replace the call's estimates by what its record says. Once; a call without a reservation changes nothing."""
        reservation = self._open.pop(record.id, None)
        if reservation is None:
            return
        plan, taken, _ = reservation
        nothing = record.error is not None and record.first_token is None
        # What others have used for it, before it came to nothing, was used.
        usage = NO_USAGE if record.usage is None and nothing and record.beside else record.usage
        cost = record.cost_nano
        if cost is None and record.cost is not None:
            cost = round(record.cost * NANO)
        if usage is not None:
            put_in = usage.input + usage.cache_read + usage.cache_write + usage.cache_write_1h
            came_out = usage.output + usage.reasoning
            if record.error is None and record.operation == "generate" and not usage.estimated and record.saved is None:
                self._outputs.learn(record.model, came_out)
            for beside in record.beside:
                put_in += beside.usage.input_total
                came_out += beside.usage.output_total
                cost = cost if beside.cost_nano is None else (cost or 0) + beside.cost_nano
            actual = plan.pick((None, 0, put_in, came_out, put_in + came_out, cost))
        elif nothing:
            actual = plan.pick(_NOTHING_CAME)
        else:
            actual = plan.pick((None, 0, None, None, None, cost))
        self._settle(record.id, taken, actual)

    def _settle(self, call: str, taken: Taken | None, actual: tuple[int | None, ...]) -> None:
        if self._here is not None and taken is not None:
            self._here.give_back(taken, actual)
        else:
            self._store.settle(call, actual)

    def sweep(self) -> None:
        """Let go of reservations that nobody will settle. What they were estimated to use stays counted."""
        self.settle_ended()
        oldest = self._steady() - RESERVATION_SECONDS
        for call, (plan, taken, at) in tuple(self._open.items()):
            if at > oldest:
                break
            del self._open[call]
            self._settle(call, taken, plan.pick(_UNHEARD_OF))

    def _reading(self) -> dict[tuple[str, ...], float]:
        return {(): len(self._open) - len(self._ended)}

    def _find_way(self, call: Call) -> Way | None:
        plan = plan_for(self._rules, call.caller, call.model)
        way = None
        if plan is not None:
            group = None if self._here is None else self._here.group(plan.buckets)
            way = Way(plan, group, shown_in(plan), self._price(call.model))
        self._ways[call.model, call.caller] = way
        if len(self._ways) > MOST_PLANS:
            self._ways.popitem(last=False)
        return way

    def _amounts(self, way: Way, call: Call, count_input: CountInput) -> tuple[int, ...]:
        plan = way.plan
        if not plan.tokens:
            return (1,) * len(plan.counts)
        put_in, come_out, bounded = estimate(call, count_input, self._outputs)
        whole: int | None = 0
        if plan.cost and call.operation != "count_tokens":
            whole = way.price(put_in, come_out)
            if whole is None:
                self.unpriced.add((call.model,))
                whole = 0
        amounts: tuple[int, ...] = plan.pick((1, 1, put_in, come_out, put_in + come_out, whole))
        if bounded:
            return amounts
        # The output is a guess then, and a guess alone shall not shut anybody out for good.
        low = whole and way.price(put_in, 0)
        least: tuple[int, ...] = plan.pick((1, 1, put_in, 0, put_in, low or 0))
        return tuple(
            [
                amount if amount <= bucket.limit else max(sure, bucket.limit)
                for amount, sure, bucket in zip(amounts, least, plan.buckets, strict=True)
            ]
        )
