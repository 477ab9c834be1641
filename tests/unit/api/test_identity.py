"""Who is calling, by what a request carries."""

import pytest

from gateway.api.identity import Identity
from gateway.api.identity.clients import Clients, read_address, source_of
from gateway.config.access_settings import AccessSettings
from gateway.core.errors import KeyExpired, KeyRevoked, Unauthenticated
from gateway.stores.key_ring import KeyRing
from tests.security.jwt_issuer import Time
from tests.unit.api.identity_keys import Held, KeysInMemory

HERE, ELSEWHERE = ("127.0.0.1", 1), ("203.0.113.7", 1)


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


async def test_a_virtual_key_stands_for_its_caller(held):
    text = await held.make(
        tenant="acme", team="t1", user="u1", role="auditor", models=("a*",), tools=("x",), tags=(("k", "v"),)
    )
    identity = Identity(ring=held.ring)

    for presented in ((bearer(text), None), (None, text.encode()), (b"bearer " + text.encode(), b"other")):
        caller = identity.caller(*presented, ELSEWHERE)
        assert (caller.id, caller.kind, caller.tenant, caller.team, caller.user) == ("key_1", "key", "acme", "t1", "u1")
        assert (caller.role, caller.models, caller.tools, caller.tags) == ("auditor", ("a*",), ("x",), (("k", "v"),))


async def test_a_service_accounts_key_stands_for_the_account(held):
    text = await held.make(service_account="sa_1")
    caller = Identity(ring=held.ring).caller(bearer(text), None, ELSEWHERE)

    assert (caller.kind, caller.user) == ("service", "sa_1")


async def test_keys_of_the_configuration_and_of_the_database_both_open(held):
    text = await held.make()
    identity = Identity(["static-key"], ring=held.ring)

    assert identity.caller(bearer("static-key"), None, ELSEWHERE).id == "key-1"
    assert identity.caller(bearer(text), None, ELSEWHERE).id == "key_1"


async def test_a_key_ends_at_its_time(held, time):
    text = await held.make(expires_at=time.now + 60)
    identity = Identity(ring=held.ring, clock=time.clock)
    identity.caller(bearer(text), None, ELSEWHERE)
    time.pass_(60)

    with pytest.raises(KeyExpired):
        identity.caller(bearer(text), None, ELSEWHERE)


async def test_after_a_rotation_both_keys_work_until_the_overlap_ends(held, time):
    old = await held.make("key_1")
    new = await held.make("key_2")
    await held.change("key_1", replaced_by="key_2", overlap_ends_at=time.now + 60)
    identity = Identity(ring=held.ring, clock=time.clock)

    assert [identity.caller(bearer(text), None, HERE).id for text in (old, new)] == ["key_1", "key_2"]
    time.pass_(61)
    assert identity.caller(bearer(new), None, HERE).id == "key_2"
    with pytest.raises(KeyExpired):
        identity.caller(bearer(old), None, HERE)


async def test_a_revoked_key_says_so_to_who_has_it(held, time):
    text = await held.make()
    await held.change("key_1", revoked_at=time.now)

    with pytest.raises(KeyRevoked):
        Identity(ring=held.ring, clock=time.clock).caller(bearer(text), None, HERE)


async def test_uses_are_noted_and_written_together(held, time):
    text = await held.make()
    identity = Identity(ring=held.ring, clock=time.clock)
    for _ in range(3):
        identity.caller(bearer(text), None, HERE)
        time.pass_(1)
    held.store.away = True
    await held.ring.write_uses()
    held.store.away = False
    await held.ring.write_uses()

    assert held.store.used == {"key_1": pytest.approx(time.now - 1)}


def test_without_anything_to_authenticate_with_this_machine_is_let_in():
    identity = Identity()

    assert identity.open
    assert identity.caller(None, None, HERE).id == "anonymous"
    assert identity.caller(b"Bearer anything", None, ("::1", 1)).id == "anonymous"
    assert identity.caller(None, b"x" * 100_000, None).id == "anonymous"
    for elsewhere in (ELSEWHERE, ("10.0.0.1", 1), ("fe80::1", 1), ("testclient", 1)):
        with pytest.raises(Unauthenticated):
            identity.caller(None, None, elsewhere)


def test_who_comes_through_a_trusted_proxy_on_this_machine_is_not_of_this_machine():
    identity = Identity(access=AccessSettings(trusted_proxies=("127.0.0.1",)))

    assert identity.caller(None, None, HERE).id == "anonymous"
    assert identity.caller(None, None, HERE, b"127.0.0.1").id == "anonymous"
    with pytest.raises(Unauthenticated):
        identity.caller(None, None, HERE, b"203.0.113.7")


def test_never_means_never():
    with pytest.raises(Unauthenticated):
        Identity(access=AccessSettings(anonymous="never")).caller(None, None, HERE)


async def test_the_first_key_leaves_the_door_open_and_the_second_shuts_it_for_good(held, time):
    identity = Identity(ring=held.ring, clock=time.clock)
    first = await held.make("key_0", role="owner", metadata={"bootstrap": "true"})
    assert identity.caller(None, None, HERE).id == "anonymous"
    assert identity.caller(bearer(first), None, HERE).id == "key_0"
    with pytest.raises(Unauthenticated):
        identity.caller(bearer(first[:-1]), None, HERE)  # meant as a key of ours: not anonymous

    await held.make("key_1", expires_at=time.now + 60)
    for seconds in (0, 61):
        time.pass_(seconds)
        with pytest.raises(Unauthenticated):
            identity.caller(None, None, HERE)
    await held.change("key_1", revoked_at=time.now)
    assert not identity.open


def test_a_ring_that_was_never_loaded_lets_nobody_in(time):
    identity = Identity(ring=KeyRing(KeysInMemory(), b"p" * 32, clock=time.clock))

    assert not identity.open
    with pytest.raises(Unauthenticated):
        identity.caller(None, None, HERE)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("10.0.0.9", None, "10.0.0.9"),
        ("10.0.0.9", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "1.1.1.1,203.0.113.7 , 10.0.0.8", "203.0.113.7"),
        ("10.0.0.9", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("10.0.0.9", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.9", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.9", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.9", "::ffff:203.0.113.7", "203.0.113.7"),
        ("fd00::9", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "203.0.113.7, unknown", None),
        ("10.0.0.9", "203.0.113.7, ", None),
        ("10.0.0.9", "", None),
        ("10.0.0.9", "1.1.1.1, _hidden", None),
        ("10.0.0.9", "203.0.113.7, " * 500 + "198.51.100.1", "198.51.100.1"),
        ("10.0.0.9", "\xff\xfe", None),
    ],
)
def test_where_a_client_is(peer, forwarded, found):
    """X-Forwarded-For counts from its end, and only as far as its writers are trusted."""
    clients = Clients(["10.0.0.0/8", "fd00::/8"])
    header = None if forwarded is None else forwarded.encode("latin-1")

    assert clients.address((peer, 1), header) == (read_address(found) if found else None)


def test_a_whole_ipv6_network_is_one_source():
    assert source_of(read_address("2001:db8:1:2::1")) == source_of(read_address("2001:db8:1:2:ffff::9"))
    assert source_of(read_address("2001:db8:1:3::1")) != source_of(read_address("2001:db8:1:2::1"))
    assert source_of(read_address("203.0.113.7")) == "203.0.113.7"
