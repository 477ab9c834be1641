"""The part of /openapi.json that stored responses and conversations have: their requests are the very structs that are read."""

from __future__ import annotations

from gateway.api import conversations, kept_responses
from gateway.api.openapi_admin import AdminOperation, Schema
from gateway.api.openapi_schemas import ANSWERS, open_object
from gateway.api.pages import IncludeQuery, ItemsQuery

TAG = "responses"

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_ITEM = open_object({"id": _TEXT, "type": _TEXT})
_RESPONSE = ANSWERS["/v1/responses"]
_CONVERSATION = open_object(
    {
        "id": _TEXT,
        "object": {"const": "conversation"},
        "created_at": {"type": "integer", "description": "Seconds since 1970."},
        "metadata": open_object({}),
    }
)
_LIST = open_object(
    {
        "object": {"const": "list"},
        "data": {"type": "array", "items": _ITEM},
        "first_id": _MAYBE,
        "last_id": _MAYBE,
        "has_more": {"type": "boolean"},
    }
)
_MESSAGE = {"type": "message", "role": "user", "content": "What is a relay?"}


def _deleted(noun: str) -> Schema:
    return open_object({"id": _TEXT, "object": {"const": noun}, "deleted": {"const": True}})


OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=kept_responses.ONE_PATH, method="get", summary="A stored response, or its events", tag=TAG,
        query=kept_responses.RetrieveQuery, answer=_RESPONSE, media=("application/json", "text/event-stream"),
    ),
    AdminOperation(
        path=kept_responses.ONE_PATH, method="delete", summary="Delete a stored response", tag=TAG,
        answer=_deleted("response"),
    ),
    AdminOperation(
        path=kept_responses.CANCEL_PATH, method="post", summary="Cancel a background response", tag=TAG, answer=_RESPONSE,
    ),
    AdminOperation(
        path=kept_responses.ITEMS_PATH, method="get", summary="What a stored response was asked", tag=TAG,
        query=ItemsQuery, answer=_LIST,
    ),
    AdminOperation(
        path=conversations.LIST_PATH, method="post", summary="Make a conversation", tag=TAG,
        body=conversations.NewConversation, example={"items": [_MESSAGE], "metadata": {"topic": "relays"}},
        answer=_CONVERSATION,
    ),
    AdminOperation(
        path=conversations.ONE_PATH, method="get", summary="A conversation", tag=TAG, answer=_CONVERSATION,
    ),
    AdminOperation(
        path=conversations.ONE_PATH, method="post", summary="Change a conversation's metadata", tag=TAG,
        body=conversations.ConversationChange, example={"metadata": {"topic": "fuses"}}, answer=_CONVERSATION,
    ),
    AdminOperation(
        path=conversations.ONE_PATH, method="delete", summary="Forget a conversation", tag=TAG,
        answer=_deleted("conversation.deleted"),
    ),
    AdminOperation(
        path=conversations.ITEMS_PATH, method="get", summary="A conversation's items", tag=TAG, query=ItemsQuery,
        answer=_LIST,
    ),
    AdminOperation(
        path=conversations.ITEMS_PATH, method="post", summary="Add items to a conversation", tag=TAG,
        query=IncludeQuery, body=conversations.NewItems, example={"items": [_MESSAGE]}, answer=_LIST,
    ),
    AdminOperation(
        path=conversations.ITEM_PATH, method="get", summary="One item of a conversation", tag=TAG, query=IncludeQuery,
        answer=_ITEM,
    ),
    AdminOperation(
        path=conversations.ITEM_PATH, method="delete", summary="Take an item out of a conversation", tag=TAG,
        answer=_CONVERSATION,
    ),
)  # fmt: skip
