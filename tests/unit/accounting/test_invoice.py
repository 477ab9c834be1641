"""An invoice is read as it was meant, CSV or JSON; what could be read in two ways is refused with its line."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.invoice import InvoiceColumns, InvoiceLine, InvoiceUnreadable, read_invoice

COLUMNS = InvoiceColumns()
DAY = "2026-11-20"
HEAD = "date,model,input_tokens,output_tokens,cost\n"


def one(**changes):
    plain = {"day": DAY, "model": "gpt", "input": 1000, "output": 500, "cost_nano": 650_000_000}
    return InvoiceLine(**(plain | changes))


def test_csv_is_read_by_the_names_of_its_columns():
    text = (
        'Usage Date,Product,"Tokens, in",Out,Amount (USD)\r\n'
        '2026-11-20T23:00:00Z,gpt,"1,000",500,"$1,234.000000001"\r\n,,,,\r\n'
    )
    columns = InvoiceColumns(date="Usage Date", model="Product", input="Tokens, in", output="Out", cost="Amount (USD)")

    assert read_invoice(text, columns) == (one(cost_nano=1_234_000_000_001),)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_separates_cells_is_found_from_the_first_line(separator):
    rows = [["date", "model", "input_tokens", "output_tokens", "cost"], [DAY, "gpt", "1000", "500", "0.65"]]

    assert read_invoice("\n".join(separator.join(row) for row in rows), COLUMNS) == (one(),)


def test_json_is_an_array_or_an_object_that_holds_one_and_a_dot_leads_into_an_object():
    entries = [{"start": 1795132800, "model": "gpt", "usage": {"in": 1000, "out": 500}, "amount": {"value": 0.65}}]
    columns = InvoiceColumns(date="start", input="usage.in", output="usage.out", cost="amount.value")

    assert read_invoice(json.dumps(entries), columns) == (one(),)
    assert read_invoice(json.dumps({"object": "page", "data": entries, "has_more": False}), columns) == (one(),)


def test_what_an_entry_does_not_say_is_not_zero():
    entries = [{"date": DAY, "model": "gpt", "input_tokens": 1000, "output_tokens": 500, "cost": None}]
    entries.append(entries[0] | {"cost": "0.65", "input_tokens": None})

    assert read_invoice(json.dumps(entries), COLUMNS) == (one(cost_nano=None), one(input=None))


def test_a_discount_is_a_negative_amount():
    text = f"{HEAD}{DAY},gpt,,,-$0.25\n"

    assert read_invoice(text, COLUMNS) == (one(input=None, output=None, cost_nano=-250_000_000),)


@given(st.decimals(min_value=0, max_value=10**6, places=9))
def test_money_is_exact_in_both_forms(amount):
    nano = int(amount * 10**9)
    entry = f'[{{"date": "{DAY}", "model": "gpt", "input_tokens": 1, "output_tokens": 1, "cost": {amount:f}}}]'

    assert read_invoice(f"{HEAD}{DAY},gpt,1,1,{amount:f}\n", COLUMNS)[0].cost_nano == nano
    assert read_invoice(entry, COLUMNS)[0].cost_nano == nano
    assert Decimal(nano) / 10**9 == amount


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("date,model\n", "'input_tokens', 'output_tokens', 'cost'"),
        (f"{HEAD}yesterday,gpt,1,1,1\n", "Line 2: 'date' holds no date"),
        (f"{HEAD}{DAY},gpt,1,1,much\n", "Line 2: 'cost' holds no number"),
        (f"{HEAD}{DAY},gpt,1,1,1e400\n", "Line 2: 'cost' holds no number"),
        (f"{HEAD}{DAY},gpt,1,1,1e300\n", "Line 2: 'cost' holds no number"),
        (f'{HEAD}{DAY},gpt,1,1,"0,65"\n', "Line 2: 'cost' holds no number"),
        (f'{HEAD}{DAY},gpt,1,1,"1.234,56"\n', "Line 2: 'cost' holds no number"),
        (f"{HEAD}{DAY},gpt,1,1,€0.65\n", "Line 2: 'cost' holds no number"),
        (f"{HEAD}{DAY},gpt,NaN,1,1\n", "Line 2: 'input_tokens' holds no number"),
        (f'{HEAD}{DAY},"gpt,1,1,1\n', "no CSV"),
        (f"{HEAD}{DAY},{'x' * 2000},1,1,1\n", "longer than"),
        ("[1, 2]", "neither an array of objects"),
        ('{"a": [], "b": []}', "neither an array of objects"),
        ("[{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('[{"date": "2026-11-20"}]', "no column 'model', 'input_tokens'"),
        (
            '[{"date": "x", "model": "m", "input_tokens": 1, "output_tokens": 1, "cost": 1}]',
            "Entry 1: 'date' holds no date",
        ),
        (
            f'[{{"date": "{DAY}", "model": "m", "input_tokens": true, "output_tokens": 1, "cost": 1}}]',
            "Entry 1: 'input_tokens' holds no number",
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, words):
    with pytest.raises(InvoiceUnreadable, match=words):
        read_invoice(text, COLUMNS)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    for invoice in (text, f"{HEAD}{DAY},gpt,1,1,{text}", f"[{text}]"):
        with contextlib.suppress(InvoiceUnreadable):
            read_invoice(invoice, COLUMNS)
