"""What a finished call says of the version that had it. Failures that are the caller's own say nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gateway.core.record import Record
from gateway.routing.rollouts.evidence import Seen, log_of

_REFUSED: Final = 400
_BROKEN: Final = 500
_THEIRS: Final = frozenset({401, 402, 403, 407, 408, 425, 429})
"""Below 500, and still nothing that the caller could mend: what our own limits refuse never came to a version."""
_LEAST_SECONDS: Final = 0.001
_LEAST_NANO: Final = 1.0


def failed(record: Record, targets: Collection[str]) -> bool | None:
    """Whether the version failed the call, which another model may have saved; None where that is not known.

    `targets` are the version's own ("provider/model").
    """
    if record.error is None:
        return bool(targets) and f"{record.provider}/{record.served}" not in targets
    status = record.status
    if status >= _BROKEN or status in _THEIRS or status < _REFUSED:  # an error inside an answer has the answer's status
        return True
    return None


def seen_of(record: Record, targets: Collection[str], *, challenger: bool, share: float) -> Seen:
    """Give what a record says."""
    verdict = failed(record, targets)
    values: list[tuple[str, float]] = []
    if verdict is False:
        if record.first_token is not None:
            values.append(("first_token", log_of(record.first_token, _LEAST_SECONDS)))
        costs = [record.cost_nano, *[beside.cost_nano for beside in record.beside]]
        if None not in costs:
            values.append(("cost", log_of(float(sum(cost for cost in costs if cost is not None)), _LEAST_NANO)))
    return Seen(version=record.version, challenger=challenger, share=share, failed=verdict, values=tuple(values))
