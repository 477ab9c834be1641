"""What a caller named cannot run in the spreadsheet of whoever pays."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.admin_csv import table


def read(data):
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "|cmd", "%0A=1"])
def test_a_formula_is_text(text):
    assert read(table(["a"], [{"a": text}]))[1] == [f"'{text}"]


def test_figures_stay_figures_and_what_is_missing_stays_empty():
    rows = read(table(["n", "f", "none", "flag"], [{"n": 0, "f": 0.5, "none": None, "flag": True}]))

    assert rows == [["n", "f", "none", "flag"], ["0", "0.5", "", "true"]]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_comes_back_as_it_was_or_with_an_apostrophe(text):
    cell = read(table(["a", "b"], [{"a": text, "b": "end"}]))[1]

    assert cell in ([text, "end"], [f"'{text}", "end"])
    assert not cell[0].lstrip().startswith(("=", "+", "-", "@"))
