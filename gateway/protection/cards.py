"""Payment card numbers: issuer ranges, lengths, and the check digit. Sources: ISO/IEC 7812, the networks' published ranges."""

from __future__ import annotations

from typing import Final

from gateway.protection.checksums import luhn

# (first and last prefix, lengths). Visa's 13 digits are history, and today are article numbers.
_RANGES: Final = (
    (4, 4, (16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),
    (36, 36, (14, 16, 19)),  # Diners Club
    (38, 39, (14, 16)),
    (300, 305, (14, 16)),
    (6011, 6011, (16, 19)),  # Discover
    (644, 649, (16, 19)),
    (65, 65, (16, 19)),
    (3528, 3589, (16, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (81, 81, (16, 17, 18, 19)),
    (5018, 5018, (13, 15, 16, 18, 19)),  # Maestro
    (5020, 5020, (13, 15, 16, 18, 19)),
    (5038, 5038, (13, 15, 16, 18, 19)),
    (5893, 5893, (13, 15, 16, 18, 19)),
    (6304, 6304, (13, 15, 16, 18, 19)),
    (6759, 6763, (13, 15, 16, 18, 19)),
    (2200, 2204, (16, 19)),  # Mir
    (508500, 508999, (16,)),  # RuPay
    (606985, 607984, (16,)),
)


def is_card(digits: str) -> bool:
    """Whether digits, without separators, are a card number that could have been issued."""
    size = len(digits)
    if not 13 <= size <= 19 or len(set(digits)) == 1 or not luhn(digits):
        return False
    return any(size in lengths and first <= int(digits[: len(str(first))]) <= last for first, last, lengths in _RANGES)
