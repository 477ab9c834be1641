"""Finds addresses: e-mail, IPv4, IPv6, MAC. Sources: RFC 5321 and 6531 (lengths, local parts), RFC 4291."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from gateway.protection.finding import Finding

_LONGEST_LOCAL: Final = 128
_AT: Final = re.compile(r"@(?<=[\w.+%=/!#$&'*?^`{|}~-]@)(?=\w)")
_LOCAL_REVERSED: Final = re.compile(r"[\w.+%=/!#$&'*?^`{|}~-]{1,128}+")
_DOMAIN: Final = re.compile(r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}+")
_NO_TOP_LEVEL: Final = frozenset(
    {"css", "csv", "gif", "go", "htm", "html", "jpeg", "jpg", "js", "json", "jsx", "lock", "log", "mjs", "pdf", "php", "png",
     "svg", "ts", "tsx", "txt", "webp", "xml", "yaml", "yml"}
)  # fmt: skip
_IPV4: Final = re.compile(
    r"[0-9](?<![0-9A-Za-z_][0-9])(?<![0-9A-Za-z][.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_]|\.[0-9])"
)
_VERSION_BEFORE: Final = re.compile(
    r"(?:version|release|build|\bv\.?|\bver\.?|[A-Za-z]/|section|chapter|§)\s{0,2}\Z", re.IGNORECASE
)
_IPV6: Final = re.compile(r"[0-9A-Fa-f:](?<![0-9A-Za-z_:.][0-9A-Fa-f:])[0-9A-Fa-f:]{1,38}+(?![0-9A-Za-z_:])")
_COLONS_OF_IPV6: Final = 7
_MAC: Final = re.compile(
    r"[:-](?<=[0-9A-Fa-f]{2}[:-])(?<![0-9A-Za-z_:-][0-9A-Fa-f]{2}[:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){3}"
    r"[0-9A-Fa-f]{2}(?![0-9A-Za-z_]|[:-][0-9A-Fa-f])"
)


def emails(text: str) -> Iterator[Finding]:
    """Find e-mail addresses, internationalised ones too."""
    for match in _AT.finditer(text):
        at = match.start()
        domain = _DOMAIN.match(text, at + 1)
        if domain is None or not _is_domain(domain[0]):
            continue
        local = _LOCAL_REVERSED.match(text[max(0, at - _LONGEST_LOCAL) : at][::-1])
        written = "" if local is None else local[0][::-1].lstrip("./'`*=?&|{!#$^~")
        if not written or (written == "git" and text[domain.end() : domain.end() + 1] == ":"):
            continue
        yield Finding("email", at - len(written), domain.end())


def _is_domain(name: str) -> bool:
    top = name.rpartition(".")[2]
    if top.startswith("xn--"):
        return True
    return len(top) > 1 and top.isalpha() and top.lower() not in _NO_TOP_LEVEL


def networks(text: str) -> Iterator[Finding]:
    """Find IP addresses that name a machine (not loopback, masks or the unspecified one), and MAC addresses."""
    for match in _IPV4.finditer(text):
        octets = [int(octet) for octet in match[0].split(".")]
        before = text[max(0, match.start() - 12) : match.start()]
        if _is_machine(octets) and not _VERSION_BEFORE.search(before):
            yield Finding("ip", match.start(), match.end())
    if "::" in text or text.count(":") >= _COLONS_OF_IPV6:
        for match in _IPV6.finditer(text):
            if _is_ipv6(match[0].rstrip(":") if not match[0].endswith("::") else match[0]):
                yield Finding("ip", match.start(), match.end())
    for match in _MAC.finditer(text):
        yield Finding("mac", match.start() - 2, match.end())


def _is_machine(octets: list[int]) -> bool:
    """Whether four numbers are an address and not a section, a version, a mask or this machine itself."""
    first = octets[0]
    return max(octets) <= 255 and max(octets) > 9 and first not in (0, 127, 255) and octets[1:] != [0, 0, 0]


def _is_ipv6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if len(groups) < 3 and not (len(groups) == 2 and len(groups[0]) == 4 and "::" in text):
        return False
    if ("::" not in text and len(groups) != 8) or not any(char.isdigit() for char in text):
        return False
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
