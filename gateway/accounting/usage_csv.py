"""Usage as CSV for spreadsheets and chargeback. Money is decimal text; a cell never becomes a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from gateway.stores.ledger import UsageRow

_FIGURES = (
    "calls", "errors", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "cost", "unpriced",
    "uncounted", "estimated",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NANO_PLACES = 9


def encode_usage(by: Sequence[str], rows: Iterable[UsageRow]) -> str:
    """Write the rows of a usage query, whose `by` names the first columns. Lines end with CR LF (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*map(inert, by), *_FIGURES])
    for row in rows:
        writer.writerow(
            [
                *map(inert, row.group), row.calls, row.errors, row.input, row.cache_read, row.cache_write, row.cache_write_1h,
                row.output, row.reasoning, dollars(row.cost_nano), row.unpriced, row.uncounted, row.estimated,
            ]
        )  # fmt: skip
    return text.getvalue()


def dollars(nano: int) -> str:
    """Write nano-dollars as dollars, exactly: 1234567 is 0.001234567."""
    digits = f"{abs(nano):0{_NANO_PLACES + 1}d}"
    sign = "-" if nano < 0 else ""
    return f"{sign}{digits[:-_NANO_PLACES]}.{digits[-_NANO_PLACES:]}"


def inert(cell: str) -> str:
    """Give text that no spreadsheet runs as a formula (OWASP, CSV injection): what could be one begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
