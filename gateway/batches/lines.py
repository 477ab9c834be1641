"""The input of a batch: read line by line, and checked as a whole before anything is asked. It asks nothing itself.

The file is JSON Lines: `{"custom_id": …, "method": "POST", "url": …, "body": {…}}`, one request a line. Blank lines mean
nothing. Everything here blocks: it is for a thread.

Source: https://developers.openai.com/api/docs/guides/batch
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from gateway.batches.asking import ENDPOINTS
from gateway.core.errors import MalformedBody
from gateway.core.strict_json import decode_object
from gateway.stores.batches import Fault

MOST_FAULTS: Final = 200
MOST_ID: Final = 512
_FIELDS: Final = ("custom_id", "method", "url", "body")
_MARK: Final = b"\xef\xbb\xbf"  # some editors begin a file of UTF-8 with it
_SPARE: Final = 4096
"""Bytes of a line beside its body."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a batch. `body` is as it was written."""

    custom_id: str
    body: msgspec.Raw


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What an input may be: `lines` at most, each body of `body_bytes` at most and nested no deeper than `depth`."""

    endpoint: str
    lines: int
    body_bytes: int
    depth: int


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: how many requests, and what is wrong with them; the first `MOST_FAULTS` of it.

    `model` is the one that all requests name, empty where they name several.
    """

    total: int
    model: str = ""
    faults: tuple[Fault, ...]


_read_line = msgspec.json.Decoder(Line).decode


def read_lines(file: BinaryIO, most: int, most_bytes: int) -> list[Line]:
    """Give the next requests of an input that was checked: up to `most` of about `most_bytes`; none at its end."""
    lines: list[Line] = []
    size = 0
    while len(lines) < most and size < most_bytes:
        data = file.readline()
        if not data:
            break
        size += len(data)
        text = data.removeprefix(_MARK).strip()
        if text:
            lines.append(_read_line(text))
    return lines


def check_input(path: Path, bounds: Bounds) -> Checked:
    """Check a whole input. Raises OSError when it cannot be read."""
    seen: dict[str, int] = {}
    models: set[str] = set()
    faults: list[Fault] = []
    total = more = 0
    with path.open("rb") as file:
        for number, data in _numbered(file, bounds.body_bytes + _SPARE):
            total += 1
            if total > bounds.lines:
                message = f"The input has more than {bounds.lines} requests, which is the most of one batch."
                faults.append(Fault(code="too_many_requests", message=message, line=number))
                break
            found = _check_line(number, data, bounds, seen, models)
            if found is not None and len(faults) < MOST_FAULTS:
                faults.append(found)
            elif found is not None:
                more += 1
    if total == 0:
        faults.append(Fault(code="empty_file", message="The input has no requests."))
    if more:
        faults.append(Fault(code="more_errors", message=f"There are {more} more errors, which are not listed."))
    return Checked(total=total, model=models.pop() if len(models) == 1 else "", faults=tuple(faults))


def _numbered(file: BinaryIO, most: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines that are not blank, with their numbers; None for one of more than `most` bytes."""
    number = 0
    while data := file.readline(most + 1):
        number += 1
        if len(data) > most:
            while data and not data.endswith(b"\n"):
                data = file.readline(most)
            yield number, None
        elif text := (data.removeprefix(_MARK) if number == 1 else data).strip():
            yield number, text


def _check_line(
    number: int, data: bytes | None, bounds: Bounds, seen: dict[str, int], models: set[str]
) -> Fault | None:
    if data is None:
        message = f"The line is longer than {bounds.body_bytes} bytes, which is the most of one request."
        return Fault(code="request_too_large", message=message, line=number)
    try:
        fields = decode_object(data, depth=bounds.depth + 1)
    except MalformedBody as error:
        message = error.message.replace("The body", "The line")
        return Fault(code="invalid_json_line", message=message, param=error.param, line=number)
    found = _check_id(fields, seen, number) or _check_rest(fields, bounds)
    if found is None and len(models) < 2:
        models.add(fields["body"]["model"])
    return None if found is None else msgspec.structs.replace(found, line=number)


def _check_id(fields: dict[str, Any], seen: dict[str, int], number: int) -> Fault | None:
    unknown = next((name for name in fields if name not in _FIELDS), None)
    if unknown is not None:
        message = f"There is no field {unknown[:100]!r} here: a line has {', '.join(_FIELDS)}."
        return Fault(code="unknown_parameter", message=message, param=unknown[:100])
    missing = next((name for name in _FIELDS if name not in fields), None)
    if missing is not None:
        return Fault(code="missing_required_parameter", message=f"`{missing}` is missing.", param=missing)
    custom_id = fields["custom_id"]
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MOST_ID:
        message = f"`custom_id` must be a text of 1 to {MOST_ID} characters."
        return Fault(code="invalid_custom_id", message=message, param="custom_id")
    first = seen.setdefault(custom_id, number)
    if first != number:
        message = f"`custom_id` {custom_id[:100]!r} is that of line {first} already."
        return Fault(code="duplicate_custom_id", message=message, param="custom_id")
    return None


def _check_rest(fields: dict[str, Any], bounds: Bounds) -> Fault | None:
    url, body = fields["url"], fields["body"]
    if fields["method"] != "POST":
        return Fault(code="invalid_method", message='`method` must be "POST".', param="method")
    if url not in ENDPOINTS:
        message = f"`url` must be one of {', '.join(ENDPOINTS)}."
        return Fault(code="invalid_url", message=message, param="url")
    if url != bounds.endpoint:
        message = f"`url` must be {bounds.endpoint}, the batch's endpoint, not {url}."
        return Fault(code="mismatched_url", message=message, param="url")
    if not isinstance(body, dict):
        return Fault(code="invalid_body", message="`body` must be an object.", param="body")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        message = "`body.model` is required and must be a non-empty text."
        return Fault(code="missing_required_parameter", message=message, param="body.model")
    if body.get("stream") not in (None, False):
        message = "`body.stream` cannot be true in a batch: answers are whole."
        return Fault(code="invalid_stream", message=message, param="body.stream")
    return None
