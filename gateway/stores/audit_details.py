"""What of an event may be kept: bounded, plain, and nothing that looks like a credential. It judges text, not actions.

It is the second line: who reports an event leaves secrets out. This catches what was overlooked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

MOST_BYTES: Final = 16 * 1024
"""The details of one entry, in bytes of canonical JSON."""

_MOST_TEXT: Final = 2000
_MOST_NAME: Final = 300
_MOST_KEY: Final = 100
_LOOKED_AT: Final = 8000
_MOST_ITEMS: Final = 200
_DEEPEST: Final = 6
_SAFE_INTEGER: Final = 2**53 - 1
_REDACTED: Final = "[redacted]"

_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:secret|password|passphrase|token|authorization|credentials?|cookie|pepper|"
    r"(?:api|private|master|access|signing)[_-]?keys?)$"
)
_SECRET_TEXT: Final = re.compile(
    r"sk-[A-Za-z0-9_-]{20,}"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}=*"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{30,}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|(?<=://)[^/\s:@]{0,200}:[^/\s@]{1,400}(?=@)",
    flags=re.DOTALL,
)


def canonical(value: Any) -> bytes:
    """Encode as JSON in one way only: keys sorted, no spaces, UTF-8. RFC 8785 for what an entry holds: no floats, ASCII keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def clean_text(text: str, most: int = _MOST_NAME) -> str:
    """Give text without what looks like a credential, without what no database takes, and of bounded length."""
    plain = text[:_LOOKED_AT].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    plain = _SECRET_TEXT.sub(_REDACTED, plain)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def clean_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Give details as plain JSON values: integers, text, true, false, null, lists and mappings. Applied twice, it changes nothing."""
    cleaned: dict[str, Any] = {_name(name): _value(name, value, 1) for name, value in _first(details.items())}
    content = canonical(cleaned)
    if len(content) <= MOST_BYTES:
        return cleaned
    return {"left_out": f"{len(content)} bytes of details", "sha256": hashlib.sha256(content).hexdigest()}


def _value(name: object, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else hex(value)[:_MOST_NAME]
    if isinstance(value, str):
        # An empty value is no secret, and that it is empty may be the point.
        return _REDACTED if value and _SECRET_NAME.search(str(name)) else clean_text(value, _MOST_TEXT)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {_name(key): _value(key, item, depth + 1) for key, item in _first(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(name, item, depth + 1) for item in _first(value)]
    # Floats too: two languages print them in two ways, and then an outsider's hash is another.
    return clean_text(str(value), _MOST_TEXT)


def _name(name: object) -> str:
    """Give a key in ASCII: sorting by code points and by UTF-16 units is then the same."""
    return clean_text(str(name)).encode("ascii", "backslashreplace").decode()[:_MOST_KEY]


def _first(items: Any) -> list[Any]:
    return [item for item, _ in zip(items, range(_MOST_ITEMS), strict=False)]
