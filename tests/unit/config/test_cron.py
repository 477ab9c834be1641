"""Cron expressions mean the times that POSIX's crontab says, also where clocks are changed."""

import datetime as dt
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from gateway.config.cron import parse_cron, times_after

VIENNA = ZoneInfo("Europe/Vienna")


def times(text, after, count=4, zone=VIENNA):
    start = dt.datetime.fromisoformat(after).replace(tzinfo=zone).timestamp()
    found = islice(times_after(parse_cron(text), zone, start), count)
    return [dt.datetime.fromtimestamp(time, zone).isoformat()[:16] for time in found]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 9 * * 1-5", "2026-11-20T10:00", ["2026-11-23T09:00", "2026-11-24T09:00"]),
        ("*/20 8 * * *", "2026-11-20T08:20", ["2026-11-20T08:40", "2026-11-21T08:00"]),
        ("5/20 0 1 jan,JUL *", "2026-11-20T08:20", ["2027-01-01T00:05", "2027-01-01T00:25"]),
        ("0 0 31 * *", "2026-11-20T10:00", ["2026-12-31T00:00", "2027-01-31T00:00"]),
        ("0 0 29 2 *", "2026-11-20T10:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 13 * fri", "2026-11-12T10:00", ["2026-11-13T00:00", "2026-11-20T00:00"]),
        ("0 0 * * 7", "2026-11-20T10:00", ["2026-11-22T00:00", "2026-11-29T00:00"]),
        ("0 0 * * sun", "2026-11-20T10:00", ["2026-11-22T00:00", "2026-11-29T00:00"]),
    ],
)
def test_an_expression_means_its_times(text, after, expected):
    assert times(text, after, len(expected)) == expected


def test_a_time_that_the_clock_skips_comes_at_the_first_moment_after_the_gap():
    assert times("30 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29T03:00", "2026-03-30T02:30"]


def test_a_time_that_comes_twice_is_taken_once():
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["2026-10-25T02:30", "2026-10-26T02:30"]


def test_what_follows_the_clock_comes_as_often_as_it_shows_it():
    assert times("30 * * * *", "2026-10-25T01:00", 4) == [
        "2026-10-25T01:30", "2026-10-25T02:30", "2026-10-25T02:30", "2026-10-25T03:30",
    ]  # fmt: skip
    assert times("*/30 * * * *", "2026-03-29T01:00", 2) == ["2026-03-29T01:30", "2026-03-29T03:00"]


def test_every_day_of_a_year_has_its_time_once_whatever_the_clocks_do():
    for zone in ("Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"):
        found = times("30 0 * * *", "2026-01-01T00:00", 365, ZoneInfo(zone))
        assert len({time[:10] for time in found}) == 365, zone


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", "minute: '60' is no number from 0 to 59"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of week"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "no step"),
        ("a * * * *", "no number"),
        ("1,,2 * * * *", "no number"),
        ("0 0 31 2 *", "no such day ever comes"),
        ("²² * * * *", "no number"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text, says):
    with pytest.raises(ValueError, match=says):
        parse_cron(text)
