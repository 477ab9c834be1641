"""Only what Slack signed, within five minutes, is taken. Source: Slack's "Verifying requests from Slack", whose example is the first test."""

import pytest

from gateway.slack.signature import is_slacks, sign

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = b"1531420618"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&"
    b"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
    b"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
NOW = 1531420618.0


def test_the_example_of_slacks_own_page_is_taken():
    assert sign(BODY, AT, secret=SECRET) == SIGNATURE
    assert is_slacks(BODY, AT, SIGNATURE, secret=SECRET, now=NOW)


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_a_request_may_be_five_minutes_off(seconds):
    assert is_slacks(BODY, AT, SIGNATURE, secret=SECRET, now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-302, 301, 86_400])
def test_one_that_is_older_or_of_the_future_is_not_taken(seconds):
    assert not is_slacks(BODY, AT, SIGNATURE, secret=SECRET, now=NOW + seconds)


@pytest.mark.parametrize(
    "timestamp",
    [
        b"",
        b"now",
        b"-1",
        b"1e9",
        b"1531420618.0",
        b" 1531420618",
        b"\xd9\xa1\xd9\xa2",
        b"9" * 400,
        b"nan",
        b"1531420618\n",
    ],
)
def test_a_timestamp_that_is_junk_is_not_taken_even_when_it_is_signed(timestamp):
    assert not is_slacks(BODY, timestamp, sign(BODY, timestamp, secret=SECRET), secret=SECRET, now=NOW)


@pytest.mark.parametrize(
    "signature", [b"", b"v0=", SIGNATURE[:-1], SIGNATURE.upper(), b"v1" + SIGNATURE[2:], b"\xff" * 67]
)
def test_another_signature_is_not_taken(signature):
    assert not is_slacks(BODY, AT, signature, secret=SECRET, now=NOW)


def test_a_body_that_was_changed_by_one_byte_is_not_taken():
    assert not is_slacks(BODY + b" ", AT, SIGNATURE, secret=SECRET, now=NOW)


def test_one_that_another_app_signed_is_not_taken():
    assert not is_slacks(BODY, AT, sign(BODY, AT, secret="another"), secret=SECRET, now=NOW)
