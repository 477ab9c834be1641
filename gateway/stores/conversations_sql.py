"""Conversations in a SQL database: one adapter for SQLite and PostgreSQL.

Whoever changes what is in one holds its row until the commit: places are given out one by one, and its size is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.core.errors import Conflict
from gateway.core.items import Json
from gateway.stores.conversations import Conversation, ConversationItem, Order
from gateway.stores.conversations_tables import CONVERSATION_ITEMS, CONVERSATIONS
from gateway.stores.database import Database
from gateway.stores.ledger import storable
from gateway.stores.runs_rows import read_label, write_label

_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(dict[str, str])
_LOOKED_UP_AT_ONCE: Final = 500


class SqlConversations:
    """The conversation store over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, conversation: Conversation, items: Sequence[ConversationItem] = ()) -> None:
        """Keep a new one with its first items, which are numbered anew. Raises Conflict when its id is taken, or two items have the same."""
        row = {
            "id": conversation.id,
            "tenant": conversation.tenant,
            "created_at": conversation.created_at,
            "metadata": _encode(conversation.metadata),
            "next_place": len(items),
            "size": len(items),
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(CONVERSATIONS), row)
            await _insert(connection, conversation.id, _numbered(items, 0))

    async def find(self, tenant: str, conversation: str) -> Conversation | None:
        """Give one, or None when the tenant has none of that id."""
        async with self._database.connect() as connection:
            found = select(CONVERSATIONS).where(_is(tenant, conversation))
            row = (await connection.execute(found)).mappings().first()
        return None if row is None else _conversation(row)

    async def set_metadata(self, tenant: str, conversation: str, metadata: dict[str, str]) -> Conversation | None:
        """Replace the metadata; None when the tenant has none of that id."""
        change = update(CONVERSATIONS).where(_is(tenant, conversation)).values(metadata=_encode(metadata))
        async with self._database.begin() as connection:
            row = (await connection.execute(change.returning(CONVERSATIONS))).mappings().first()
        return None if row is None else _conversation(row)

    async def remove(self, tenant: str, conversation: str) -> bool:
        """Forget one with its items; the responses in it stay. False when the tenant has none of that id."""
        items = delete(CONVERSATION_ITEMS).where(CONVERSATION_ITEMS.c.conversation == conversation)
        async with self._database.begin() as connection:
            done = await connection.execute(delete(CONVERSATIONS).where(_is(tenant, conversation)))
            if done.rowcount:
                await connection.execute(items)
        return done.rowcount > 0

    async def append(
        self, tenant: str, conversation: str, items: Sequence[ConversationItem], *, most: int
    ) -> Sequence[ConversationItem] | None:
        """Put items at the end, numbered anew, all or none; None when the tenant has none of that id.

        Those that are there by their id already are left as they are. Raises Conflict when there would be more than `most`.
        """
        wanted = {item.id: item for item in reversed(items)}
        async with self._database.begin() as connection:
            held = await _hold(connection, tenant, conversation)
            if held is None:
                return None
            there = await _those(connection, conversation, list(wanted))
            ids = dict.fromkeys(item.id for item in items)
            new = _numbered([wanted[id_] for id_ in ids if id_ not in there], held["next_place"])
            size = held["size"] + len(new)
            if new and size > most:
                raise Conflict(f"A conversation holds {most} items at most.")
            if new:
                await _set(connection, conversation, size=size, next_place=held["next_place"] + len(new))
                await _insert(connection, conversation, new)
        there |= {item.id: item for item in new}
        return [there[id_] for id_ in ids]

    async def items(
        self, tenant: str, conversation: str, *, after: str = "", limit: int = 20, order: Order = "desc"
    ) -> Sequence[ConversationItem] | None:
        """Give a page; None when the tenant has none of that id. `after` is the id of the last one before; one that is not there gives nothing."""
        columns = CONVERSATION_ITEMS.c
        page = select(CONVERSATION_ITEMS).where(columns.conversation == storable(conversation))
        async with self._database.connect() as connection:
            if (await connection.execute(select(CONVERSATIONS.c.id).where(_is(tenant, conversation)))).first() is None:
                return None
            if after:
                place = (await connection.execute(select(columns.place).where(_item(conversation, after)))).scalar()
                if place is None:
                    return []
                page = page.where(columns.place > place if order == "asc" else columns.place < place)
            ordered = page.order_by(columns.place if order == "asc" else columns.place.desc()).limit(limit)
            return [_read(row) for row in (await connection.execute(ordered)).mappings()]

    async def find_item(self, tenant: str, conversation: str, item: str) -> ConversationItem | None:
        """Give one item."""
        mine = select(CONVERSATIONS.c.id).where(_is(tenant, conversation)).exists()
        found = select(CONVERSATION_ITEMS).where(_item(conversation, item), mine)
        async with self._database.connect() as connection:
            row = (await connection.execute(found)).mappings().first()
        return None if row is None else _read(row)

    async def find_items(self, tenant: str, ids: Sequence[str]) -> Sequence[ConversationItem]:
        """Give those items of a tenant's conversations that have these ids, each once: of several with one id the one of the latest conversation."""
        columns, found = CONVERSATION_ITEMS.c, dict[str, ConversationItem]()
        mine = select(CONVERSATION_ITEMS).join(CONVERSATIONS, CONVERSATIONS.c.id == columns.conversation)
        ordered = mine.where(CONVERSATIONS.c.tenant == tenant).order_by(CONVERSATIONS.c.created_at, CONVERSATIONS.c.id)
        wanted = [storable(each) for each in ids]
        async with self._database.connect() as connection:
            for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
                some = ordered.where(columns.id.in_(wanted[start : start + _LOOKED_UP_AT_ONCE]))
                found |= {row["id"]: _read(row) for row in (await connection.execute(some)).mappings()}
        return list(found.values())

    async def remove_item(self, tenant: str, conversation: str, item: str) -> bool:
        """Take one item out; False when it is not there."""
        async with self._database.begin() as connection:
            held = await _hold(connection, tenant, conversation)
            if held is None:
                return False
            done = await connection.execute(delete(CONVERSATION_ITEMS).where(_item(conversation, item)))
            if done.rowcount:
                await _set(connection, conversation, size=held["size"] - 1)
        return done.rowcount > 0


