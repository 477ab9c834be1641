"""What an answer's head says of the cache."""

from __future__ import annotations

import re
from typing import Final, get_args

from gateway.core.cached import CacheStatus
from gateway.core.events import Cached

STATUS_HEADER: Final = b"x-switchgear-cache"
ENTRY_HEADER: Final = b"x-switchgear-cache-entry"
SIMILARITY_HEADER: Final = b"x-switchgear-cache-similarity"
AGE_HEADER: Final = b"age"

_UNSEEN = re.compile(r"[^ -~]")
_MOST = 200
_STATUSES: Final = {status: status.encode("ascii") for status in get_args(CacheStatus)}


def cache_headers(told: Cached) -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers: how the answer stands to the cache and why, its entry, its age in whole seconds, the similarity of the questions."""
    status = _STATUSES[told.status]
    if told.why:
        status = b"%b; %b" % (status, _UNSEEN.sub("?", told.why)[:_MOST].encode("ascii"))
    headers = [(STATUS_HEADER, status)]
    if told.entry:
        headers.append((ENTRY_HEADER, told.entry.encode("ascii", "replace")))
    if told.age is not None:
        headers.append((AGE_HEADER, b"%d" % int(told.age)))
    if told.similarity is not None:
        headers.append((SIMILARITY_HEADER, b"%.4f" % told.similarity))
    return tuple(headers)
