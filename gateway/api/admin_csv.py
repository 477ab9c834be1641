"""Tables as CSV (RFC 4180) that is safe to open in a spreadsheet, for who asks for it. It knows cells, not what they mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.api.plain import Document

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def wanted(accept: bytes, named: str | None) -> bool:
    """Whether CSV is asked for: by the parameter `format` where there is one, else by the header `accept`."""
    if named is not None:
        return named == "csv"
    return accept.partition(b";")[0].strip().lower() == b"text/csv"


def document(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Document:
    """Give a table as an answer that a browser keeps as a file."""
    attachment = (b"content-disposition", f'attachment; filename="{name}.csv"'.encode())
    return Document(body=table(columns, rows), content_type=CONTENT_TYPE, headers=(attachment,))


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Give the rows with a line of column names. What is missing is an empty cell: zero is not missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    """Give a cell. A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    # A spreadsheet skips blanks before it looks.
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text
