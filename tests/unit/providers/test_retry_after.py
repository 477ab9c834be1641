"""How long an upstream asks to wait is understood in every form that is in use."""

import pytest

from gateway.providers.retry_after import retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class Given:
    def __init__(self, headers):
        self._headers = headers

    def header(self, name):
        return self._headers.get(name)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"7"}, 7),
        ({b"retry-after": b"1.5"}, 1.5),
        ({b"retry-after": b"-3"}, 0),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"99999999999"}, 86_400),
        ({b"retry-after": b"Tue, 14 Nov 2023 22:14:20 GMT"}, 60),
        ({b"retry-after": b"Tue, 14 Nov 2023 22:12:20 GMT"}, 0),
        ({b"retry-after": b"Tue, 99 Nov 2023 22:12:20 GMT"}, None),
        ({b"retry-after": b"Tue, 14 Nov 99999999999 22:12:20 GMT"}, None),
        ({b"retry-after-ms": b"350", b"retry-after": b"1"}, 0.35),
        ({b"retry-after-ms": b"x", b"retry-after": b"2"}, 2),
        ({b"x-ratelimit-reset-requests": b"6m0s", b"x-ratelimit-reset-tokens": b"350ms"}, 360),
        ({b"x-ratelimit-reset-tokens": b"1h2m3.5s"}, 3723.5),
        ({b"x-ratelimit-reset-tokens": b"?"}, None),
    ],
)
def test_every_form_gives_seconds_or_nothing(headers, seconds):
    assert retry_after(Given(headers), now=NOW) == (seconds if seconds is None else pytest.approx(seconds))
