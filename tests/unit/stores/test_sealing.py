"""What clients keep for us: only its own tenant's, only as it was made, on any replica with the same pepper."""

import pytest

from gateway.stores.sealing import Seal, Unsealable

PEPPER = b"p" * 32


def seal(pepper=PEPPER, purpose=b"compaction", **more):
    return Seal(pepper, purpose=purpose, prefix="sgc1.", **more)


def test_any_replica_opens_what_another_has_sealed():
    sealed = seal().close(b"notes", "acme")

    assert sealed.startswith("sgc1.")
    assert seal().open(sealed, "acme") == b"notes"


def test_the_same_is_never_sealed_to_the_same():
    assert seal().close(b"notes", "acme") != seal().close(b"notes", "acme")


@pytest.mark.parametrize(
    ("other", "tenant"),
    [(seal(), "globex"), (seal(b"q" * 32), "acme"), (seal(purpose=b"other"), "acme")],
    ids=["another tenant", "another pepper", "another purpose"],
)
def test_nobody_else_opens_it(other, tenant):
    sealed = seal().close(b"notes", "acme")

    with pytest.raises(Unsealable):
        other.open(sealed, tenant)


def test_what_was_changed_anywhere_does_not_open():
    sealed = seal().close(b"notes", "acme")

    for place in range(5, len(sealed) - 1):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(Unsealable):
            seal().open(changed, "acme")


@pytest.mark.parametrize("text", ["sgc1.", "sgc1.AAAA", "sgc1.%%", "sgc1.é", "sgc1.\ud800", "sgc1." + "A" * 1000])
def test_what_is_none_does_not_open(text):
    with pytest.raises(Unsealable):
        seal().open(text, "acme")


def test_what_would_be_too_large_is_not_unpacked():
    sealed = seal().close(b"n" * 5000, "acme")

    with pytest.raises(Unsealable):
        seal(most=4999).open(sealed, "acme")
    assert len(seal(most=5000).open(sealed, "acme")) == 5000
