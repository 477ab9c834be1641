"""Keys under attack: guessed, stolen and used from elsewhere, mistyped, looked for in logs."""

import ast
import inspect

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.identity import Identity, establishing
from gateway.api.identity.bad_keys import BadKeys
from gateway.config.access_settings import AccessSettings
from gateway.core.errors import KeyMisplaced, SwitchgearError, TooManyBadKeys, Unauthenticated
from gateway.stores.held_key import parse_network, parse_origin
from gateway.stores.key_material import KEY_PREFIX, digest_key, is_well_formed, make_key, shown_prefix
from tests.security.jwt_issuer import Time
from tests.unit.api.identity_keys import PEPPER, Held, virtual_key

HERE = ("203.0.113.7", 1)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
async def held(time):
    held = Held(time.clock)
    await held.ring.load()
    return held


def bearer(text):
    return b"Bearer " + text.encode()


def guess(identity, client=HERE, text="sk-guess"):
    with pytest.raises((Unauthenticated, TooManyBadKeys)) as caught:
        identity.caller(bearer(text), None, client)
    return caught.value


async def test_guessing_is_slowed_by_address_and_good_keys_are_not(held, time):
    text = await held.make()
    identity = Identity(ring=held.ring, access=AccessSettings(bad_keys_per_minute=10), clock=time.clock)

    assert [guess(identity).status for _ in range(12)] == [401] * 10 + [429] * 2
    assert guess(identity).retry_after == pytest.approx(6, abs=0.01)
    assert identity.caller(bearer(text), None, HERE).id == "key_1"
    assert guess(identity, ("203.0.113.8", 1)).status == 401
    time.pass_(6.1)
    assert [guess(identity).status for _ in range(2)] == [401, 429]
    time.pass_(600)
    assert [guess(identity).status for _ in range(11)] == [401] * 10 + [429]


async def test_changing_the_address_within_an_ipv6_network_does_not_help(held, time):
    await held.make()
    identity = Identity(ring=held.ring, access=AccessSettings(bad_keys_per_minute=10), clock=time.clock)

    answers = [guess(identity, (f"2001:db8::{number:x}", 1)).status for number in range(1, 13)]
    assert answers == [401] * 10 + [429] * 2


async def test_a_header_of_the_client_does_not_change_its_address(held, time):
    """X-Forwarded-For from somebody who is no trusted proxy."""
    await held.make()
    identity = Identity(ring=held.ring, access=AccessSettings(bad_keys_per_minute=3), clock=time.clock)
    answers = []
    for number in range(5):
        with pytest.raises(SwitchgearError) as caught:
            identity.caller(b"Bearer x", None, HERE, b"198.51.100.%d" % number)
        answers.append(caught.value.status)

    assert answers == [401, 401, 401, 429, 429]


async def test_no_key_at_all_is_no_guess(held, time):
    await held.make()
    identity = Identity(ring=held.ring, access=AccessSettings(bad_keys_per_minute=1), clock=time.clock)

    for _ in range(5):
        with pytest.raises(Unauthenticated, match="No API key"):
            identity.caller(None, None, HERE)


def test_what_is_remembered_of_guesses_is_bounded(time):
    bad = BadKeys(time.clock, most=100)
    for number in range(1000):
        assert bad.count(f"source-{number}", 5) is None
    assert len(bad) == 100


def test_an_attack_is_told_of_once(time):
    bad = BadKeys(time.clock)
    with structlog.testing.capture_logs() as logs:
        for _ in range(50):
            bad.count("203.0.113.7", 5)

    assert [(entry["event"], entry["source"]) for entry in logs] == [("key.guessing_slowed", "203.0.113.7")]


def test_digests_are_compared_in_constant_time():
    """By construction: keys meet only as keyed digests, found by their hash and compared by compare_digest."""
    tree = ast.parse(inspect.getsource(establishing))
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]

    assert [text for text in compared if "digest" in text or text.startswith(("key ==", "key !="))] == []
    assert sum(text.startswith("hmac.compare_digest(") for text in calls) == 2


PLACES = [
    (("203.0.113.0/24",), "203.0.113.7", True),
    (("203.0.113.7",), "203.0.113.7", True),
    (("203.0.113.8", "203.0.113.7/32"), "203.0.113.7", True),
    (("203.0.113.0/25",), "203.0.113.128", False),
    (("2001:db8::/32",), "2001:db8:7::1", True),
    (("2001:db8::/32",), "2001:db9::1", False),
    (("203.0.113.0/24",), "::ffff:203.0.113.7", True),
    (("203.0.113.0/24",), "2001:db8::1", False),
    (("0.0.0.0/0",), "198.51.100.1", True),
    (("0.0.0.0/0",), "2001:db8::1", False),
    (("nonsense",), "203.0.113.7", False),
]


@pytest.mark.parametrize(("ips", "address", "opens"), PLACES)
async def test_a_key_opens_only_from_its_networks(held, time, ips, address, opens):
    text = await held.make(ips=ips)
    identity = Identity(ring=held.ring, clock=time.clock)

    if opens:
        assert identity.caller(bearer(text), None, (address, 1)).id == "key_1"
        return
    with pytest.raises(KeyMisplaced) as caught:
        identity.caller(bearer(text), None, (address, 1))
    assert caught.value.status == 403
    assert not any(network.split("/")[0] in caught.value.message for network in ips)


