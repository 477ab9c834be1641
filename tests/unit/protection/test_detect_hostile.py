"""Detection is linear: what was built to make it slow takes no longer than other text of its size."""

import time

import pytest

from gateway.protection.detect import detect
from gateway.protection.injection import injection_signals
from gateway.protection.words import Words

SIZE = 200_000
LIMIT_S = 0.2
SLACK = 3
"""For machines slower than that of the figure, and busy ones: what is not linear is off by hundreds."""
PIECES = [
    "1", "1 ", "1-", "1.", "12 ", "4111 ", "4111-", "+1", "+49 ", "(415) ", "00", "0 1", "123-45-", "a@", "@", "a.", "a@b.", "x" * 70 + "@",
    "A", "A1", "DE89", "AB12 ", "X1234567", "abcdef", "ab:", ":", "::", "1:", "1.1.", "://", "://a:b@", "http://a:", "eyJ", "eyJa.", "sk-",
    "sk-a", "AKIA", "ghp_", "password=", "password: ", "token=a", "=", "a=b ", "-----BEGIN PRIVATE KEY-----", "Bearer ", "⟦EMAIL_", "\u200b1",
    "\uff11", "é1", "tel 030 ", "password is ", "ignore previous ", "![](http://", "<|", "a b c ", " is ",
]  # fmt: skip


def fastest(function, text):
    """The least CPU time of three runs: other work on the machine is not the text's fault."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        function(text)
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_text_takes_no_longer_than_others(piece):
    text = (piece * (SIZE // len(piece) + 1))[:SIZE]

    assert fastest(detect, text) < LIMIT_S * SLACK
    assert fastest(injection_signals, text) < LIMIT_S * SLACK
    assert fastest(lambda text: list(Words(["ignore me", "a b c"]).find(text)), text) < 2 * LIMIT_S * SLACK
