"""What a caller asks of the cache: every form of it, and a clear error for what makes no sense."""

import pytest

from gateway.cache.wishes import wish_of
from gateway.core.cached import CacheWish
from gateway.core.errors import InvalidRequest


def headers(**given):
    return {name.replace("_", "-").encode(): value.encode() for name, value in given.items()}


@pytest.mark.parametrize(
    ("given", "option", "wish"),
    [
        ({}, {}, CacheWish()),
        ({"x_switchgear_cache_mode": "off"}, None, CacheWish(mode="off")),
        ({"x_switchgear_cache_mode": " READ "}, None, CacheWish(mode="read")),
        ({"x_switchgear_cache_ttl": "60"}, {"ttl": 5}, CacheWish(ttl=60.0)),
        ({"x_switchgear_cache_namespace": "a/b"}, None, CacheWish(namespace="a/b")),
        ({"x_switchgear_cache_threshold": "0.9"}, {"threshold": 0.95}, CacheWish(threshold=0.95)),
        ({}, {"mode": "write", "ttl": 1.5, "namespace": "n", "threshold": 1, "max_age": 0},
         CacheWish(mode="write", ttl=1.5, namespace="n", threshold=1.0, max_age=0.0)),
        ({"cache_control": "no-cache"}, None, CacheWish(mode="write")),
        ({"cache_control": "no-store"}, None, CacheWish(mode="off")),
        ({"cache_control": "no-store, no-cache"}, None, CacheWish(mode="off")),
        ({"cache_control": "no-cache, No-Store"}, None, CacheWish(mode="off")),
        ({"cache_control": 'max-age="30"'}, None, CacheWish(max_age=30.0)),
        ({"cache_control": "max-age=30"}, {"max_age": 10}, CacheWish(max_age=10.0)),
        ({"cache_control": "max-age=soon, private"}, None, CacheWish()),
        ({"cache_control": "no-cache"}, {"mode": "read"}, CacheWish(mode="off")),
        ({"cache_control": "no-store"}, {"mode": "on"}, CacheWish(mode="off")),
    ],
    ids=str,
)  # fmt: skip
def test_wishes_are_understood_and_all_of_them_hold(given, option, wish):
    assert wish_of(headers(**given), option) == wish


def test_a_bound_is_told_in_plain_digits():
    with pytest.raises(InvalidRequest, match="above 0 and at most 31536000"):
        wish_of({}, {"ttl": 1e12})


def test_who_says_nothing_wishes_nothing():
    assert wish_of({}, None) is None


@pytest.mark.parametrize(
    ("given", "option", "param"),
    [
        ({"x_switchgear_cache_mode": "maybe"}, None, "x-switchgear-cache-mode"),
        ({"x_switchgear_cache_ttl": "0"}, None, "x-switchgear-cache-ttl"),
        ({"x_switchgear_cache_ttl": "nan"}, None, "x-switchgear-cache-ttl"),
        ({"x_switchgear_cache_ttl": "a day"}, None, "x-switchgear-cache-ttl"),
        ({"x_switchgear_cache_ttl": "1e300"}, None, "x-switchgear-cache-ttl"),
        ({"x_switchgear_cache_namespace": ""}, None, "x-switchgear-cache-namespace"),
        ({"x_switchgear_cache_namespace": "a b"}, None, "x-switchgear-cache-namespace"),
        ({"x_switchgear_cache_threshold": "1.1"}, None, "x-switchgear-cache-threshold"),
        ({}, "off", "cache"),
        ({}, {"mood": "on"}, "cache.mood"),
        ({}, {"mode": "maybe"}, "cache.mode"),
        ({}, {"mode": ["on"]}, "cache.mode"),
        ({}, {"ttl": True}, "cache.ttl"),
        ({}, {"ttl": "60"}, "cache.ttl"),
        ({}, {"ttl": -1}, "cache.ttl"),
        ({}, {"max_age": -1}, "cache.max_age"),
        ({}, {"namespace": "x" * 129}, "cache.namespace"),
        ({}, {"namespace": 7}, "cache.namespace"),
        ({}, {"threshold": 2}, "cache.threshold"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_name(given, option, param):
    with pytest.raises(InvalidRequest) as caught:
        wish_of(headers(**given), option)

    assert caught.value.param == param
