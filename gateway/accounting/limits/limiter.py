"""The limiter: reserves for a call before it is made, and settles with its record. What surrounds it, `opening` puts together.

A call takes from the counters of all rules that hold for it, or from none. What it takes is an estimate; its record replaces it
by what was really used. A cost that nobody knows leaves the estimate; a call that failed before anything came takes nothing
but its place among the requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import msgspec

from gateway.accounting.limits.estimates import CountInput, Estimate, Outputs, Price, count_by_length, estimate
from gateway.accounting.limits.rules import NANO, Count, Plan, Rule, plan_for, rule_of, rule_of_budget
from gateway.accounting.limits.soft import SoftLimits
from gateway.accounting.limits.wording import Headers, limit_headers, refusal
from gateway.config.limit_settings import LimitRuleSettings
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.stores.budgets import Budget
from gateway.stores.counters import CounterStore, Outcome
from gateway.stores.counters_memory import RESERVATION_SECONDS
from gateway.telemetry.metrics import Counter, Metric, Reading

MOST_PLANS = 16_384
_STEADY = frozenset({"requests", "concurrent"})  # no estimates: a call is a call


class Reservation(msgspec.Struct, frozen=True):
    """What a call has taken, until its record comes. `at` is monotonic."""

    call: str
    plan: Plan
    amounts: tuple[int, ...]
    outcome: Outcome
    at: float


class Limiter:
    """Reserves and settles. `price` and `count_input` make the estimates."""

    def __init__(
        self,
        store: CounterStore,
        soft: SoftLimits,
        *,
        clock: Clock,
        price: Price,
        count_input: CountInput = count_by_length,
    ) -> None:
        self._store = store
        self._soft = soft
        self._clock = clock
        self._price = price
        self._count_input = count_input
        self._outputs = Outputs()
        self._configured: tuple[Rule, ...] = ()
        self._budgets: tuple[Rule, ...] = ()
        self._rules: tuple[Rule, ...] = ()
        self._plans: OrderedDict[tuple[str, Caller], Plan | None] = OrderedDict()
        self._open: dict[str, Reservation] = {}
        self.refused = Counter("switchgear_limit_refused_total", "Calls that a limit refused.", ("limit",))
        self.unpriced = Counter(
            "switchgear_limit_unpriced_total", "Calls that a budget let pass without a known price.", ("model",)
        )
        self.metrics: tuple[Metric, ...] = (
            self.refused,
            self.unpriced,
            soft.reached,
            Reading("switchgear_limit_reservations", "Calls with a reservation.", lambda: {(): len(self._open)}),
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
        self._plans.clear()
        self._soft.watch(self._rules)

    async def reserve(self, call: Call) -> Reservation | None:
        """Take from every limit that holds for the call; None when none does.

        Raises LimitExceeded or BudgetExceeded, or Unavailable where a limit must not be passed unseen and Redis is lost.
        In process it never waits.
        """
        if not self._rules:
            return None
        plan = self._plan(call)
        if plan is None:
            return None
        amounts = self._amounts(plan, call)
        try:
            outcome = await self._store.reserve(call.id, plan.buckets, amounts)
        except BaseException:
            # It may have been taken although nobody heard of it.
            self._store.settle(call.id, (0,) * len(amounts))
            raise
        if outcome.refused is not None:
            rule = plan.rules[outcome.refused]
            self.refused.add((rule.name,))
            raise refusal(rule, outcome.used[outcome.refused], amounts[outcome.refused], outcome.retry_after)
        reservation = Reservation(call.id, plan, amounts, outcome, self._clock.monotonic())
        self._open[call.id] = reservation
        return reservation

    def settle(self, record: Record) -> None:
        """Replace the call's estimates by what its record says. Once; a call without a reservation changes nothing."""
        reservation = self._open.pop(record.id, None)
        if reservation is None:
            return
        plan, usage = reservation.plan, record.usage
        nothing_came = usage is None and record.error is not None and record.first_token is None
        if nothing_came:
            actual = [None if count in _STEADY else 0 for count in plan.counts]
        else:
            cost = record.cost_nano
            if cost is None and record.cost is not None:
                cost = round(record.cost * NANO)
            actual = _used(plan.counts, usage, cost)
        self._store.settle(record.id, actual)
        if usage is not None and record.error is None and record.operation == "generate" and not usage.estimated:
            self._outputs.learn(record.model, usage.output_total)

    def headers(self, call: str) -> Headers:
        """Give the x-ratelimit-* headers for a call that is in progress; none when no limit has any to show."""
        reservation = self._open.get(call)
        if reservation is None or not reservation.plan.shown:
            return ()
        return limit_headers(reservation.plan, reservation.outcome, self._clock.wall())

    def sweep(self) -> None:
        """Let go of reservations that nobody will settle. What they were estimated to use stays counted."""
        oldest = self._clock.monotonic() - RESERVATION_SECONDS
        for call, reservation in tuple(self._open.items()):
            if reservation.at > oldest:
                break
            del self._open[call]
            self._store.settle(call, (None,) * len(reservation.amounts))

    def _plan(self, call: Call) -> Plan | None:
        plans, key = self._plans, (call.model, call.caller)
        try:
            return plans[key]
        except KeyError:
            pass
        plan = plans[key] = plan_for(self._rules, call.caller, call.model)
        if len(plans) > MOST_PLANS:
            plans.popitem(last=False)
        return plan

    def _amounts(self, plan: Plan, call: Call) -> tuple[int, ...]:
        if not plan.tokens:
            return (1,) * len(plan.counts)
        tokens = estimate(call, self._count_input, self._outputs)
        low = high = 0
        if plan.cost:
            low, high = self._money(call, tokens)
        most = _amounts(tokens.input, tokens.output, high)
        amounts = [most[count] for count in plan.counts]
        if not tokens.bounded:
            # The output is a guess then, and a guess alone shall not shut anybody out for good.
            least = _amounts(tokens.input, 0, low)
            for index, bucket in enumerate(plan.buckets):
                if amounts[index] > bucket.limit:
                    amounts[index] = max(least[plan.counts[index]], bucket.limit)
        return tuple(amounts)

    def _money(self, call: Call, tokens: Estimate) -> tuple[int, int]:
        """Give nano-dollars for the input alone, and for all of it. What has no price counts as nothing, and in a metric."""
        if call.operation == "count_tokens":
            return 0, 0
        whole = self._price(call.model, Usage(input=tokens.input, output=tokens.output))
        if whole is None:
            self.unpriced.add((call.model,))
            return 0, 0
        if tokens.bounded:
            return 0, whole
        return self._price(call.model, Usage(input=tokens.input)) or 0, whole


def _amounts(tokens_in: int, tokens_out: int, cost: int) -> dict[str, int]:
    """Give the amount of each count."""
    return {
        "requests": 1,
        "concurrent": 1,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "tokens": tokens_in + tokens_out,
        "cost": cost,
    }


def _used(counts: tuple[Count, ...], usage: Usage | None, cost: int | None) -> list[int | None]:
    """Give what was used of each count; None keeps the estimate."""
    actual: list[int | None] = []
    for count in counts:
        if count == "cost":
            actual.append(cost)
        elif usage is None or count in _STEADY:
            actual.append(None)
        elif count == "tokens":
            actual.append(usage.total)
        else:
            actual.append(usage.input_total if count == "input_tokens" else usage.output_total)
    return actual
