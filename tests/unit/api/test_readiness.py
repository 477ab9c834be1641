"""A server is ready when it would answer calls: one model that loads takes it out of service only where that was asked for."""

import pytest

from gateway.api.health import overall
from gateway.providers.child_upstream import ChildUpstream
from gateway.providers.provider import Health
from gateway.providers.supervisor import ChildCommand, ChildSupervisor

READY, COLD, FAILED = Health(), Health(state="cold"), Health(state="failed")
LAZY = Health(state="starting", waited_for=True)
FIRST_LOAD = Health(state="starting", waited_for=True, first_load=True)
IMPATIENT = Health(state="starting")


@pytest.mark.parametrize("one", [READY, COLD, LAZY, IMPATIENT, FAILED], ids=lambda health: health.state)
def test_one_model_that_is_not_there_does_not_make_the_server_unready(one):
    assert overall([(READY,), (one,)]) == "ready"


@pytest.mark.parametrize("models", [[(LAZY,)], [(COLD,)], [(FAILED, LAZY)], []])
def test_what_waits_for_its_model_counts_as_answered(models):
    assert overall(models) == "ready"


def test_a_model_that_is_loaded_with_the_server_is_waited_for():
    assert overall([(READY,), (FIRST_LOAD,)]) == "starting"
    assert overall([(READY,), (FAILED, FIRST_LOAD)]) == "starting"


def test_a_model_whose_other_target_answers_is_not_waited_for():
    assert overall([(READY, FIRST_LOAD)]) == "ready"


def test_a_server_that_can_serve_no_model_is_not_ready_and_says_whether_that_will_pass():
    assert overall([(FAILED,), (FAILED, FAILED)]) == "failed"
    assert overall([(FAILED,), (IMPATIENT,)]) == "starting"


def entered(state, *, lazy, patient=True, before=()):
    child = ChildSupervisor("child", ChildCommand(argv=("true",)), lazy=lazy)
    upstream = ChildUpstream(child, connections=1, patient=patient)
    for passed in (*before, state):
        child._enter(passed, "so it is")
    return upstream.health()


async def test_a_child_that_starts_says_whether_the_server_is_to_wait_for_it():
    """docs/operate.md: 503 while a model with `load: start` loads for the first time, not when it comes back."""
    assert entered("starting", lazy=False).first_load
    assert entered("backing_off", lazy=False).first_load
    assert not entered("starting", lazy=True).first_load
    assert not entered("starting", lazy=False, before=("ready",)).first_load
    assert not entered("starting", lazy=False, before=("failed",)).first_load
    assert entered("starting", lazy=True).waited_for
    assert not entered("starting", lazy=True, patient=False).waited_for
