"""Finds secrets: keys and tokens of known make, private keys, JWTs, credentials in addresses, and what is called a password.

Sources: the vendors' published prefixes (GitHub's and GitLab's secret scanning lists among them), RFC 7468, RFC 7519.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.protection.finding import Finding

_END: Final = r"(?![0-9A-Za-z_-])"
# What must be in a text for the pattern to be tried, and the pattern. A pattern begins at that text.
_KEYS: Final = tuple(
    (start, re.compile(r"(?<![0-9A-Za-z_])" + pattern))
    for start, pattern in (
        ("sk-sg-", r"sk-sg-[0-9A-Za-z_-]{16,256}"),
        ("sk-ant-", r"sk-ant-[0-9A-Za-z]{2,16}-[0-9A-Za-z_-]{20,256}"),
        ("sk-", r"sk-(?:proj|svcacct|admin|or-v1|None)-[0-9A-Za-z_-]{20,256}"),
        ("sk-", r"sk-[0-9A-Za-z]{20,128}" + _END),
        ("k_live_", r"[rsp]k_live_[0-9A-Za-z]{10,128}"),
        ("k_test_", r"[rsp]k_test_[0-9A-Za-z]{10,128}"),
        ("whsec_", r"whsec_[0-9A-Za-z+/=]{20,128}"),
        ("A", r"(?:AKIA|ASIA|ABIA|ACCA)[2-7A-Z]{16}" + _END),
        ("gh", r"gh[pousr]_[0-9A-Za-z]{36,255}"),
        ("github_pat_", r"github_pat_[0-9A-Za-z_]{22,255}"),
        ("glpat-", r"glpat-[0-9A-Za-z_-]{20,64}"),
        ("xox", r"xox[abeoprs]-[0-9A-Za-z-]{10,255}"),
        ("xapp-", r"xapp-[0-9]-[0-9A-Za-z-]{10,255}"),
        ("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows)/[0-9A-Za-z/+]{20,128}"),
        ("AIza", r"AIza[0-9A-Za-z_-]{35}" + _END),
        ("GOCSPX-", r"GOCSPX-[0-9A-Za-z_-]{28}"),
        ("ya29.", r"ya29\.[0-9A-Za-z_-]{20,512}"),
        ("hf_", r"hf_[0-9A-Za-z]{30,64}"),
        ("gsk_", r"gsk_[0-9A-Za-z]{40,64}"),
        ("xai-", r"xai-[0-9A-Za-z]{60,128}"),
        ("npm_", r"npm_[0-9A-Za-z]{36}"),
        ("pypi-", r"pypi-[0-9A-Za-z_-]{50,512}"),
        ("SG.", r"SG\.[0-9A-Za-z_-]{20,24}\.[0-9A-Za-z_-]{40,46}"),
        ("dop_v1_", r"dop_v1_[0-9a-f]{64}"),
        ("shpat_", r"shpat_[0-9a-fA-F]{32}"),
        ("AccountKey=", r"AccountKey=[0-9A-Za-z+/]{80,96}={0,2}"),
    )
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PRIVATE_KEY_END: Final = re.compile(r"-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_PRIVATE_KEY: Final = 16_384
_JWT: Final = re.compile(
    r"(?<![0-9A-Za-z_-])(eyJ[0-9A-Za-z_-]{8,4096}+)\.[0-9A-Za-z_-]{8,16384}+(?:\.[0-9A-Za-z_-]{0,8192}+)?"
)
_AUTHORITY: Final = re.compile(r"://([^\s/?#\"'<>\\]{3,512}+)")
_ASSIGNED: Final = re.compile(
    r"[:=](?<=[\w\"'\])]\s[:=]|.[\w\"'\]):][:=])[=>]?[ \t]{0,3}[\"'`]{0,3}([^\s\"'`,;&<>]{6,256}+)"
)
_NAME_BEFORE: Final = re.compile(
    r"(?:pass(?:word|wd|phrase|wort|code)?|pwd|contraseña|mot de passe|(secret|token|api[_ -]?key|apikey|access[_ -]?key|"
    r"private[_ -]?key|client[_ -]?secret|credential|auth|bearer)s?)(?:[_-]?[a-z0-9]{1,12})?[\"'\])]{0,2}\s?:?\Z"
)
_SAID: Final = re.compile(
    r"\b(?:password|passwort|passphrase|passcode|contraseña|kennwort|mot de passe) (?:is|was|ist|lautet|es|est) "
    r"[\"'`]?([^\s\"'`,;<>]{6,128}+)",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"[Bb]earer ([0-9A-Za-z._~+/=-]{20,4096}+)")
_REFERENCE: Final = re.compile(
    r"[$%{(<\[*]|.*[(){}\[\]]|env:|file:|os\.|process\.|self\.|config\.|settings\.|your[_-]|my[_-]|example|changeme|x{4,}|\.{3}",
    re.IGNORECASE,
)
_NAME_CHARS: Final = 40
_TOKEN_LENGTH: Final = 16
_TOKEN_BITS: Final = 3.0
_SECRET_NAMES: Final = ("password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "apikey", "api-key")


def credentials(text: str, key: str) -> Iterator[Finding]:
    """Find secrets in plain text; `key` is the name under which the text stood ("client_secret"), if any."""
    yield from _api_keys(text)
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)
    if "eyJ" in text:
        for match in _JWT.finditer(text):
            if _is_jose_header(match[1]):
                yield Finding("jwt", match.start(), match.end())
    if "://" in text:
        yield from _urls(text)
    yield from _passwords(text)
    if key and " " not in text and _names_secret(key) and _is_password(text, token=len(text) >= _TOKEN_LENGTH):
        yield Finding("password", 0, len(text))


def _api_keys(text: str) -> Iterator[Finding]:
    for start, pattern in _KEYS:
        if start in text:
            for match in pattern.finditer(text):
                if _is_random(match[0]):
                    yield Finding("api_key", match.start(), match.end())


def _names_secret(key: str) -> bool:
    lowered = key.lower()
    return any(name in lowered for name in _SECRET_NAMES)


def _private_keys(text: str) -> Iterator[Finding]:
    """A block whose end is missing reaches as far as one may be long."""
    after = 0
    for match in _PRIVATE_KEY.finditer(text):
        if match.start() < after:
            continue
        limit = min(len(text), match.end() + _LONGEST_PRIVATE_KEY)
        end = _PRIVATE_KEY_END.search(text, match.end(), limit)
        after = limit if end is None else end.end()
        yield Finding("private_key", match.start(), after)


def _is_jose_header(part: str) -> bool:
    try:
        return b'"alg"' in base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return False


def _urls(text: str) -> Iterator[Finding]:
    """User and password of an address (RFC 3986, 3.2.1), without the address itself."""
    for match in _AUTHORITY.finditer(text):
        userinfo, at, _ = match[1].rpartition("@")
        _, colon, password = userinfo.partition(":")
        if at and colon and password and not _REFERENCE.match(password) and password.strip("*.x"):
            yield Finding("url_credentials", match.start(1), match.start(1) + len(userinfo))


def _passwords(text: str) -> Iterator[Finding]:
    for match in _ASSIGNED.finditer(text):
        name = _NAME_BEFORE.search(text[max(0, match.start() - _NAME_CHARS) : match.start()].lower())
        if name is None:
            continue
        value = match[1].rstrip(").]}")
        if _is_password(value, token=name[1] is not None):
            yield Finding("password", match.start(1), match.start(1) + len(value))
    lowered = (
        " is " in text or " was " in text or " ist " in text or " lautet " in text or " est " in text or " es " in text
    )
    if lowered:
        for match in _SAID.finditer(text):
            value = match[1].rstrip(").!?]}")
            if _is_password(value, token=False):
                yield Finding("password", match.start(1), match.start(1) + len(value))
    if "earer " in text:
        for match in _BEARER.finditer(text):
            if _is_password(match[1], token=True):
                yield Finding("password", match.start(1), match.end(1))


def _is_password(value: str, *, token: bool) -> bool:
    """Whether what stands after "password" (or, with `token`, after "secret") is one, and not a word or a piece of code."""
    if _REFERENCE.match(value) or len(value) < 6:
        return False
    if not token:
        return not value.isalpha() or not (value.islower() or value.istitle() or value.isupper())
    return len(value) >= _TOKEN_LENGTH and _is_random(value) and bits_per_char(value) >= _TOKEN_BITS


def _is_random(value: str) -> bool:
    """Whether it has digits among letters, as what a machine drew has and a name seldom."""
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def bits_per_char(value: str) -> float:
    """Give the Shannon entropy of a text's characters."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())
