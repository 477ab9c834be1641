"""A gate lets in so many calls at once, and what becomes free goes to who waits: by priority, and by turns of their callers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.routing.gate import WEIGHTS, Gate, Waiter


def waiting(gate, name, caller="c", priority="normal"):
    waiter = Waiter(name, caller, priority, lambda: None)
    waiter.wait_for([gate])
    return waiter


def serve(gate, waiters, number):
    """Let so many calls through, one after the other, and give the callers in their order."""
    order = []
    for _ in range(number):
        gate.leave()
        promised = next(waiter for waiter in waiters if waiter.promise is not None)
        assert gate.enter(promised.call)
        waiters.remove(promised)
        order.append(promised)
    return order


def test_a_gate_lets_in_as_many_as_it_has_places():
    gate = Gate(2)

    assert [gate.enter("a"), gate.enter("b"), gate.enter("c")] == [True, True, False]
    gate.leave()
    assert gate.has_room("c")


def test_a_place_that_is_promised_is_nobody_elses():
    gate = Gate(1)
    gate.enter("a")
    waiter = waiting(gate, "b")
    gate.leave()

    assert waiter.promise is gate
    assert not gate.has_room("c")
    assert not gate.enter("c")
    assert gate.enter("b")
    assert waiter.promise is None


def test_a_place_that_is_renounced_goes_to_the_next():
    gate = Gate(1)
    gate.enter("a")
    first, second = waiting(gate, "b"), waiting(gate, "c")
    gate.leave()
    first.close()
    first.close()

    assert second.promise is gate
    assert gate.taken == 1


def test_callers_take_turns_however_many_calls_one_has_waiting():
    gate = Gate(1)
    gate.enter("running")
    crowd = [waiting(gate, f"crowd{number}", "crowd") for number in range(1000)]
    single = waiting(gate, "single", "single")
    order = serve(gate, [*crowd, single], 3)

    assert single in order[:2]


def test_calls_of_one_caller_keep_their_order():
    gate = Gate(1)
    gate.enter("running")
    waiters = [waiting(gate, str(number)) for number in range(5)]

    assert [waiter.call for waiter in serve(gate, list(waiters), 5)] == ["0", "1", "2", "3", "4"]


def test_higher_priorities_go_first_and_lower_ones_are_not_starved():
    gate = Gate(1)
    gate.enter("running")
    waiters = [waiting(gate, f"{priority}{n}", priority=priority) for n in range(200) for priority in ("low", "normal")]
    order = serve(gate, waiters, 90)

    assert order[0].priority == "normal"
    assert Counter(waiter.priority for waiter in order) == {"normal": 80, "low": 10}


def test_who_did_not_wait_saves_no_turns_up():
    gate = Gate(1)
    gate.enter("running")
    serve(gate, [waiting(gate, f"n{number}") for number in range(100)], 100)
    waiters = [waiting(gate, f"{priority}{n}", priority=priority) for n in range(20) for priority in ("low", "normal")]

    assert [waiter.priority for waiter in serve(gate, waiters, 7)] == ["normal"] * 7


def test_a_waiter_takes_the_first_gate_that_opens_and_leaves_the_others():
    one, other = Gate(1), Gate(1)
    one.enter("a")
    other.enter("b")
    waiter = Waiter("c", "c", "normal", lambda: None)
    waiter.wait_for([one, other])
    other.leave()
    one.leave()

    assert waiter.promise is other
    assert one.free == 1


def test_more_places_wake_who_waits_and_fewer_let_the_present_ones_end():
    gate = Gate(1)
    gate.enter("a")
    waiters = [waiting(gate, str(number)) for number in range(3)]
    gate.resize(3)

    assert [waiter.promise is gate for waiter in waiters] == [True, True, False]
    gate.resize(1)
    gate.enter("0")
    gate.enter("1")
    gate.leave()
    assert waiters[2].promise is None
    gate.leave()
    gate.leave()
    assert waiters[2].promise is gate


CALLERS = st.sampled_from(["a", "b", "c"])


class Gates(RuleBasedStateMachine):
    """Anybody comes, waits, goes in, gives up and leaves, at any of two gates, in any order."""

    def __init__(self):
        super().__init__()
        self.gates = [Gate(2), Gate(1)]
        self.inside = []
        self.waiting = []
        self.promised = []
        self.number = 0

    @rule(which=st.sets(st.sampled_from([0, 1]), min_size=1), caller=CALLERS, priority=st.sampled_from(list(WEIGHTS)))
    def come(self, which, caller, priority):
        name = str(self.number)
        self.number += 1
        gates = [self.gates[number] for number in sorted(which)]
        roomy = [gate for gate in gates if gate.has_room(name)]
        if roomy:
            assert roomy[0].enter(name)
            self.inside.append(roomy[0])
            return
        waiter = Waiter(name, caller, priority, lambda: None)
        waiter.wait_for(gates)
        self.waiting.append((waiter, gates))

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data):
        gate = data.draw(st.sampled_from(self.inside))
        self.inside.remove(gate)
        gate.leave()

    @precondition(lambda self: any(waiter.promise for waiter, _ in self.waiting))
    @rule(data=st.data())
    def go_in(self, data):
        one = data.draw(st.sampled_from([one for one in self.waiting if one[0].promise]))
        gate = one[0].promise
        assert gate.enter(one[0].call)
        self.waiting.remove(one)
        self.inside.append(gate)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        one = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(one)
        one[0].close()

    @rule(which=st.sampled_from([0, 1]), limit=st.integers(1, 4))
    def resize(self, which, limit):
        self.gates[which].resize(limit)
        self.shrunk = True

    @invariant()
    def places_are_counted_once(self):
        for gate in self.gates:
            promised = sum(waiter.promise is gate for waiter, _ in self.waiting)
            assert gate.taken == self.inside.count(gate) + promised

    @invariant()
    def nobody_waits_for_a_place_that_is_free(self):
        for waiter, gates in self.waiting:
            if waiter.promise is None:
                assert all(gate.taken >= gate.limit for gate in gates)


TestGates = Gates.TestCase


@given(st.lists(CALLERS, min_size=1, max_size=60))
def test_between_two_turns_of_a_caller_everybody_else_has_at_most_one(callers):
    gate = Gate(1)
    gate.enter("running")
    order = serve(gate, [waiting(gate, str(n), caller) for n, caller in enumerate(callers)], len(callers))
    left = Counter(callers)
    since: dict[str, Counter] = {caller: Counter() for caller in left}
    for waiter in order:
        for caller in left:
            if caller != waiter.caller and left[caller]:
                since[caller][waiter.caller] += 1
                assert since[caller][waiter.caller] <= 1
        since[waiter.caller].clear()
        left[waiter.caller] -= 1


@pytest.mark.parametrize("priority", list(WEIGHTS))
def test_who_waits_alone_is_served_at_once(priority):
    gate = Gate(1)
    gate.enter("running")
    waiter = waiting(gate, "a", priority=priority)
    gate.leave()

    assert waiter.promise is gate
