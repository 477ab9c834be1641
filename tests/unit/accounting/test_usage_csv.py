"""Usage as CSV: exact money, and no cell that a spreadsheet would run."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.usage_csv import dollars, encode_usage, inert
from gateway.stores.ledger import UsageRow


def usage(*group, cost_nano=1):
    return UsageRow(
        group=group, calls=1, errors=2, input=3, cache_read=4, cache_write=5, cache_write_1h=6, output=7, reasoning=8,
        cost_nano=cost_nano, unpriced=9, uncounted=10, estimated=11,
    )  # fmt: skip


def test_a_row_has_a_column_for_each_division_and_each_figure():
    text = encode_usage(("day", "tag:project"), [usage("2026-11-21", 'x, "y"\nz', cost_nano=1_234_567)])
    header, row = csv.reader(io.StringIO(text, newline=""))

    assert dict(zip(header, row, strict=True)) == {
        "day": "2026-11-21", "tag:project": 'x, "y"\nz', "calls": "1", "errors": "2", "input": "3", "cache_read": "4",
        "cache_write": "5", "cache_write_1h": "6", "output": "7", "reasoning": "8", "cost": "0.001234567", "unpriced": "9",
        "uncounted": "10", "estimated": "11",
    }  # fmt: skip


@given(st.integers(-(10**18), 10**18))
def test_money_is_written_exactly(nano):
    assert Decimal(dollars(nano)) * 10**9 == nano


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_could_be_a_formula_is_text(cell):
    assert inert(cell) == f"'{cell}"
    assert f"'{cell[0]}" in encode_usage(("team",), [usage(cell)])
