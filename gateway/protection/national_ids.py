"""National identity and tax numbers: which digits can be one. Where in a text digits stand is `numbers`' business.

Sources: the rules of the issuing offices as collected in Wikipedia's "National identification number" and in python-stdnum,
each checked here against the numbers that the offices publish as examples (see the tests).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from gateway.protection.checksums import ean, luhn, mod_11_10, verhoeff, weighted

_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_CHARACTERS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_FISCAL_ODD: Final = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
         22, 25, 24, 23), strict=True)
)  # fmt: skip
_NINO_NEVER: Final = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_SSN_NEVER: Final = frozenset({"078051120", "219099999", "123456789"})  # printed on cards in shops, or in every example


def _is_date(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= _DAYS[int(month) - 1]


def us_ssn(digits: str) -> bool:
    """US social security number: no check digit, but areas, groups and serials that are never given (SSA, 2011)."""
    return (
        digits not in _SSN_NEVER
        and digits[0] != "9"
        and digits[:3] not in ("000", "666")
        and digits[3:5] != "00"
        and digits[5:] != "0000"
    )


def uk_nino(text: str) -> bool:
    """UK national insurance number, for example QQ123456C in form: two letters, six digits, A to D (HMRC, NIM39110)."""
    return text[0] not in "DFIQUV" and text[1] not in "DFIOQUV" and text[:2] not in _NINO_NEVER and text[8] in "ABCD"


def de_tax_id(digits: str) -> bool:
    """German tax id: one digit of the first ten comes twice or three times, at least one not at all; MOD 11,10."""
    counts = Counter(digits[:10]).values()
    repeated = [count for count in counts if count > 1]
    return digits[0] != "0" and len(repeated) == 1 and repeated[0] <= 3 and mod_11_10(digits)


def fr_nir(text: str) -> bool:
    """French social security number with its key; Corsica's departments are 2A and 2B (INSEE)."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    month = int(text[3:5])
    plausible = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50
    return text[0] in "123478" and plausible and 97 - int(number) % 97 == int(text[13:])


def es_dni(text: str) -> bool:
    """Spanish DNI (eight digits) or NIE (X, Y or Z and seven digits), and the check letter."""
    number = int(str("XYZ".index(text[0])) + text[1:8] if text[0] in "XYZ" else text[:8])
    return _DNI_LETTERS[number % 23] == text[8]


def it_codice_fiscale(text: str) -> bool:
    """Italian tax code of a person: 16 characters, the last one a check letter (D.M. 23/12/1976)."""
    total = sum(_FISCAL_ODD[char] for char in text[:15:2])
    total += sum(int(char) if char.isdigit() else ord(char) - 65 for char in text[1:15:2])
    return chr(65 + total % 26) == text[15]


def nl_bsn(digits: str) -> bool:
    """Dutch citizen service number: the test of eleven."""
    return digits != "000000000" and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pl_pesel(digits: str) -> bool:
    """Polish PESEL: date of birth, with the century in the month, and a check digit."""
    month = str(int(digits[2:4]) % 20)
    return _is_date(month, digits[4:6]) and weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def be_national_number(digits: str) -> bool:
    """Belgian national number: 97 less the rest by 97, for the years from 2000 with a 2 before it."""
    month = int(digits[2:4]) % 20
    number, key = int(digits[:9]), int(digits[9:])
    return month <= 12 and int(digits[4:6]) <= 31 and key in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def se_personnummer(digits: str) -> bool:
    """Swedish personal number, or co-ordination number (day plus 60), with or without the century."""
    short = digits[-10:]
    day = int(short[4:6])
    return _is_date(short[2:4], str(day - 60 if day > 60 else day)) and luhn(short)


def fi_hetu(text: str) -> bool:
    """Finnish personal identity code: ddmmyy, a sign for the century, three digits, a check character."""
    number = text[:6] + text[7:10]
    return _is_date(text[2:4], text[:2]) and _HETU_CHARACTERS[int(number) % 31] == text[10]


def br_cpf(digits: str) -> bool:
    """Brazilian CPF: two check digits, and not eleven times the same digit."""
    first = weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def br_cnpj(digits: str) -> bool:
    """Brazilian CNPJ: two check digits."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(digits[:12], weights[1:]) % 11
    second = weighted(digits[:13], weights) % 11
    expected = "".join("0" if rest < 2 else str(11 - rest) for rest in (first, second))
    return len(set(digits)) > 1 and digits[12:] == expected


def in_aadhaar(digits: str) -> bool:
    """Indian Aadhaar number: does not begin with 0 or 1, is no palindrome, Verhoeff's check digit (UIDAI)."""
    return digits[0] not in "01" and digits != digits[::-1] and verhoeff(digits)


def ch_ahv(digits: str) -> bool:
    """Swiss AHV number: 756, and the check digit of EAN-13."""
    return digits.startswith("756") and ean(digits)


CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "us_ssn": us_ssn,
    "uk_nino": uk_nino,
    "de_tax_id": de_tax_id,
    "fr_nir": fr_nir,
    "es_dni": es_dni,
    "it_codice_fiscale": it_codice_fiscale,
    "nl_bsn": nl_bsn,
    "pl_pesel": pl_pesel,
    "be_national_number": be_national_number,
    "se_personnummer": se_personnummer,
    "fi_hetu": fi_hetu,
    "br_cpf": br_cpf,
    "br_cnpj": br_cnpj,
    "in_aadhaar": in_aadhaar,
    "ch_ahv": ch_ahv,
}
"""Kind -> check. Each takes the number in capitals and without separators, of the right length and make-up."""