async def test_a_key_bound_to_a_network_does_not_open_where_the_address_is_not_known(held, time):
    text = await held.make(ips=("0.0.0.0/0", "::/0"))
    identity = Identity(ring=held.ring, access=AccessSettings(trusted_proxies=("10.0.0.1",)), clock=time.clock)

    for client, forwarded in ((None, None), (("10.0.0.1", 1), b"unknown"), (("", 1), None)):
        with pytest.raises(KeyMisplaced):
            identity.caller(bearer(text), None, client, forwarded)


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(held, time):
    text = await held.make(ips=("203.0.113.0/24",))
    trusting = Identity(ring=held.ring, access=AccessSettings(trusted_proxies=("10.0.0.1",)), clock=time.clock)
    wary = Identity(ring=held.ring, clock=time.clock)

    assert trusting.caller(bearer(text), None, ("10.0.0.1", 1), b"203.0.113.7").id == "key_1"
    for identity, client, header in (
        (wary, "10.0.0.1", b"203.0.113.7"),
        (trusting, "198.51.100.1", b"203.0.113.7"),
        (trusting, "10.0.0.1", b"203.0.113.7, 198.51.100.1"),
    ):
        with pytest.raises(KeyMisplaced):
            identity.caller(bearer(text), None, (client, 1), header)


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        (b"https://app.example", True),
        (b"HTTPS://App.Example", True),
        (b"http://localhost:3000", True),
        (b"http://app.example", False),
        (b"https://app.example:444", False),
        (b"https://app.example.evil.example", False),
        (b"https://evil-app.example", False),
        (b"null", False),
        (b"\xff", False),
        (b"", False),
        (None, False),
    ],
)
async def test_a_key_opens_only_from_its_origins(held, time, origin, opens):
    text = await held.make(origins=("https://app.example:443/", "http://localhost:3000"))
    identity = Identity(ring=held.ring, clock=time.clock)

    if opens:
        assert identity.caller(bearer(text), None, HERE, None, origin).id == "key_1"
        return
    with pytest.raises(KeyMisplaced) as caught:
        identity.caller(bearer(text), None, HERE, None, origin)
    assert "app.example" not in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "app.example", "https://", "https://a/b", "https://u@a", "ftp://a", "https://a?x"]
)
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError, match="no origin"):
        parse_origin(text)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0", "example.com", "::/129", "10.0.0.0/8; DROP TABLE"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="neither"):
        parse_network(text)


async def test_a_mistyped_key_is_told_as_such(held, time):
    text = await held.make()
    identity = Identity(ring=held.ring, clock=time.clock)
    changed = text[:20] + ("a" if text[20] != "a" else "b") + text[21:]

    for wrong in (changed, text[:-1], text + "x"):
        assert "checksum" in guess(identity, text=wrong).message
    assert "not known" in guess(identity, text=make_key()).message
    assert "not known" in guess(identity, text="something else").message


@given(
    chance=st.randoms(use_true_random=False), at=st.integers(len(KEY_PREFIX), 51), other=st.sampled_from("abcXYZ019")
)
def test_the_checksum_finds_every_single_typo(chance, at, other):
    key = make_key(chance.choice)
    changed = key[:at] + other + key[at + 1 :]

    assert is_well_formed(key.encode())
    assert is_well_formed(changed.encode()) == (changed == key)


def test_keys_are_long_random_and_all_different():
    keys = {make_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert {len(key) for key in keys} == {52}
    assert all(key.startswith("sk-sg-") and key[6:].isalnum() for key in keys)
    assert len({shown_prefix(key) for key in keys}) > 990
    assert {len(shown_prefix(key)) for key in keys} == {10}


def test_a_digest_says_nothing_without_the_pepper():
    key = make_key().encode()

    assert digest_key(key, b"a" * 32) != digest_key(key, b"b" * 32)
    assert len(digest_key(key, PEPPER)) == 32


async def test_a_key_is_in_no_log_error_or_repr(held, time):
    text = await held.make(ips=("10.0.0.0/8",))
    await held.make("key_2", expires_at=1.0)
    identity = Identity(
        ["CANARY-STATIC"], ring=held.ring, access=AccessSettings(bad_keys_per_minute=2), clock=time.clock
    )
    said = []
    with structlog.testing.capture_logs() as logs:
        for presented in (text, text[:-1], "CANARY-WRONG", "CANARY." * 2 + "x", "CANARY" * 4000):
            for headers in ((bearer(presented), None), (None, presented.encode())):
                with pytest.raises(SwitchgearError) as caught:
                    identity.caller(*headers, HERE)
                said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        held.store.away = True
        await held.ring.refresh()
    record = virtual_key(text)
    said += [repr(thing) for thing in (logs, held.ring, held.ring.find(record.digest), record, identity)]

    everything = "\n".join(said)
    assert text[:12] not in everything
    assert "CANARY" not in everything
    assert record.digest.hex() not in everything
    assert repr(record.digest)[2:-1] not in everything
