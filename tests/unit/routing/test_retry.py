"""What follows from a failure is said by its class; waits grow, are spread, and keep what the target asked for."""

import pytest

from gateway.config.routing_settings import RetrySettings
from gateway.core.errors import (
    ContentBlocked,
    ContextLengthExceeded,
    Forbidden,
    InternalError,
    InvalidRequest,
    LimitExceeded,
    Unavailable,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.routing.retry import RetryBudget, back_off, cause_of


def refused(status, code=None):
    return UpstreamRefused("x", upstream_status=status, code=code)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (UpstreamUnreachable("x"), "target"),
        (UpstreamTimeout("x"), "target"),
        (UpstreamBroken("x"), "target"),
        (refused(500), "target"),
        (refused(502), "target"),
        (refused(503), "target"),
        (refused(408), "target"),
        (refused(425), "target"),
        (refused(429), "busy"),
        (refused(529), "busy"),
        (Unavailable("x"), "elsewhere"),
        (LimitExceeded("x", limit="l", window="w", retry_after=1), "elsewhere"),
        (refused(401), "credentials"),
        (refused(402), "credentials"),
        (refused(403), "credentials"),
        (refused(404), "elsewhere"),
        (ContentBlocked("x"), "elsewhere"),
        (ContextLengthExceeded("x"), "context"),
        (refused(400, "context_length_exceeded"), "context"),
        (refused(400, "content_policy_violation"), "content"),
        (refused(400), "call"),
        (refused(413), "call"),
        (refused(422), "call"),
        (InvalidRequest("x"), "call"),
        (Forbidden("x"), "call"),
        (InternalError(), "call"),
    ],
)
def test_every_failure_has_its_class(error, cause):
    assert cause_of(error) == cause


def test_waits_double_up_to_the_longest_and_are_spread_over_all_of_it():
    settings = RetrySettings(base=0.5, longest=3)

    assert [back_off(settings, number, None, lambda: 1.0) for number in range(1, 6)] == [0.5, 1, 2, 3, 3]
    assert back_off(settings, 3, None, lambda: 0.25) == 0.5
    assert back_off(settings, 5000, None, lambda: 1.0) == 3


def test_what_a_target_asks_for_comes_before_the_spread():
    settings = RetrySettings(base=0.5, retry_after=10)

    assert back_off(settings, 1, 4.0, lambda: 0.5) == 4.25
    assert back_off(settings, 1, 10.1, lambda: 0.5) is None


def test_a_budget_is_a_share_of_the_calls_and_no_more_than_a_few_are_saved_up():
    budget = RetryBudget(0.25)
    for _ in range(1000):
        budget.deposit()
    saved = sum(budget.withdraw() for _ in range(100))
    assert saved == 10
    for _ in range(40):
        budget.deposit()

    assert sum(budget.withdraw() for _ in range(100)) == 10


def test_a_budget_of_nothing_allows_nothing():
    budget = RetryBudget(0.0)
    budget.deposit()

    assert not budget.withdraw()