def _is(tenant: str, conversation: str) -> ColumnElement[bool]:
    return and_(CONVERSATIONS.c.id == storable(conversation), CONVERSATIONS.c.tenant == tenant)


def _item(conversation: str, item: str) -> ColumnElement[bool]:
    columns = CONVERSATION_ITEMS.c
    return and_(columns.conversation == storable(conversation), columns.id == storable(item))


async def _hold(connection: AsyncConnection, tenant: str, conversation: str) -> RowMapping | None:
    held = select(CONVERSATIONS.c.next_place, CONVERSATIONS.c.size).where(_is(tenant, conversation)).with_for_update()
    return (await connection.execute(held)).mappings().first()


async def _set(connection: AsyncConnection, conversation: str, **values: int) -> None:
    await connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation).values(values))


async def _those(connection: AsyncConnection, conversation: str, ids: Sequence[str]) -> dict[str, ConversationItem]:
    """Give those that are there already."""
    columns = CONVERSATION_ITEMS.c
    found: dict[str, ConversationItem] = {}
    for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
        some = columns.id.in_(ids[start : start + _LOOKED_UP_AT_ONCE])
        rows = await connection.execute(select(CONVERSATION_ITEMS).where(columns.conversation == conversation, some))
        found |= {row["id"]: _read(row) for row in rows.mappings()}
    return found


async def _insert(connection: AsyncConnection, conversation: str, items: Sequence[ConversationItem]) -> None:
    if items:
        await connection.execute(insert(CONVERSATION_ITEMS), [_row(conversation, item) for item in items])


def _numbered(items: Iterable[ConversationItem], first: int) -> list[ConversationItem]:
    return [msgspec.structs.replace(item, place=place) for place, item in enumerate(items, start=first)]


def _row(conversation: str, item: ConversationItem) -> dict[str, Any]:
    return {
        "conversation": conversation,
        "id": item.id,
        "place": item.place,
        "run": item.run,
        "body": _encode(item.body),
        "label": write_label(item.label),
    }


def _read(row: RowMapping) -> ConversationItem:
    body = cast("dict[str, Json]", msgspec.json.decode(row["body"]))
    return ConversationItem(id=row["id"], place=row["place"], run=row["run"], body=body, label=read_label(row["label"]))


def _conversation(row: RowMapping) -> Conversation:
    return Conversation(
        id=row["id"], tenant=row["tenant"], created_at=row["created_at"], metadata=_metadata.decode(row["metadata"])
    )
