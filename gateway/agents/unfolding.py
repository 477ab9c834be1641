"""Puts what a compaction item stands for in its place, before a model is given it. It asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.core.errors import ContextLengthExceeded, InvalidRequest
from gateway.core.items import Json
from gateway.dialects.openai_responses.compaction import (
    ITEM_PREFIX,
    Compacted,
    Staying,
    decode_compacted,
    is_sealed,
    notes_message,
)
from gateway.stores.runs import RunItem
from gateway.stores.sealing import Seal, Unsealable

MOST_OPENED: Final = 64 * 1024 * 1024
"""Bytes that the compaction items of one request open to together: what is sealed is packed, and a small item may hold much."""
_PARAM: Final = "encrypted_content"


class Room:
    """What the compaction items of one request may open to together."""

    def __init__(self) -> None:
        self._left = MOST_OPENED

    def take(self, size: int, param: str) -> None:
        """Take so many bytes of it. Raises ContextLengthExceeded."""
        self._left -= size
        if self._left < 0:
            msg = "The compaction items hold more together than this server opens: leave out all but the last."
            raise ContextLengthExceeded(msg, param=param)


class Unfolded(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in an item's place. `covers` says that nothing before it is to be given, but what came to its conversation after `upto`."""

    items: tuple[RunItem, ...]
    covers: bool
    upto: str = ""


def open_compacted(body: dict[str, Json], seal: Seal | None, tenant: str, path: str, room: Room) -> Compacted:
    """Give what an item holds that says that it was made here. Raises InvalidRequest with its path, ContextLengthExceeded where `room` is full."""
    param = f"{path}.{_PARAM}"
    if seal is None:
        msg = f"`{param}` cannot be opened: this server compacts nothing without a `database`."
        raise InvalidRequest(msg, param=param)
    try:
        data = seal.open(body[_PARAM], tenant)
        room.take(len(data), param)
        return decode_compacted(data)
    except (Unsealable, msgspec.MsgspecError) as exc:
        msg = f"`{param}` cannot be opened: it was changed, or made for somebody else or by another server."
        raise InvalidRequest(msg, param=param) from exc


def check_sealed(bodies: Sequence[Json], seal: Seal | None, tenant: str) -> None:
    """Raise InvalidRequest, with its path, for an item of a request's `input` that says that it was made here, and cannot be opened."""
    room = Room()
    for number, body in enumerate(bodies):
        if is_sealed(body):
            open_compacted(body, seal, tenant, f"input[{number}]", room)


def unfold(item: RunItem, seal: Seal | None, tenant: str, room: Room) -> Unfolded | None:
    """Give what stands in the place of a compaction item of ours; None for any other item. Raises InvalidRequest."""
    if not is_sealed(item.body):
        return None
    held = open_compacted(item.body, seal, tenant, "input", room)
    notes = Staying(body=notes_message(held.notes), label=held.label)
    # The notes have the name of their item, by which the next compaction knows them.
    name = ITEM_PREFIX + item.id.removeprefix(ITEM_PREFIX).replace(".", "_")
    inner = [*(held.before or ()), notes, *held.after]
    names = [f"{name}.{number}" if each is not notes else name for number, each in enumerate(inner)]
    items = tuple(
        RunItem(id=of, place="input", index=0, body=each.body, label=each.label)
        for of, each in zip(names, inner, strict=True)
    )
    return Unfolded(items=items, covers=held.before is not None, upto=held.upto)


def is_notes(item: RunItem) -> bool:
    """Whether an item is the notes of an earlier compaction."""
    return item.id.startswith(ITEM_PREFIX) and "." not in item.id


def unfolded_bodies(bodies: Sequence[Json], seal: Seal | None, tenant: str) -> list[Json]:
    """Give the items of a request's `input` with what compaction items of ours stand for. Raises InvalidRequest with the path of the fault."""
    given: list[Json] = []
    room = Room()
    for number, body in enumerate(bodies):
        if not is_sealed(body):
            given.append(body)
            continue
        held = open_compacted(body, seal, tenant, f"input[{number}]", room)
        if held.before is not None:
            given = list(_bodies(held.before))
        given += [notes_message(held.notes), *_bodies(held.after)]
    return given


def _bodies(staying: Iterable[Staying]) -> list[Json]:
    return [each.body for each in staying]
