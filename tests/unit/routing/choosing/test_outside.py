"""What tells calls apart that have the same body: of each rule the parts that look at who asks, when and how, by their outcome."""

from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.config.choosing_settings import RuleSettings
from gateway.config.rule_names import RULE_NAMES
from gateway.core.caller import Caller
from gateway.routing.choosing.call_facts import FINDERS, Facts, Surroundings
from gateway.routing.choosing.outside import OUTSIDE, outside_of
from tests.unit.routing.routing_doubles import call_of

NOON = 1_795_694_400.0  # 2026-11-26 12:00 UTC, a Thursday
ADA = Caller(id="key_1", kind="key", tenant="acme", user="ada", team="red", groups=("vip",), tags=(("env", "prod"),))
EVE = Caller(id="key_2", kind="key", tenant="acme", user="eve", team="blue", groups=("all",), tags=(("env", "test"),))
BOB = msgspec.structs.replace(EVE, user="bob")


def told(*conditions, wall=lambda: NOON):
    around = Surroundings(input_tokens=lambda call: 1, wall=wall, zone=ZoneInfo("UTC"))
    return outside_of([RuleSettings(when=when, use=("a/m",)) for when in conditions], around)


def made(caller=ADA, text="hi", **changes):
    return msgspec.structs.replace(call_of(messages=[{"role": "user", "content": text}]), caller=caller, **changes)


@pytest.mark.parametrize("condition", ["", "tokens > 10 and has_images", "text.contains('user')", "'x' in tools"])
def test_rules_that_look_at_the_body_alone_tell_nothing(condition):
    assert told(condition) is None


@pytest.mark.parametrize(
    "condition",
    [
        "user == 'ada'", "team == 'red'", "caller == 'key_1'", "'vip' in groups", "tags.env == 'prod'", "tags['env'] == 'prod'",
        "user.startswith('ad') or tokens > 5", "not (has_images or user == 'ada')", "len(groups) > 0 and user == 'ada'",
        "user in ['ada', 'ann']", "'\"' in user or user == \"ada\"",
    ],
)  # fmt: skip
def test_two_who_get_other_targets_are_told_apart_and_two_who_do_not_are_not(condition):
    outside = told(condition)

    assert outside(made()) != outside(made(EVE))
    assert outside(made(EVE)) == outside(made(BOB))
    assert outside(made()) == outside(made(text="something else"))


def test_where_a_part_mixes_in_the_body_the_fact_itself_counts():
    outside = told("user in text")

    assert len({outside(made(who)) for who in (ADA, EVE, BOB)}) == 3


def test_it_is_told_apart_whatever_the_body_makes_of_the_rest():
    """What a target is chosen by may be a later form of the call: its schema may have been put in after the key was made."""
    outside = told("wants_schema and user == 'ada'")

    assert outside(made()) != outside(made(EVE))


def test_the_time_counts_as_the_rule_sees_it():
    now = [NOON]
    outside = told("9 <= hour < 17 and weekday != 'sun'", wall=lambda: now[0])
    noon = outside(made())
    now[0] += 3600
    assert outside(made()) == noon
    now[0] += 5 * 3600
    assert outside(made()) != noon


def test_sessions_end_users_and_streams_are_told_apart():
    assert told("session == 's'")(made(session="s")) != told("session == 's'")(made())
    assert told("stream")(made(stream=True)) != told("stream")(made(stream=False))
    ada = call_of(messages=[], user="ada")
    assert told("end_user == 'ada'")(ada) != told("end_user == 'ada'")(call_of(messages=[]))


def test_every_fact_that_a_body_does_not_say_is_known_to_be_one():
    """A new fact that looks at anything but what is in the key has to be named here."""
    around = Surroundings(input_tokens=lambda call: 1, wall=lambda: NOON, zone=ZoneInfo("UTC"))
    later = Surroundings(input_tokens=lambda call: 1, wall=lambda: NOON + 31 * 3600 + 60, zone=ZoneInfo("UTC"))
    one = made(stream=False)
    other = made(EVE, stream=True, session="s")
    other.fields.update(user="u")
    differing = {name for name in RULE_NAMES if FINDERS[name](Facts(one, around)) != FINDERS[name](Facts(other, later))}

    assert differing == OUTSIDE
