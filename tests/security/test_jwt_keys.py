"""The keys of an issuer: rotation, outage, how often they are asked for, and from where they may come."""

import anyio
import pytest

from gateway.api.identity import Identities, KeysWanted
from gateway.api.identity.key_source import _may_lead_to
from gateway.config.access_settings import AccessSettings, ClaimSettings, JwtSettings, access_faults, issuer_faults
from gateway.config.secret import Secret
from gateway.core.errors import InvalidToken, Unavailable
from tests.security.jwt_issuer import HERE, bearer, ec_key, ed_key, issuing, jwk, rsa_key, signed_by_hand


@pytest.fixture
async def issuer():
    async with issuing() as running:
        yield running


async def test_the_usual_call_is_a_look_up_and_awaits_nothing(issuer):
    identity, token = issuer.identity(), bearer(issuer.token())
    with pytest.raises(KeysWanted):
        identity.caller(token, None, HERE)
    await identity.admit(token, None, HERE)

    assert [identity.caller(token, None, HERE).id for _ in range(3)] == ["corp:alice"] * 3
    assert issuer.fetches == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer):
    """Rotation: the issuer publishes a key and signs with it; nobody tells us."""
    identity = issuer.identity(keys_interval=10.0)
    await identity.admit(bearer(issuer.token()), None, HERE)
    issuer.keys["two"] = rsa_key("two")
    issuer.published.append(jwk(issuer.keys["two"], "two", "RS256"))
    issuer.time.pass_(11)

    assert (await identity.admit(bearer(issuer.token(key="two")), None, HERE)).user == "alice"
    assert (await identity.admit(bearer(issuer.token(key="one")), None, HERE)).user == "alice"
    assert issuer.fetches == 2


async def test_a_key_that_was_withdrawn_opens_no_more_within_the_ttl(issuer):
    """Also for tokens that passed before: the key may have been stolen."""
    identity = issuer.identity(keys_ttl=60.0)
    old = bearer(issuer.token())
    await identity.admit(old, None, HERE)
    issuer.keys["two"] = rsa_key("two")
    issuer.published = [jwk(issuer.keys["two"], "two", "RS256")]
    issuer.time.pass_(61)

    with pytest.raises(InvalidToken, match="kid"):
        await identity.admit(old, None, HERE)
    assert (await identity.admit(bearer(issuer.token(key="two")), None, HERE)).user == "alice"


async def test_unknown_keys_do_not_make_us_ask_again_and_again(issuer):
    identity = issuer.identity(keys_interval=10.0)
    await identity.admit(bearer(issuer.token()), None, HERE)
    evil = rsa_key("evil")

    for number in range(20):
        with pytest.raises(InvalidToken):
            await identity.admit(bearer(issuer.sign(issuer.claims(), evil, {"kid": f"k{number}"})), None, HERE)
    assert issuer.fetches == 1
    issuer.time.pass_(11)
    for number in range(5):
        with pytest.raises(InvalidToken):
            await identity.admit(bearer(issuer.sign(issuer.claims(), evil, {"kid": f"k{number}"})), None, HERE)
    assert issuer.fetches == 2


async def test_many_calls_at_once_make_one_fetch(issuer):
    identity, token = issuer.identity(), bearer(issuer.token())
    users = []

    async def call():
        users.append((await identity.admit(token, None, HERE)).user)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(call)
    assert users == ["alice"] * 50
    assert issuer.fetches == 1


async def test_an_outage_of_the_issuer_is_lived_through_with_the_keys_at_hand(issuer):
    identity = issuer.identity(keys_ttl=60.0, keys_stale=3600.0)
    await identity.admit(bearer(issuer.token()), None, HERE)
    issuer.broken = "error"

    for _ in range(10):
        issuer.time.pass_(61)
        assert (await identity.admit(bearer(issuer.token()), None, HERE)).user == "alice"
    assert issuer.fetches == 11
    issuer.broken = ""
    issuer.time.pass_(61)
    await identity.admit(bearer(issuer.token()), None, HERE)
    issuer.broken = "error"
    issuer.time.pass_(3600 + 61)
    with pytest.raises(Unavailable) as caught:
        await identity.admit(bearer(issuer.token()), None, HERE)
    assert caught.value.retry_after == 10.0


