"""Rows say what a record says, unknown stays unknown, and a call that nobody finished has a row as well."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.ledger_lines import decode_lines, encode_opened, encode_row
from gateway.accounting.ledger_rows import interrupted_row, opened_of, row_of, rows_beside
from gateway.core.record import Beside
from gateway.core.usage import Usage
from gateway.stores.ledger import LedgerRow
from tests.unit.accounting.memory_ledger import NOW, TARGETS, OneDollarAToken, call, record


def test_a_row_says_what_the_record_says():
    usage = Usage(input=1, cache_read=2, cache_write=3, cache_write_1h=4, output=5, reasoning=6, estimated=True)
    row = row_of(record(1, usage=usage, error="upstream_timeout", status=504))

    assert (row.id, row.tenant, row.team, row.user, row.key) == (record(1).id, "acme", "blue", "ann", "key_7")
    assert (row.input, row.cache_read, row.cache_write, row.cache_write_1h, row.output, row.reasoning) == (
        1,
        2,
        3,
        4,
        5,
        6,
    )
    assert (row.estimated, row.cost_nano, row.prices, row.tags) == (True, 15 * 10**9, "2026-10-21", {"project": "x"})
    assert (row.status, row.error, row.finish_reason, row.kind) == (504, "upstream_timeout", "stop", "call")


def test_what_nobody_counted_is_none_and_not_zero():
    row = row_of(record(1, usage=None, cost_nano=None))

    assert (row.input, row.output, row.cost_nano, row.estimated) == (None, None, None, False)
    assert row_of(record(1, cost_nano=0)).cost_nano == 0


def test_a_count_that_cannot_be_true_is_unknown():
    """One upstream that says it used 10^30 tokens would make every sum fail."""
    row = row_of(record(1, usage=Usage(input=10**30)))

    assert (row.input, row.output, row.cost_nano) == (None, None, None)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("generate", "call"),
        ("embed", "embedding"),
        ("rerank", "rerank"),
        ("moderate", "moderation"),
        ("count_tokens", "count"),
    ],
)
def test_every_operation_has_its_kind(operation, kind):
    assert row_of(record(1, operation=operation)).kind == kind
    assert opened_of(call(1, operation=operation), TARGETS, NOW).kind == kind


def test_an_agents_row_names_it():
    assert row_of(record(1, model="agent/helper")).agent == "helper"
    assert row_of(record(1, tags=(("agent", "helper"),))).agent == "helper"
    assert row_of(record(1)).agent == ""


def test_a_row_names_the_run_that_made_its_call_however_it_ended():
    beside = (Beside("up/slow", "hedge", Usage(input=7), 70),)
    made = record(1, run="resp_1", beside=beside)
    opened = opened_of(call(1, run="resp_1"), TARGETS, NOW)
    (line,) = decode_lines(encode_opened(opened))

    assert [row.run for row in (row_of(made), *rows_beside(made))] == ["resp_1", "resp_1"]
    assert line.opened == opened
    assert interrupted_row(opened, OneDollarAToken()).run == "resp_1"
    assert (row_of(record(1)).run, interrupted_row(opened_of(call(1), TARGETS, NOW), OneDollarAToken()).run) == ("", "")


def test_a_call_that_its_process_did_not_survive_is_estimated_and_priced():
    row = interrupted_row(opened_of(call(1), TARGETS, NOW), OneDollarAToken())

    assert (row.error, row.status, row.estimated) == ("interrupted", 500, True)
    assert (row.input, row.output, row.cost_nano, row.prices) == (100, 0, 100 * 10**9, "2026-10-21+test")
    assert (row.provider, row.served, row.route) == ("up", "big", TARGETS)
    assert (row.tenant, row.user, row.tags, row.started_at) == ("acme", "ann", {"project": "x"}, NOW)


def test_an_interrupted_call_that_is_not_made_of_tokens_has_none():
    row = interrupted_row(opened_of(call(1, operation="moderate"), TARGETS, NOW), OneDollarAToken())

    assert (row.input, row.cost_nano, row.estimated) == (None, None, False)


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_a_line_is_read_as_it_was_written_whatever_the_text(text, tags):
    row = LedgerRow(id=text, kind="call", started_at=1.5, status=200, model=text, tags=tags)
    opened = opened_of(call(1, model=text), (text,), NOW)
    data = encode_opened(opened) + encode_row(row)

    first, second = decode_lines(data)
    assert (first.opened, second.row) == (opened, row)
    assert data.count(b"\n") == 2


def test_half_a_surrogate_pair_is_replaced():
    (line,) = decode_lines(encode_row(row_of(record(1, model="a\ud83e", tags=(("\ud83e", "b"),)))))

    assert (line.row.model, line.row.tags) == ("a?", {"?": "b"})


def test_a_line_cut_at_any_byte_is_left_out_and_the_others_are_read():
    """A killed process or a full disk."""
    whole = encode_row(row_of(record(1)))
    last = encode_row(row_of(record(2)))

    for cut in range(len(last)):
        (line,) = decode_lines(whole + last[:cut])
        assert line.row == row_of(record(1))


@given(st.binary(max_size=200).filter(lambda data: b"\n" not in data))
def test_nonsense_is_a_line_with_nothing_in_it(nonsense):
    lines = list(decode_lines(nonsense + b"\n" + encode_row(row_of(record(1)))))

    assert lines[-1].row == row_of(record(1))
    assert len(lines) == 1 + bool(nonsense)


def test_a_newer_programs_line_is_read_as_far_as_it_is_known():
    values = [*msgspec.structs.astuple(row_of(record(1))), "a field of next year"]

    (line,) = decode_lines(b"r" + msgspec.json.encode(values) + b"\n")
    assert line.row == row_of(record(1))


def test_what_a_call_used_beside_its_answer_has_rows_of_its_own():
    whole = record(
        1,
        beside=(
            Beside("up/slow", "hedge", Usage(input=7, estimated=True), 70),
            Beside("up/judge", "judge", Usage(input=3, output=1), None),
        ),
        error="upstream_broken",
        status=502,
    )

    slow, judge = rows_beside(whole)

    assert (slow.id, slow.parent, slow.kind) == (f"{whole.id}.1", whole.id, "hedge")
    assert (slow.provider, slow.served, slow.input, slow.estimated, slow.cost_nano) == ("up", "slow", 7, True, 70)
    assert (judge.id, judge.kind, judge.served, judge.output, judge.cost_nano) == (
        f"{whole.id}.2",
        "judge",
        "judge",
        1,
        None,
    )
    assert (slow.error, slow.status, slow.tenant, slow.key) == ("", 200, "acme", "key_7")
    assert row_of(whole).cost_nano == whole.cost_nano
