"""Sessions that nobody keeps: what a client said, for this person and this long, and for nobody else."""

import pytest

from gateway.api.mcp.sessions import LASTS, Sessions, askable
from gateway.core.caller import Caller
from gateway.core.errors import NotFound
from gateway.stores.sealing import Seal

ADA = Caller(id="key_1", tenant="acme", user="ada")
PARAMS = {"capabilities": {"sampling": {"tools": {}, "odd": {}}, "elicitation": {}, "experimental": {"x": {}}}}


class At:
    """A clock that stands still."""

    now = 1000.0

    def wall(self):
        return self.now

    def monotonic(self):
        return self.now


def sessions(clock, pepper=b"p" * 32):
    return Sessions(Seal(pepper, purpose=b"mcp session", prefix=""), None, clock, lambda prefix: prefix + "1")


def test_another_replica_knows_what_the_client_said():
    name = sessions(At()).begin(ADA, PARAMS)
    found = sessions(At()).open(name, ADA)

    assert found.can == {"elicitation": {}, "sampling": {"tools": {}}}
    assert name.isascii()
    assert len(name) < 400


@pytest.mark.parametrize(
    "who",
    [
        Caller(id="key_2", tenant="acme", user="bob"),
        Caller(id="key_1", tenant="globex", user="ada"),
        Caller(id="key_1", tenant="acme"),
    ],
)
def test_somebody_elses_session_is_none(who):
    name = sessions(At()).begin(ADA, PARAMS)

    with pytest.raises(NotFound):
        sessions(At()).open(name, who)


@pytest.mark.parametrize("change", [lambda name: name[:-2] + "AA", lambda name: "", lambda name: "x" * 5000])
def test_a_changed_session_is_none(change):
    with pytest.raises(NotFound):
        sessions(At()).open(change(sessions(At()).begin(ADA, PARAMS)), ADA)


def test_a_session_of_another_installation_is_none():
    name = sessions(At(), b"q" * 32).begin(ADA, PARAMS)

    with pytest.raises(NotFound):
        sessions(At()).open(name, ADA)


def test_a_session_is_over_after_its_time():
    clock = At()
    name = sessions(clock).begin(ADA, PARAMS)
    clock.now += LASTS - 1
    sessions(clock).open(name, ADA)
    clock.now += 1

    with pytest.raises(NotFound):
        sessions(clock).open(name, ADA)


@pytest.mark.parametrize("said", [None, 7, [], {"sampling": True}, {"sampling": None}])
def test_what_is_no_capability_is_none(said):
    assert askable(said) == {}