async def test_an_issuer_that_does_not_answer_holds_up_one_call_and_not_the_others(issuer):
    identity = issuer.identity(keys_ttl=60.0, keys_timeout=0.3)
    token = bearer(issuer.token())
    await identity.admit(token, None, HERE)
    issuer.broken = "silent"
    issuer.time.pass_(61)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(identity.admit, token, None, HERE)
            await anyio.wait_all_tasks_blocked()
            assert identity.caller(token, None, HERE).user == "alice"
    assert identity.caller(token, None, HERE).user == "alice"


async def test_an_issuer_that_was_never_reached_makes_tokens_wait_and_not_wrong(issuer):
    """503, not 401: whether the token is good is not known."""
    issuer.broken = "error"
    identity = issuer.identity(keys_interval=10.0)

    for _ in range(5):
        with pytest.raises(Unavailable):
            await identity.admit(bearer(issuer.token()), None, HERE)
    assert issuer.fetches == 1
    issuer.broken = ""
    issuer.time.pass_(11)
    assert (await identity.admit(bearer(issuer.token()), None, HERE)).user == "alice"


@pytest.mark.parametrize(
    "broken",
    [
        "redirect",
        "error",
        "[]",
        "{}",
        '{"keys": {}}',
        '{"keys": []}',
        '{"keys": [], "keys": []}',
        "<html></html>",
        '{"keys": [' + ",".join(["{}"] * 101) + "]}",
        '{"keys": [], "x": "' + "x" * 300_000 + '"}',
    ],
)
async def test_what_is_no_key_set_changes_nothing(issuer, broken):
    identity = issuer.identity(keys_ttl=60.0)
    await identity.admit(bearer(issuer.token()), None, HERE)
    issuer.broken = broken
    issuer.time.pass_(61)

    assert (await identity.admit(bearer(issuer.token()), None, HERE)).user == "alice"
    assert issuer.fetches == 2


async def test_a_client_that_leaves_does_not_keep_the_others_from_the_keys(issuer):
    identity, token = issuer.identity(), bearer(issuer.token())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(identity.admit, token, None, HERE)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert identity.caller(token, None, HERE).user == "alice"


async def test_keys_are_looked_up_below_the_issuer(issuer):
    identity = issuer.identity(jwks_url=None)

    assert (await identity.admit(bearer(issuer.token()), None, HERE)).user == "alice"
    assert issuer.paths == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "document",
    [
        '{"issuer": "https://evil.example", "jwks_uri": "URL/keys"}',
        '{"issuer": "URL/", "jwks_uri": "URL/keys"}',
        '{"issuer": "URL", "jwks_uri": "http://169.254.169.254/keys"}',
        '{"issuer": "URL", "jwks_uri": "file:///etc/passwd"}',
        '{"issuer": "URL", "jwks_uri": 7}',
        '{"issuer": "URL"}',
    ],
)
async def test_a_discovery_document_that_leads_astray_is_not_followed(issuer, document):
    issuer.broken = document.replace("URL", issuer.url)

    with pytest.raises(Unavailable):
        await issuer.identity(jwks_url=None).admit(bearer(issuer.token()), None, HERE)
    assert issuer.paths == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://login.example/keys", True),
        ("https://login.example:8443/keys", True),
        ("https://keys.cdn.example/keys?p=policy", True),
        ("http://login.example/keys", False),
        ("http://localhost/keys", False),
        ("https://localhost/keys", False),
        ("https://127.0.0.1/keys", False),
        ("https://[::1]/keys", False),
        ("https://10.0.0.7/keys", False),
        ("https://169.254.169.254/latest", False),
        ("https://[fd00::1]/keys", False),
        ("https://user@keys.example/", False),
        ("https://keys.example/#x", False),
        ("ftp://login.example/keys", False),
        ("https://", False),
        ("https://keys.example:port/", False),
        ("//keys.example/", False),
    ],
)
def test_where_an_issuers_document_may_lead(address, allowed):
    assert _may_lead_to("https://login.example", address) is allowed


async def test_a_reload_keeps_the_keys_that_were_fetched(issuer):
    identities = Identities(clock=issuer.time.clock)
    first = issuer.identity_for(issuer.access(), identities)
    await first.admit(bearer(issuer.token()), None, HERE)

    second = issuer.identity_for(issuer.access(lifetime=3600.0), identities)
    assert second.caller(bearer(issuer.token()), None, HERE).user == "alice"
    third = issuer.identity_for(issuer.access(algorithms=("RS256", "ES256")), identities)
    with pytest.raises(KeysWanted):
        third.caller(bearer(issuer.token()), None, HERE)


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [(name, rsa_key) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    + [("ES256", ec_key), ("EdDSA", ed_key)],
)
async def test_each_algorithm_works_where_it_is_pinned(issuer, algorithm, make):
    issuer.keys["k"] = make("k")
    issuer.published = [jwk(issuer.keys["k"], "k", algorithm)]

    caller = await issuer.identity(algorithms=(algorithm,)).admit(
        bearer(issuer.token(key="k", algorithm=algorithm)), None, HERE
    )
    assert caller.user == "alice"


