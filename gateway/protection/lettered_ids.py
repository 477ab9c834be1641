"""Finds ids that mix letters and digits: IBAN, and the national ids of Britain, Spain, Italy, Finland and Corsica."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.protection.checksums import mod_97_10
from gateway.protection.finding import Finding
from gateway.protection.national_ids import CHECKS

# Country -> length (SWIFT's IBAN registry, release 99).
IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip

# Each begins at its first digit, because text has few: what must stand before it is looked up backwards.
_IBAN: Final = re.compile(
    r"[0-9](?<=[A-Za-z]{2}[0-9])(?<![0-9A-Za-z_][A-Za-z]{2}[0-9])[0-9](?:[ -]?[0-9A-Za-z]){11,38}"
)
_NINO: Final = re.compile(
    r"[0-9](?:(?<=[A-Za-z]{2}[0-9])|(?<=[A-Za-z]{2} [0-9]))[0-9][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[A-Da-d](?![0-9A-Za-z_])"
)
_NINO_LETTERS: Final = re.compile(r"(?<![0-9A-Za-z_])[A-Za-z]{2} ?\Z")
_DNI: Final = re.compile(
    r"[0-9XYZxyz](?<![0-9A-Za-z_][0-9XYZxyz])(?<![0-9][.,][0-9])-?[0-9]{7}[ -]?[A-Za-z](?![0-9A-Za-z_])"
)
_FISCAL: Final = re.compile(
    r"[A-Za-z](?<![0-9A-Za-z_][A-Za-z])[A-Za-z]{5}[0-9LMNPQRSTUVlmnpqrstuv]{2}[A-EHLMPRSTa-ehlmprst]"
    r"[0-9LMNPQRSTUVlmnpqrstuv]{2}[A-Za-z][0-9LMNPQRSTUVlmnpqrstuv]{3}[A-Za-z](?![0-9A-Za-z_])"
)
_HETU: Final = re.compile(
    r"[0-3](?<![0-9A-Za-z_][0-9])[0-9][01][0-9]{3}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Za-z](?![0-9A-Za-z_])"
)
_NIR_CORSICA: Final = re.compile(
    r"[12](?<![0-9A-Za-z_][0-9])[ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?2[AB][ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}(?![0-9A-Za-z_])"
)
_PATTERNS: Final = (
    ("es_dni", _DNI),
    ("it_codice_fiscale", _FISCAL),
    ("fr_nir", _NIR_CORSICA),
)
_DROP: Final = str.maketrans("", "", " -")


def lettered_ids(text: str) -> Iterator[Finding]:
    """Find ids of letters and digits in plain text."""
    yield from _ibans(text)
    yield from _ninos(text)
    for kind, pattern in _PATTERNS:
        check = CHECKS[kind]
        for match in pattern.finditer(text):
            if check(match[0].translate(_DROP).upper()):
                yield Finding(kind, match.start(), match.end())
    for match in _HETU.finditer(text):
        if CHECKS["fi_hetu"](match[0].upper()):
            yield Finding("fi_hetu", match.start(), match.end())


def _ibans(text: str) -> Iterator[Finding]:
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        written = text[start : match.end()]
        length = IBAN_LENGTHS.get(written[:2].upper())
        end = None if length is None else _end_of(written, length)
        if end is None:
            continue
        following = text[start + end : start + end + 1]
        number = written[:end].translate(_DROP).upper()
        if not (following.isalnum() or following == "_") and mod_97_10(number[4:] + number[:4]):
            yield Finding("iban", start, start + end)


def _ninos(text: str) -> Iterator[Finding]:
    for match in _NINO.finditer(text):
        letters = _NINO_LETTERS.search(text[max(0, match.start() - 4) : match.start()])
        if letters is None:
            continue
        start = match.start() - len(letters[0])
        if CHECKS["uk_nino"](text[start : match.end()].translate(_DROP).upper()):
            yield Finding("uk_nino", start, match.end())


def _end_of(written: str, length: int) -> int | None:
    """Give where the first `length` letters and digits end, None where there are fewer."""
    seen = 0
    for index, char in enumerate(written):
        seen += char not in " -"
        if seen == length:
            return index + 1
    return None
