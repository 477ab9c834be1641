"""Tokens that must not open: every one of them is 401, and says nothing of what it was made of (RFC 8725)."""

import base64
import json
import warnings

import jwt
import pytest

from gateway.core.errors import InvalidToken, TooManyBadKeys, Unauthenticated
from tests.security.jwt_issuer import (
    AUDIENCE,
    HERE,
    bearer,
    ec_key,
    issuing,
    jwk,
    part,
    public_pem,
    rsa_key,
    signed_by_hand,
)


@pytest.fixture
async def issuer():
    async with issuing() as running:
        yield running


async def refused(issuer, token, **changes):
    """The error that a token gets."""
    identity = issuer.identity(**changes)
    await identity.admit(bearer(issuer.token()), None, HERE)  # the issuer's keys are there
    with pytest.raises(InvalidToken) as caught:
        await identity.admit(bearer(token), None, HERE)
    return caught.value


async def test_a_token_of_the_issuer_opens(issuer):
    caller = await issuer.identity().admit(bearer(issuer.token()), None, HERE)

    assert (caller.id, caller.kind, caller.tenant, caller.user) == ("corp:alice", "jwt", "default", "alice")
    assert (caller.role, caller.models, caller.tools) == ("", (), ())


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_an_unsigned_token_does_not_open(issuer, name):
    text = f"{part({'alg': name, 'typ': 'JWT', 'kid': 'one'})}.{part(issuer.claims())}"

    await refused(issuer, text + ".")
    await refused(issuer, text + "." + part(b"x" * 32))


async def test_a_token_without_its_signature_does_not_open(issuer):
    head, payload, _ = issuer.token().split(".")

    for cut in (f"{head}.{payload}.", f"{head}.{payload}", f"{head}..", "..", f"{head}.{payload}.{payload}.x"):
        identity = issuer.identity()
        with pytest.raises(Unauthenticated):
            await identity.admit(bearer(cut), None, HERE)


@pytest.mark.parametrize("accepted", [("RS256",), ("RS256", "ES256")])
async def test_the_public_key_is_no_shared_secret(issuer, accepted):
    """HS/RS confusion: the key is public, so that anybody can make an HMAC with it."""
    key = issuer.keys["one"]
    forms = [public_pem(key), public_pem(key).strip(), json.dumps(jwk(key, "one", "RS256")).encode(), b"", b"one"]

    for secret in forms:
        token = signed_by_hand({"alg": "HS256", "typ": "JWT", "kid": "one"}, issuer.claims(), secret)
        assert "algorithm" in (await refused(issuer, token, algorithms=accepted)).message
        lying = signed_by_hand({"alg": "RS256", "typ": "JWT", "kid": "one"}, issuer.claims(), secret)
        assert "signature" in (await refused(issuer, lying, algorithms=accepted)).message


