"""What a token's claims make of its caller: never more than the configuration lets its issuer say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.identity.token_claims import caller_of, check_claims
from gateway.config.access_settings import ClaimSettings, JwtSettings
from gateway.core.errors import InvalidToken

NOW = 1_800_000_000.0
FINE = {"sub": "alice", "aud": "us", "exp": NOW + 60, "iat": NOW}


def settings(claims=None, **changes):
    return JwtSettings(issuer="https://login.example", audience=("us",), claims=claims or ClaimSettings(), **changes)


def test_claims_are_found_by_name_and_by_path():
    claims = ClaimSettings(
        user="email",
        tenant="https://example.com/tenant",
        team="org.team",
        groups="realm_access.roles",
        models="models",
        tools="scope",
        tags={"cost_center": "org.cc", "absent": "nowhere", "number": "org.number"},
    )
    said = {
        **FINE,
        "email": "alice@example.com",
        "https://example.com/tenant": "acme",
        "org": {"team": "research", "cc": "42-x", "number": 7},
        "realm_access": {"roles": ["Data Science", "staff"]},
        "models": ["small", "gpt-*"],
        "scope": "search calculator",
    }

    caller = caller_of(said, "corp", settings(claims, tenants=("acme",), roles={"staff": "auditor"}))

    assert caller.id == "corp:alice@example.com"
    assert (caller.tenant, caller.team, caller.user) == ("acme", "research", "alice@example.com")
    assert caller.groups == ("Data Science", "staff")
    assert (caller.models, caller.tools) == (("small", "gpt-*"), ("search", "calculator"))
    assert caller.tags == (("cost_center", "42-x"), ("number", "7"))
    assert caller.role == "auditor"


@pytest.mark.parametrize("tenant", ["default", "acme2", "ACME", "", None, 7, "acme\n", "*"])
def test_an_issuer_speaks_only_for_the_tenants_that_it_may(tenant):
    claims = ClaimSettings(tenant="org")
    said = {**FINE, "org": tenant}

    with pytest.raises(InvalidToken):
        caller_of(said, "corp", settings(claims, tenants=("acme", "lab-*")))


def test_a_pattern_of_tenants_is_a_beginning():
    claims = ClaimSettings(tenant="org")

    assert caller_of({**FINE, "org": "lab-7"}, "corp", settings(claims, tenants=("lab-*",))).tenant == "lab-7"
    assert caller_of(FINE, "corp", settings(tenant="acme")).tenant == "acme"


@pytest.mark.parametrize("said", [{}, {"models": []}, {"models": ""}, {"models": None}])
def test_a_missing_list_of_models_is_not_every_model(said):
    with pytest.raises(InvalidToken, match="models"):
        caller_of({**FINE, **said}, "corp", settings(ClaimSettings(models="models")))


def test_the_highest_role_counts_and_only_by_mapped_groups():
    roles = {"ops": "auditor", "root": "owner", "desk": "approver"}

    def role(*groups):
        return caller_of({**FINE, "groups": list(groups)}, "corp", settings(roles=roles)).role

    assert role("ops", "root", "desk") == "owner"
    assert role("desk", "ops") == "auditor"
    assert role("owner", "admin") == ""
    assert caller_of({**FINE, "role": "owner"}, "corp", settings()).role == ""


@pytest.mark.parametrize("said", ["root", "Owner", "", 7, ["owner"], {"owner": 1}])
def test_a_role_that_is_none_is_refused(said):
    claims = ClaimSettings(role="role")

    assert caller_of({**FINE, "role": "admin"}, "corp", settings(claims)).role == "admin"
    with pytest.raises(InvalidToken, match="role"):
        caller_of({**FINE, "role": said}, "corp", settings(claims))


@pytest.mark.parametrize("required", ["email", "org.id"])
def test_a_required_claim_must_be_there(required):
    with pytest.raises(InvalidToken, match=required):
        check_claims({**FINE, "org": {}}, settings(require=(required,)), NOW)
    check_claims({**FINE, "email": "a", "org": {"id": 0}}, settings(require=(required,)), NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVERY = ClaimSettings(
    tenant="org", team="team", role="role", models="models", tools="tools", tags={"t": "tag"}, groups="groups"
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["sub", "aud", "exp", "iat", "nbf", "org", "team", "role", "models", "tools", "tag", "groups"]),
        JSON,
    )
)
def test_no_claim_breaks_the_check(changes):
    """A caller with clean ids, or an InvalidToken whose message holds nothing of the token."""
    fine = {**FINE, "org": "acme", "models": ["m"], "tools": ["t"]}
    outcome = judged({**fine, **changes}, settings(EVERY, tenants=("acme",)))

    if isinstance(outcome, str):
        assert outcome.isascii()
        assert "\n" not in outcome
    else:
        assert outcome.tenant == "acme"
        assert outcome.models
        assert outcome.tools
        assert (outcome.id + outcome.team).isprintable()
        assert " " not in outcome.id + outcome.team


def judged(claims, wanted):
    try:
        check_claims(claims, wanted, NOW)
        return caller_of(claims, "corp", wanted)
    except InvalidToken as error:
        return error.message
