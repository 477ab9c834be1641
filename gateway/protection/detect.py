"""Detection: everything of certain kinds that is in a text, with exact places. What is done about it is not decided here."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.protection.addresses import emails, networks
from gateway.protection.credentials import credentials
from gateway.protection.finding import KINDS, Finding, settled
from gateway.protection.json_escapes import readings
from gateway.protection.lettered_ids import lettered_ids
from gateway.protection.numbers import numbers
from gateway.protection.phones import bracketed, international

SHORTEST = 6
"""Characters of the shortest text that can hold anything."""


def detect(text: str, kinds: frozenset[str] = KINDS, *, key: str = "") -> list[Finding]:
    """Find what is in `text`, in order and without overlaps.

    `key` is the name under which the text stood in an object ("ssn": "…"): it counts as a word before the text. The cost is
    linear in the text, hostile or not; a text in plain ASCII is read as it is, any other is made plain first. One with the
    escapes of JSON is read twice, as it is and without them.
    """
    if len(text) < SHORTEST:
        return []
    return settled(
        Finding(kind, *reading.span(start, end))
        for reading in readings(text)
        for kind, start, end in _found(reading.text, key, kinds)
        if kind in kinds
    )


def _found(text: str, key: str, kinds: frozenset[str]) -> Iterator[Finding]:
    if "email" in kinds and "@" in text:
        yield from emails(text)
    if kinds & _OF_DIGITS:
        yield from numbers(text, key)
    if "phone" in kinds:
        yield from international(text)
        if "(" in text:
            yield from bracketed(text)
    if kinds & _OF_LETTERS:
        yield from lettered_ids(text)
    if kinds & _OF_NETWORKS:
        yield from networks(text)
    if kinds & _OF_SECRETS:
        yield from credentials(text, key)


_OF_NETWORKS = frozenset({"ip", "mac"})
_OF_LETTERS = frozenset({"iban", "uk_nino", "es_dni", "it_codice_fiscale", "fi_hetu", "fr_nir"})
_OF_DIGITS = KINDS - _OF_NETWORKS - {"email", "iban", "uk_nino", "es_dni", "it_codice_fiscale", "fi_hetu"}
_OF_SECRETS = frozenset({"api_key", "jwt", "password", "private_key", "url_credentials"})
