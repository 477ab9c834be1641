"""Reads a provider's invoice: CSV or JSON, whose columns are named. Pure: it opens no file, and compares nothing.

An invoice is money, so what could be read in two ways is refused, with its line.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from gateway.accounting.price import NANO

_MOST_CELL = 1000
_MOST = Decimal(10**15)
_SEPARATORS = ",;\t"
_FIGURE = re.compile(
    r"(?P<sign>-?)\$?(?P<whole>\d{1,3}(?:,\d{3})+|\d*)(?P<rest>(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)", re.ASCII
)
_INSTANT = re.compile(r"\d{9,10}", re.ASCII)


class InvoiceUnreadable(Exception):
    """The invoice is not what its columns promise; the text says in which line."""


class InvoiceColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The names of an invoice's columns. An empty name is a column that the invoice has not.

    `date` holds days or times in ISO 8601, of which the day counts, or seconds since 1970 (UTC). Input tokens include cached
    ones, as invoices count them. In JSON, a dot leads into an object: `usage.input_tokens`.
    """

    date: str = "date"
    model: str = "model"
    input: str = "input_tokens"
    output: str = "output_tokens"
    cost: str = "cost"


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an invoice: a day, a model, its tokens (None where it does not say), and nano-dollars."""

    day: str
    model: str
    input: int | None
    output: int | None
    cost_nano: int | None


Cell = Callable[[str], str]
"""Gives the text under a column's name, empty where there is none."""


def read_invoice(text: str, columns: InvoiceColumns) -> tuple[InvoiceLine, ...]:
    """Read an invoice: JSON where it begins with a bracket or a brace, else CSV. Raises InvoiceUnreadable."""
    return _read_json(text, columns) if text.lstrip()[:1] in ("[", "{") else _read_csv(text, columns)


def _read_csv(text: str, columns: InvoiceColumns) -> tuple[InvoiceLine, ...]:
    """Read CSV, whose first line names the columns; what separates cells is what that line has most of."""
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=max(_SEPARATORS, key=head.count))
    try:
        _require(set(reader.fieldnames or ()), columns)
        return tuple(
            _line(_csv_cell(cells), columns, f"Line {reader.line_num}") for cells in reader if any(cells.values())
        )
    except csv.Error as error:
        raise InvoiceUnreadable(f"Line {reader.line_num} is no CSV: {error}.") from None


def _read_json(text: str, columns: InvoiceColumns) -> tuple[InvoiceLine, ...]:
    """Read an array of objects, or an object that holds one such array."""
    try:
        document = msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvoiceUnreadable(f"The invoice is no JSON: {error}.") from None
    if isinstance(document, dict):
        arrays = [value for value in document.values() if isinstance(value, list)]
        document = arrays[0] if len(arrays) == 1 else None
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise InvoiceUnreadable("The invoice's JSON is neither an array of objects nor an object with one such array.")
    names = msgspec.structs.astuple(columns)
    _require({name for name in names if any(_reach(entry, name) is not None for entry in document)}, columns)
    return tuple(_line(_json_cell(entry), columns, f"Entry {number}") for number, entry in enumerate(document, start=1))


def _require(present: set[str], columns: InvoiceColumns) -> None:
    if missing := [name for name in msgspec.structs.astuple(columns) if name and name not in present]:
        raise InvoiceUnreadable(f"The invoice has no column {', '.join(map(repr, missing))}.")


def _csv_cell(cells: Mapping[str, str | None]) -> Cell:
    return lambda name: (cells.get(name) or "").strip()


def _json_cell(entry: Mapping[str, Any]) -> Cell:
    def cell(name: str) -> str:
        value = _reach(entry, name)
        return "" if value is None else str(value).strip()

    return cell


def _reach(entry: Mapping[str, Any], name: str) -> Any:
    """Give what a name leads to; None where there is nothing."""
    if name in entry:
        return entry[name]
    found: Any = entry
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _line(cell: Cell, columns: InvoiceColumns, place: str) -> InvoiceLine:
    def text(name: str) -> str:
        found = cell(name) if name else ""
        if len(found) > _MOST_CELL:
            raise InvoiceUnreadable(f"{place}: the cell of {name!r} is longer than {_MOST_CELL} characters.")
        return found

    def figure(name: str) -> Decimal | None:
        found = text(name)
        value = _figure(found) if found else None
        if found and value is None:
            raise InvoiceUnreadable(
                f"{place}: {name!r} holds no number that could be billed, such as 1,234.56 or $0.65."
            )
        return value

    day = _day(text(columns.date))
    if day is None:
        raise InvoiceUnreadable(f"{place}: {columns.date!r} holds no date like 2026-11-21.")
    cost, spent, made = figure(columns.cost), figure(columns.input), figure(columns.output)
    return InvoiceLine(
        day=day,
        model=text(columns.model),
        input=None if spent is None else int(spent),
        output=None if made is None else int(made),
        cost_nano=None if cost is None else round(cost * NANO),
    )


def _day(text: str) -> str | None:
    try:
        if _INSTANT.fullmatch(text):
            return dt.datetime.fromtimestamp(int(text), dt.UTC).date().isoformat()
        return dt.datetime.fromisoformat(text).date().isoformat()
    except (ValueError, OverflowError):
        return None


def _figure(text: str) -> Decimal | None:
    """Read a figure, None for what is none. A comma parts thousands: 0,65 is no figure, and 1,234 is not 1.234."""
    found = _FIGURE.fullmatch(text)
    if found is None or not (found["whole"] or found["rest"].startswith(".")):
        return None
    value = Decimal(found["sign"] + (found["whole"].replace(",", "") or "0") + found["rest"])
    return value if abs(value) <= _MOST else None
