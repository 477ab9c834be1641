"""/v1/conversations: what several responses share, as OpenAI's API has it: making, showing, changing and forgetting it, and its items.

A conversation belongs to a tenant: every caller of it sees it, and for all others it is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.agents.desk import no_conversation
from gateway.api.admin_shapes import Body, complaint, decode_query
from gateway.api.asgi import AsgiApp, Receive, Scope
from gateway.api.body import check_media_type, read_body
from gateway.api.edge import Edge
from gateway.api.noting import note
from gateway.api.pages import INCLUDE, IncludeQuery, ItemsQuery, page_of
from gateway.api.plain import CALLER, Document, by_method, json_document
from gateway.api.responses_envelope import LONGEST_NAME, LONGEST_VALUE, MOST_METADATA, check_metadata
from gateway.api.stored_ids import conversation_id, is_id
from gateway.core.caller import Caller
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.items import Json
from gateway.core.strict_json import decode_object
from gateway.dialects.openai_responses.decode_items import decode_item
from gateway.dialects.openai_responses.kept_items import whole_item
from gateway.stores.audit_log import AuditLog
from gateway.stores.conversations import Conversation, ConversationItem, ConversationStore

LIST_PATH = "/v1/conversations"
ONE_PATH = "/v1/conversations/{conversation}"
ITEMS_PATH = "/v1/conversations/{conversation}/items"
ITEM_PATH = "/v1/conversations/{conversation}/items/{item}"

MOST_AT_ONCE = 20
"""Items that one request may add, as OpenAI has it."""

Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)], Annotated[str, Meta(max_length=LONGEST_VALUE)]],
    Meta(max_length=MOST_METADATA, description="Names and values, for people and programs."),
]
Items = Annotated[
    list[dict[str, Any]], Meta(max_length=MOST_AT_ONCE, description="Items, as in the `input` of a response.")
]


class NewConversation(Body, frozen=True, kw_only=True):
    """A conversation to make."""

    items: Items | None = None
    metadata: Metadata | None = None


class ConversationChange(Body, frozen=True, kw_only=True):
    """What is to be different."""

    metadata: Metadata | None


class NewItems(Body, frozen=True, kw_only=True):
    """Items to add at the end."""

    items: Annotated[Items, Meta(min_length=1)]


def endpoints(
    edge: Edge, store: ConversationStore | None, audit: AuditLog | None = None, *, most: int = 0
) -> dict[str, AsgiApp]:
    """Give the endpoints; without a store they say that there are no conversations. `most` is how many items one may have."""
    conversations = _Conversations(edge, store, audit, most)
    return {
        LIST_PATH: by_method(edge, {"POST": conversations.create}),
        ONE_PATH: by_method(
            edge, {"GET": conversations.show, "POST": conversations.change, "DELETE": conversations.delete}
        ),
        ITEMS_PATH: by_method(edge, {"GET": conversations.items, "POST": conversations.add}),
        ITEM_PATH: by_method(edge, {"GET": conversations.item, "DELETE": conversations.take_out}),
    }


class _Conversations:
    def __init__(self, edge: Edge, store: ConversationStore | None, audit: AuditLog | None, most: int) -> None:
        self._audit = audit
        self._edge = edge
        self._most = most
        self._there = store

    @property
    def _store(self) -> ConversationStore:
        if self._there is None:
            msg = "This server keeps no conversations: set `runs` and `database` in its configuration."
            raise NotFound(msg)
        return self._there

    async def create(self, scope: Scope, receive: Receive) -> Document:
        store = self._store
        asked = await self._body(scope, receive, NewConversation)
        conversation = Conversation(
            id=self._edge.new_id("conv_"),
            tenant=_tenant(scope),
            created_at=self._edge.clock.wall(),
            metadata=asked.metadata or {},
        )
        await store.add(conversation, self._whole(asked.items or ()))
        return json_document(shown(conversation))

    async def show(self, scope: Scope, receive: Receive) -> Document:
        del receive
        return json_document(shown(await self._found(scope)))

    async def change(self, scope: Scope, receive: Receive) -> Document:
        store, name = self._store, _named(scope)
        asked = await self._body(scope, receive, ConversationChange)
        changed = await store.set_metadata(_tenant(scope), name, asked.metadata or {})
        if changed is None:
            raise no_conversation(name)
        return json_document(shown(changed))

    async def delete(self, scope: Scope, receive: Receive) -> Document:
        del receive
        store, name = self._store, _named(scope)
        if not await store.remove(_tenant(scope), name):
            raise no_conversation(name)
        note(self._audit, scope, "conversation.deleted", ("conversation", name))
        return json_document({"id": name, "object": "conversation.deleted", "deleted": True})

    async def items(self, scope: Scope, receive: Receive) -> Document:
        del receive
        store, name = self._store, _named(scope)
        query = decode_query(scope.get("query_string", b""), ItemsQuery, lists=INCLUDE)
        found = await store.items(_tenant(scope), name, after=query.after, limit=query.limit + 1, order=query.order)
        if found is None:
            raise no_conversation(name)
        return json_document(page_of(_bodies(found[: query.limit]), has_more=len(found) > query.limit))

    async def add(self, scope: Scope, receive: Receive) -> Document:
        store, name = self._store, _named(scope)
        decode_query(scope.get("query_string", b""), IncludeQuery, lists=INCLUDE)
        asked = await self._body(scope, receive, NewItems)
        added = await store.append(_tenant(scope), name, self._whole(asked.items), most=self._most)
        if added is None:
            raise no_conversation(name)
        return json_document(page_of(_bodies(added), has_more=False))

    async def item(self, scope: Scope, receive: Receive) -> Document:
        del receive
        store, name, item = self._store, _named(scope), _item_named(scope)
        decode_query(scope.get("query_string", b""), IncludeQuery, lists=INCLUDE)
        found = await store.find_item(_tenant(scope), name, item)
        if found is None:
            raise _no_item(item)
        return json_document(found.body)

    async def take_out(self, scope: Scope, receive: Receive) -> Document:
        del receive
        conversation, item = await self._found(scope), _item_named(scope)
        if not await self._store.remove_item(conversation.tenant, conversation.id, item):
            raise _no_item(item)
        note(self._audit, scope, "conversation.item_deleted", ("conversation", conversation.id), {"item": item})
        return json_document(shown(conversation))

    async def _found(self, scope: Scope) -> Conversation:
        name = _named(scope)
        found = await self._store.find(_tenant(scope), name)
        if found is None:
            raise no_conversation(name)
        return found

    async def _body(self, scope: Scope, receive: Receive, shape: type[Any]) -> Any:
        headers = dict(scope["headers"])
        check_media_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
        body = await read_body(receive, self._edge.body_bytes)
        fields = decode_object(body or b"{}", depth=self._edge.json_depth)
        metadata = fields.get("metadata")
        if isinstance(metadata, dict):
            check_metadata(metadata)  # which tells the name of what is too long
        try:
            return msgspec.convert(fields, shape)
        except msgspec.ValidationError as exc:
            raise complaint(str(exc), shape) from exc

    def _whole(self, items: Sequence[dict[str, Json]]) -> list[ConversationItem]:
        """Give items to keep. Raises InvalidRequest with the path of the fault."""
        kept: dict[str, ConversationItem] = {}
        for number, item in enumerate(items):
            decode_item(item, f"items[{number}]")
            body = whole_item(item, self._edge.new_id)
            name = body["id"]
            if name in kept or (item.get("id") and not is_id(item["id"])):
                msg = f"`items[{number}].id` must be the only one of its kind: up to 128 letters, digits, _ and -."
                raise InvalidRequest(msg, param=f"items[{number}].id")
            kept[name] = ConversationItem(id=name, place=number, body=body)
        return list(kept.values())


def shown(conversation: Conversation) -> dict[str, Any]:
    """Give a conversation as OpenAI's API does."""
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": int(conversation.created_at),
        "metadata": conversation.metadata,
    }


def _bodies(items: Sequence[ConversationItem]) -> list[dict[str, Any]]:
    return [item.body for item in items]


def _named(scope: Scope) -> str:
    return conversation_id(scope["path_params"]["conversation"])


def _item_named(scope: Scope) -> str:
    item: str = scope["path_params"]["item"]
    if not is_id(item):
        raise _no_item(item)
    return item


def _no_item(name: str) -> NotFound:
    return NotFound(f"There is no item {name[:100]!r} in such a conversation here.")


def _tenant(scope: Scope) -> str:
    caller: Caller = scope[CALLER]
    return caller.tenant
