"""A breaker opens on faults in a row or on their share, lets probes through when its time is over, and closes when one succeeds."""

import pytest

from gateway.config.routing_settings import BreakerSettings
from gateway.routing.breaker import Breaker


def breaker(**settings):
    return Breaker(BreakerSettings(**settings), lambda: 0.0)


def fail(one, times, now=0.0):
    for _ in range(times):
        one.fail(now, probe=one.begin())


def succeed(one, times, now=0.0):
    for _ in range(times):
        one.succeed(now, probe=one.begin())


def test_so_many_faults_in_a_row_open_it():
    one = breaker(failures=3)
    fail(one, 2)
    succeed(one, 1)
    fail(one, 2)
    assert one.state(0) == "closed"

    fail(one, 1)
    assert one.state(0) == "open"
    assert not one.admits(4.9)


def test_a_share_of_faults_opens_it_once_there_were_enough_calls():
    one = breaker(failures=1000, share=0.5, least=20)
    for _ in range(9):
        fail(one, 1)
        succeed(one, 1)
    assert one.state(0) == "closed"
    assert one.share(0) == 0.5
    succeed(one, 1)
    fail(one, 1)

    assert one.state(0) == "open"


def test_faults_of_long_ago_do_not_count():
    one = breaker(failures=1000, share=0.5, least=10, window=30)
    fail(one, 9, now=0)
    succeed(one, 5, now=31)
    assert one.share(31) == pytest.approx(0)
    fail(one, 4, now=31)

    assert one.state(31) == "closed"


def test_faults_of_the_half_window_before_still_count():
    one = breaker(failures=1000, share=0.5, least=10, window=30)
    fail(one, 6, now=1)
    succeed(one, 3, now=17)
    assert one.state(17) == "closed"
    fail(one, 1, now=17)

    assert one.state(17) == "open"


def test_one_probe_at_once_goes_through_when_its_time_is_over():
    one = breaker(failures=1, open=5)
    fail(one, 1)
    assert one.state(5) == "half_open"
    assert one.admits(5)
    assert one.begin()
    assert not one.admits(5)

    one.succeed(6, probe=True)
    assert one.state(6) == "closed"
    assert one.admits(6)


def test_each_probe_that_fails_doubles_its_time_up_to_the_longest():
    one, now, waits = breaker(failures=1, open=5, longest=30), 0.0, []
    fail(one, 1)
    for _ in range(5):
        waits.append(one.until - now)
        now = one.until
        fail(one, 1, now)

    assert waits == [5, 10, 20, 30, 30]


def test_after_a_recovery_its_time_is_short_again():
    one = breaker(failures=1, open=5)
    fail(one, 1)
    fail(one, 1, 5)
    succeed(one, 1, 15)
    fail(one, 1, 20)

    assert one.until == 25


def test_calls_that_were_sent_before_it_opened_change_nothing():
    one = breaker(failures=1, open=5)
    early = [one.begin() for _ in range(3)]
    fail(one, 1)
    for probe in early:
        assert not one.fail(2, probe=probe)
    assert one.until == 5
    one.succeed(3, probe=False)

    assert one.state(3) == "open"


def test_a_probe_that_is_given_up_makes_room_for_another():
    one = breaker(failures=1, open=5)
    fail(one, 1)
    one.leave(probe=one.begin())

    assert one.admits(5)


def test_replicas_do_not_probe_all_at_once():
    ends = set()
    for chance in (0.0, 0.5, 1.0):
        one = Breaker(BreakerSettings(failures=1, open=10), lambda chance=chance: chance)
        fail(one, 1)
        ends.add(one.until)

    assert ends == {10, 11, 12}
