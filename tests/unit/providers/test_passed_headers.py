"""What an upstream says in its headers reaches the caller as far as it is meant for him."""

from gateway.providers import passed_headers as module
from gateway.providers.passed_headers import passed_headers

ANSWER = (
    (b"content-type", b"application/json"),
    (b"x-request-id", b"req_1"),
    (b"set-cookie", b"__cf=1"),
    (b"x-ratelimit-remaining-requests", b"59"),
    (b"anthropic-ratelimit-requests-limit", b"60"),
    (b"retry-after-ms", b"20"),
    (b"x-ratelimit-limit-project-tokens", b"7"),
)


def test_ids_times_and_limits_are_passed_on_and_nothing_else():
    for _ in range(2):
        passed, limits = passed_headers(ANSWER)

        assert passed == (ANSWER[1], ANSWER[4], ANSWER[5])
        assert limits == (ANSWER[3], ANSWER[6])


def test_an_upstream_that_makes_up_names_fills_no_memory(monkeypatch):
    monkeypatch.setattr(module, "_kinds", {})
    for number in range(5000):
        name = b"x-request-id-%d" % number
        assert passed_headers([(name, b"1")]) == (((name, b"1"),), ())

    assert len(module._kinds) <= 1024
