"""What can be found in text: its kinds, their groups, and a place where one was found. It finds nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

NationalId: TypeAlias = Literal[
    "us_ssn", "uk_nino", "de_tax_id", "fr_nir", "es_dni", "it_codice_fiscale", "nl_bsn", "pl_pesel", "be_national_number",
    "se_personnummer", "fi_hetu", "br_cpf", "br_cnpj", "in_aadhaar", "ch_ahv",
]  # fmt: skip
Contact: TypeAlias = Literal["email", "phone"]
Financial: TypeAlias = Literal["card", "iban"]
Network: TypeAlias = Literal["ip", "mac"]
SecretKind: TypeAlias = Literal["api_key", "jwt", "password", "private_key", "url_credentials"]
Name: TypeAlias = Literal["person", "place", "organisation"]
Kind: TypeAlias = NationalId | Contact | Financial | Network | SecretKind | Name
Group: TypeAlias = Literal["all", "pii", "contact", "financial", "national_id", "network", "secrets", "names"]

_NATIONAL: Final = frozenset(get_args(NationalId))
_CONTACT: Final = frozenset(get_args(Contact))
_FINANCIAL: Final = frozenset(get_args(Financial))
_NETWORK: Final = frozenset(get_args(Network))
_SECRETS: Final = frozenset(get_args(SecretKind))
NAMES: Final = frozenset(get_args(Name))
_PII: Final = _NATIONAL | _CONTACT | _FINANCIAL | _NETWORK

GROUPS: Final[dict[str, frozenset[str]]] = {
    "all": _PII | _SECRETS,
    "pii": _PII,
    "contact": _CONTACT,
    "financial": _FINANCIAL,
    "national_id": _NATIONAL,
    "network": _NETWORK,
    "secrets": _SECRETS,
    "names": NAMES,
}
KINDS: Final = GROUPS["all"]
"""What detectors find; names need a model, and so are asked for by their own word."""


class Finding(NamedTuple):
    """Something of a kind at `text[start:end]`. It does not hold the value, so it may be logged."""

    kind: str
    start: int
    end: int


def members(name: str) -> frozenset[str]:
    """Give the kinds that a kind or a group stands for. Raises KeyError for any other word."""
    return frozenset({name}) if name in KINDS or name in NAMES else GROUPS[name]


def settled(findings: Iterable[Finding]) -> list[Finding]:
    """Give the findings in order without overlaps: of two that overlap a secret stays, else the longer, else the earlier.

    What an overlapped finding covers beyond the one that stays is added to it: nothing that was found is left in the open.
    """
    result: list[Finding] = []
    for found in sorted(findings, key=lambda found: (found.start, -found.end)):
        if not result or found.start >= result[-1].end:
            result.append(found)
            continue
        last = result[-1]
        kind = max(found, last, key=lambda one: (one.kind in _SECRETS, one.end - one.start, -one.start)).kind
        result[-1] = Finding(kind, last.start, max(last.end, found.end))
    return result
