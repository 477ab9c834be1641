"""Signatures are those of the Standard Webhooks specification: what other programs signed is taken, and nothing else."""

import base64

import pytest

from gateway.triggers.signatures import is_bearer, sign, signed_id

# The example of the specification's own test suites.
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'
HEADERS = {
    b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
    b"webhook-timestamp": b"1614265330",
    b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1614265330.0


def taken(body=BODY, *, now=NOW, key=KEY, **change):
    headers = HEADERS | {name.replace("_", "-").encode(): value for name, value in change.items()}
    return signed_id(headers, body, key=key, window=300, now=now)


def test_the_specifications_example_is_taken():
    assert taken() == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert sign(BODY, HEADERS[b"webhook-id"], b"1614265330", key=KEY) == HEADERS[b"webhook-signature"]


def test_one_good_signature_of_several_is_enough():
    good = HEADERS[b"webhook-signature"]

    assert taken(webhook_signature=b"v1,AAAA v2,BBBB " + good)
    assert taken(webhook_signature=good + b" v1,AAAA")


@pytest.mark.parametrize("seconds", [-301, 301, 1e9])
def test_what_is_too_old_or_too_new_is_refused(seconds):
    assert taken(now=NOW + 299)
    assert taken(now=NOW + seconds) is None


@pytest.mark.parametrize(
    "change",
    [
        {"webhook_id": b"msg_other"},
        {"webhook_id": b""},
        {"webhook_id": b"a b"},
        {"webhook_id": b"x" * 300},
        {"webhook_timestamp": b"1614265331"},
        {"webhook_timestamp": b" 1614265330"},
        {"webhook_timestamp": b"1614265330.0"},
        {"webhook_timestamp": b"-1"},
        {"webhook_timestamp": b"9" * 5000},
        {"webhook_signature": b""},
        {"webhook_signature": b"v1"},
        {"webhook_signature": HEADERS[b"webhook-signature"].removeprefix(b"v1,")},
        {"webhook_signature": HEADERS[b"webhook-signature"].replace(b"v1,", b"v2,")},
        {"webhook_signature": HEADERS[b"webhook-signature"][:-2]},
        {"webhook_signature": b"v1,AAAA " * 1000 + HEADERS[b"webhook-signature"]},
        {"webhook_signature": b"\xff" * 60},
    ],
)
def test_junk_is_not_signed(change):
    assert taken(**change) is None


def test_another_body_or_key_is_refused():
    assert taken(BODY + b" ") is None
    assert taken(key=b"k" * 24) is None


def test_a_bearer_token_is_taken_whole_or_not_at_all():
    def says(value):
        return is_bearer({b"authorization": value}, token="secret-token")

    assert says(b"Bearer secret-token")
    assert says(b"bearer secret-token")
    assert not any(
        map(says, (b"", b"Bearer", b"Bearer ", b"Basic secret-token", b"Bearer secret-toke", b"secret-token"))
    )
