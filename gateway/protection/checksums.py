"""Check digits: whether a number can be what it seems to be. Every function takes digits (or letters) without separators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# The bytes of digits -> what a digit counts in every second place.
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))

# The dihedral group of order 10, and the permutation (Verhoeff 1969).
_VERHOEFF_PRODUCT: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_VERHOEFF_PERMUTATION: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    said = digits.encode()
    singles = said[-1::-2]
    total = sum(singles) - len(singles) * ord("0") + sum(said[-2::-2].translate(_DOUBLED))
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff's scheme, as Aadhaar numbers have it."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_PRODUCT[check][_VERHOEFF_PERMUTATION[place % 8][int(digit)]]
    return check == 0


def mod_97_10(text: str) -> bool:
    """ISO/IEC 7064, MOD 97-10, over digits and capital letters (A is 10)."""
    return int("".join(str(int(char, 36)) for char in text)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Give the sum of digits times weights, as far as the shorter of the two goes."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def ean(digits: str) -> bool:
    """GS1 check digit (EAN-13), as Swiss AHV numbers have it."""
    return weighted(digits, (1, 3) * 7) % 10 == 0