async def test_an_algorithm_that_is_not_pinned_does_not_open(issuer):
    strong = issuer.token(algorithm="RS512")

    assert "algorithm" in (await refused(issuer, strong)).message
    # The key itself says that it is for RS256: not even a pinned RS512 changes that.
    await refused(issuer, strong, algorithms=("RS256", "RS512"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": ["https://other.example", 7]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": AUDIENCE + "/"}, "aud"),
        ({"aud": {"x": AUDIENCE}}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iss": 7}, "iss"),
        ({"iss": ""}, "iss"),
        ({"exp": None}, "exp"),
        ({"exp": "9999999999"}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": [9999999999]}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"exp": 10**40}, "exp"),
        ({"exp": 1}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": 1.5}, "expired"),
        ({"nbf": "now"}, "nbf"),
        ({"iat": "now"}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "a\u202eb"}, "sub"),
        ({"sub": "x" * 200}, "sub"),
        ({"groups": ["a\x1b[2J"]}, "groups"),
        ({"groups": {"admins": True}}, "groups"),
        ({"groups": ["g"] * 600}, "groups"),
    ],
)
async def test_a_claim_that_is_wrong_does_not_open(issuer, changes, word):
    error = await refused(issuer, issuer.token(issuer.claims(**changes)))

    assert word in error.message
    assert "evil" not in error.message
    assert "other" not in error.message


async def test_times_count_with_the_leeway_and_no_further(issuer):
    now = int(issuer.time.now)
    identity = issuer.identity(leeway=30)

    for good in ({"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}, {"exp": now + 0.5}, {"exp": float(now + 9)}):
        await identity.admit(bearer(issuer.token(issuer.claims(**good))), None, HERE)
    for bad in ({"exp": now - 40}, {"nbf": now + 40}, {"iat": now + 40}):
        with pytest.raises(InvalidToken):
            await identity.admit(bearer(issuer.token(issuer.claims(**bad))), None, HERE)


async def test_a_token_made_to_last_too_long_does_not_open(issuer):
    now = int(issuer.time.now)

    assert "last" in (await refused(issuer, issuer.token(issuer.claims(exp=now + 100_000)))).message
    assert "last" in (await refused(issuer, issuer.token(issuer.claims(exp=now + 100_000, iat=None)))).message


async def test_a_token_that_passed_ends_all_the_same(issuer):
    """What is remembered of a token is not good for longer than the token."""
    identity = issuer.identity(leeway=0, keys_ttl=86_400.0)
    token = bearer(issuer.token())
    await identity.admit(token, None, HERE)
    assert identity.caller(token, None, HERE).user == "alice"
    issuer.time.pass_(600)

    with pytest.raises(InvalidToken, match="expired"):
        identity.caller(token, None, HERE)


async def test_a_key_that_comes_with_the_token_is_not_looked_at(issuer):
    """jwk, jku, x5u, x5c: the attacker's own key, offered in the header."""
    evil = rsa_key("evil")
    for extra in (
        {"jwk": jwk(evil, "one", "RS256")},
        {"jku": f"{issuer.url}/evil"},
        {"x5u": f"{issuer.url}/evil"},
        {"x5c": [base64.b64encode(public_pem(evil)).decode()]},
    ):
        token = issuer.sign(issuer.claims(), evil, {"kid": "one", **extra})
        assert "signature" in (await refused(issuer, token)).message
    assert set(issuer.paths) == {"/keys"}


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "one' OR '1'='1",
        "one\x00",
        "one\r\nx-evil: 1",
        "http://127.0.0.1:1/keys",
        "ONE",
        "",
        "x" * 5000,
        7,
        None,
        ["one"],
    ],
)
async def test_a_key_id_leads_nowhere_but_to_the_issuers_keys(issuer, kid):
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    for secret in (b"", b"\x00"):
        await refused(issuer, signed_by_hand(header, issuer.claims(), secret))
        await refused(issuer, signed_by_hand({**header, "alg": "RS256"}, issuer.claims(), secret))
    assert set(issuer.paths) == {"/keys"}


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"typ": "JWS"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 7},
        {"alg": None},
        {"alg": ["RS256"]},
    ],
)
async def test_a_header_that_is_not_understood_does_not_open(issuer, header):
    fine, payload, signature = issuer.token().split(".")
    changed = json.loads(base64.urlsafe_b64decode(fine + "==")) | header

    await refused(issuer, f"{part(changed)}.{payload}.{signature}")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_the_usual_types_open(issuer, kind):
    token = issuer.sign(issuer.claims(), issuer.keys["one"], {"kid": "one", "typ": kind})

    assert (await issuer.identity().admit(bearer(token), None, HERE)).user == "alice"


@pytest.mark.parametrize(
    "payload",
    [
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "sub": "root", "exp": EXP}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "exp": 1, "exp": EXP}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "\\u0065xp": 1, "exp": EXP}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "exp": EXP, "x": {"a": 1, "a": 2}}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "exp": NaN}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "alice", "exp": 1e999}',
        '{"iss": "ISSUER", "aud": "AUD", "sub": "\\ud800", "exp": EXP}',
        '["ISSUER"]',
        '"ISSUER"',
        "null",
        "{",
        "",
        '{"iss": "ISSUER", "x": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
async def test_a_payload_that_two_readers_could_read_differently_does_not_open(issuer, payload):
    """The signature is good: the issuer, or somebody who made it do so, signed these bytes."""
    text = payload.replace("ISSUER", issuer.url).replace("AUD", AUDIENCE).replace("EXP", str(int(issuer.time.now) + 60))
    token = jwt.PyJWS().encode(text.encode(), issuer.keys["one"], algorithm="RS256", headers={"kid": "one"})

    await refused(issuer, token)