async def test_a_token_that_names_no_key_opens_only_where_there_is_one_key(issuer):
    identity = issuer.identity(keys_ttl=60.0)
    nameless = bearer(issuer.sign(issuer.claims(), issuer.keys["one"], {}))

    assert (await identity.admit(nameless, None, HERE)).user == "alice"
    issuer.published.append(jwk(rsa_key("two"), "two", "RS256"))
    issuer.time.pass_(61)
    with pytest.raises(InvalidToken, match="kid"):
        await identity.admit(nameless, None, HERE)


async def test_a_shared_secret_opens_by_its_own_algorithms_only(issuer):
    secret = "a shared secret of more than thirty-two bytes"
    shared = {"secret": Secret(secret, source="env:S"), "algorithms": ("HS256",), "jwks_url": None}
    identity = issuer.identity(**shared)
    good = issuer.sign(issuer.claims(), secret.encode(), {}, "HS256")

    assert identity.caller(bearer(good), None, HERE).user == "alice"
    for token in (
        issuer.sign(issuer.claims(), secret.encode() + b"x", {}, "HS256"),
        issuer.sign(issuer.claims(), secret.encode() * 2, {}, "HS512"),
        issuer.token(),
    ):
        with pytest.raises(InvalidToken):
            identity.caller(bearer(token), None, HERE)
    assert issuer.paths == []


async def test_a_short_secret_opens_nothing(issuer):
    """The configuration refuses it; should it come by another way, its tokens are refused."""
    identity = issuer.identity(secret=Secret("short", source="env:S"), algorithms=("HS256",), jwks_url=None)

    with pytest.raises(InvalidToken):
        identity.caller(bearer(signed_by_hand({"alg": "HS256"}, issuer.claims(), b"short")), None, HERE)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"algorithms": ("HS256",)}, "algorithms"),
        ({"algorithms": ("RS256", "HS256")}, "algorithms"),
        ({"secret": Secret("x" * 32, source="env:S")}, "algorithms"),
        ({"secret": Secret("x" * 31, source="env:S"), "algorithms": ("HS256",)}, "secret"),
        ({"secret": Secret("x" * 40, source="env:S"), "algorithms": ("HS256", "HS512")}, "secret"),
        (
            {"secret": Secret("x" * 32, source="env:S"), "algorithms": ("HS256",), "jwks_url": "https://a.example"},
            "jwks_url",
        ),
        ({"jwks_url": "http://keys.example/keys"}, "jwks_url"),
        ({"jwks_url": "http://10.0.0.1/keys"}, "jwks_url"),
        ({"jwks_url": "https://user:pass@keys.example/"}, "jwks_url"),
        ({"issuer": "login"}, "issuer"),
        ({"issuer": "http://login.example"}, "issuer"),
        ({"issuer": "https://login.example?x=1"}, "issuer"),
        ({"claims": ClaimSettings(tenant="org")}, "tenants"),
        ({"tenants": ("acme",)}, "tenants"),
    ],
)
def test_an_issuer_that_is_not_safe_is_refused_when_the_file_is_read(changes, field):
    fine = {"issuer": "https://login.example", "audience": ("us",)}

    assert list(issuer_faults(JwtSettings(**fine))) == []
    assert [path[0] for path, _ in issuer_faults(JwtSettings(**{**fine, **changes}))] == [field]


def test_access_that_cannot_work_is_refused_when_the_file_is_read():
    issuer = JwtSettings(issuer="https://login.example", audience=("us",))
    wrong = AccessSettings(
        trusted_proxies=("10.0.0.0/8", "proxy.example"),
        pepper=Secret("CANARY", source="env:PEPPER"),
        jwt={"one": issuer, "two": issuer},
    )
    faults = list(access_faults(wrong))

    assert [path for path, _ in faults] == [("trusted_proxies", 1), ("pepper",), ("jwt", "two", "issuer")]
    assert "CANARY" not in str(faults)
