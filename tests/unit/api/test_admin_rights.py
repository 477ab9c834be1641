"""Nobody hands on more than they have."""

import itertools

import pytest

from gateway.api.admin_rights import is_platform_owner, require_cover, sees
from gateway.core.caller import Caller
from gateway.core.errors import Forbidden
from gateway.core.rights import RIGHTS, rights_of


def caller(role="", tenant="default", models=(), tools=()):
    return Caller(id="k", kind="key", tenant=tenant, role=role, models=models, tools=tools)


def allowed(asker, **wanted):
    try:
        require_cover(asker, **wanted)
    except Forbidden:
        return False
    return True


def test_a_role_gives_only_roles_whose_rights_it_has():
    given = {role: [other for other in RIGHTS if allowed(caller(role), role=other)] for role in RIGHTS}

    assert given == {
        "owner": ["owner", "admin", "auditor", "approver", "member"],
        "admin": ["admin", "auditor", "member"],
        "auditor": ["auditor", "member"],
        "approver": ["approver", "member"],
        "member": ["member"],
    }


def test_handing_on_never_gains_a_right():
    for giver, taker in itertools.product(RIGHTS, RIGHTS):
        if allowed(caller(giver), role=taker):
            assert rights_of(taker) <= rights_of(giver)


def test_an_unknown_role_is_no_role():
    assert rights_of("superuser") == rights_of("") == frozenset()


@pytest.mark.parametrize(
    ("own", "wanted", "fits"),
    [
        ((), (), True),
        ((), ("x",), True),
        (("a",), ("a",), True),
        (("a",), (), False),  # no list is every model
        (("a",), ("a", "b"), False),
        (("a/*",), ("a/b", "a/c*", "a/*"), True),
        (("a/*",), ("*",), False),
        (("a/*",), ("a*",), False),
        (("a",), ("a*",), False),
        (("*",), ("b*",), True),
    ],
)
def test_a_list_of_models_or_tools_stays_within_the_givers(own, wanted, fits):
    assert allowed(caller("owner", models=own), models=wanted) is fits
    assert allowed(caller("owner", tools=own), tools=wanted) is fits


def test_a_list_that_is_not_touched_is_not_looked_at():
    assert allowed(caller("admin", models=("a",)), role="member")


def test_only_an_owner_of_the_default_tenant_sees_other_tenants():
    assert is_platform_owner(caller("owner"))
    seeing = [(role, tenant) for role in RIGHTS for tenant in ("default", "b") if sees(caller(role, tenant), "c")]
    assert seeing == [("owner", "default")]
