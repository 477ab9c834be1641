"""What the directory takes and what it refuses, and in which form it keeps texts; no database is asked."""

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.stores.directory import Team, User, VirtualKey
from gateway.stores.directory_rules import changed, checked, checked_text

TEAM = Team(id="team_a", tenant="default", name="a", created_at=1.0)
USER = User(id="user_a", tenant="default", name="a", created_at=1.0)
KEY = VirtualKey(id="key_a", tenant="default", name="a", prefix="sk", digest=b"\x01secret", created_at=1.0)


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (TEAM, "name", ""),
        (TEAM, "name", "   "),
        (TEAM, "name", "a" * 201),
        (TEAM, "name", "a\x00b"),
        (TEAM, "name", "a\r\nset-cookie: b"),
        (TEAM, "name", "\x1b[31mred"),
        (TEAM, "name", "invoice\u202egpj.exe"),
        (TEAM, "name", "\ud800"),
        (TEAM, "id", "../../etc"),
        (TEAM, "id", ""),
        (TEAM, "created_at", float("nan")),
        (TEAM, "created_at", float("inf")),
        (TEAM, "created_at", -1.0),
        (USER, "role", "root"),
        (USER, "team", "no id"),
        (KEY, "expires_at", 1.7e12),
        (KEY, "models", ("\x00",)),
        (KEY, "models", ("m",) * 501),
        (KEY, "metadata", {"a": "\ud800"}),
        (KEY, "metadata", {"a": "b" * 2001}),
        (KEY, "tags", (("a", "b", "c"),)),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_name(record, field, value):
    with pytest.raises(InvalidRequest) as refused:
        checked(msgspec.structs.replace(record, **{field: value}))

    assert (refused.value.status, refused.value.param) == (400, field)


@pytest.mark.parametrize("value", [5, None, True, ["a"], {}, b"a"])
def test_a_change_to_another_type_is_refused(value):
    with pytest.raises(InvalidRequest) as refused:
        changed(USER, {"name": value}, frozenset({"name"}))

    assert refused.value.param == "name"


def test_a_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(InvalidRequest) as refused:
        changed(KEY, {"role": "sk-a-secret-in-the-wrong-field"}, frozenset({"role"}))

    assert "sk-a-secret" not in refused.value.message


def test_texts_are_kept_in_one_form():
    kept = checked(msgspec.structs.replace(USER, name=" cafe\u0301 ", email=" Ada@Example.ORG"))

    assert (kept.name, kept.email) == ("caf\u00e9", "ada@example.org")


def test_a_key_in_a_log_shows_no_digest():
    assert repr(KEY) == "VirtualKey(id='key_a', tenant='default', prefix='sk')"


@given(st.text(alphabet=st.characters(), max_size=50))
def test_a_text_that_was_checked_stays_as_it_is(text):
    try:
        once = checked_text("name", text)
    except InvalidRequest:
        return

    assert checked_text("name", once) == once
    assert once.encode().decode() == once
    assert not set(once) & set("\x00\r\n\x1b\u202e\u2028")


@given(st.text(alphabet=string.printable, min_size=1, max_size=300))
def test_an_id_is_plain_or_refused(text):
    try:
        kept = checked(msgspec.structs.replace(TEAM, id=text)).id
    except InvalidRequest:
        kept = ""

    assert kept in ("", text)
    assert bool(kept) == (not set(text) - set(string.ascii_letters + string.digits + "_.:-") and len(text) <= 100)