async def test_a_header_with_a_key_twice_does_not_open(issuer):
    payload = part(issuer.claims())
    header = part(b'{"alg":"none","alg":"RS256","kid":"one"}')

    await refused(issuer, f"{header}.{payload}.{part(b'x' * 256)}")


async def test_a_huge_token_is_refused_before_anything_is_done_with_it(issuer):
    identity = issuer.identity()
    token = issuer.token(issuer.claims(padding="x" * 20_000))

    with pytest.raises(Unauthenticated, match="longer than"):
        await identity.admit(bearer(token), None, HERE)
    assert issuer.fetches == 0


async def test_a_token_that_was_changed_does_not_open(issuer):
    head, payload, signature = issuer.token().split(".")
    root = part(issuer.claims(sub="root"))
    other = "A" if signature[0] != "A" else "B"

    for changed in (f"{head}.{root}.{signature}", f"{head}.{payload}.{other}{signature[1:]}", f"{head}.{payload}.AAAA"):
        assert "signature" in (await refused(issuer, changed)).message


async def test_the_key_of_one_issuer_does_not_speak_for_another(issuer):
    async with issuing(issuer.time) as second:
        second.keys["one"] = rsa_key("second")
        second.published = [jwk(second.keys["one"], "one", "RS256")]
        access = issuer.access()
        both = type(access)(jwt={**access.jwt, "partner": second.settings()})
        identity = issuer.identity_for(both)
        forged = second.sign(issuer.claims(), second.keys["one"], {"kid": "one"})

        assert (await identity.admit(bearer(second.token()), None, HERE)).id == "partner:alice"
        assert (await identity.admit(bearer(issuer.token()), None, HERE)).id == "corp:alice"
        with pytest.raises(InvalidToken, match="signature"):
            await identity.admit(bearer(forged), None, HERE)


async def test_weak_and_unfit_keys_of_an_issuer_are_left_out(issuer):
    weak, curve, private = rsa_key("weak", 1024), ec_key("curve"), rsa_key("private")
    numbers = jwt.algorithms.RSAAlgorithm.to_jwk(private, as_dict=True)
    issuer.published += [
        jwk(weak, "weak", "RS256"),
        jwk(curve, "curve", "ES256"),
        jwk(rsa_key("enc"), "enc", "RS256", use="enc"),
        {**numbers, "kid": "private", "alg": "RS256"},
        {"kty": "oct", "kid": "shared", "k": part(b"s" * 32), "alg": "HS256"},
        {"kty": "RSA", "kid": "broken", "n": "!!", "e": "AQAB"},
        {"kty": 7},
        "no key",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyJWT says itself that the key is short
        tokens = [
            issuer.sign(issuer.claims(), weak, {"kid": "weak"}),
            issuer.sign(issuer.claims(), curve, {"kid": "curve"}, "ES256"),
            issuer.sign(issuer.claims(), rsa_key("enc"), {"kid": "enc"}),
            issuer.sign(issuer.claims(), private, {"kid": "private"}),
            issuer.sign(issuer.claims(), b"s" * 32, {"kid": "shared"}, "HS256"),
        ]

    for token in tokens:
        await refused(issuer, token)
    # The curve's key is refused for its algorithm only: pinned, it opens.
    assert (await issuer.identity(algorithms=("RS256", "ES256")).admit(bearer(tokens[1]), None, HERE)).user == "alice"


async def test_forged_tokens_count_as_guesses_and_expired_ones_do_not(issuer):
    """A client whose token has run out must hear so, however often it asks."""
    identity = issuer.identity(leeway=0)
    expired = bearer(issuer.token(issuer.claims(exp=int(issuer.time.now) - 1)))
    forged = bearer(issuer.sign(issuer.claims(), rsa_key("evil"), {"kid": "one"}))

    for _ in range(150):
        with pytest.raises(InvalidToken, match="expired"):
            await identity.admit(expired, None, HERE)
    for _ in range(100):
        with pytest.raises(InvalidToken, match="signature"):
            await identity.admit(forged, None, HERE)
    with pytest.raises(TooManyBadKeys):
        await identity.admit(forged, None, HERE)
    assert (await identity.admit(bearer(issuer.token()), None, HERE)).user == "alice"
