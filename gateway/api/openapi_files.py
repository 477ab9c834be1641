"""The part of /openapi.json that files and batches have: their requests are the very structs that are read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.api import batches, files, scores
from gateway.api.admin_shapes import Body
from gateway.api.openapi_admin import AdminOperation, Schema
from gateway.api.openapi_schemas import open_object

TAG = "batches"

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer"}
_TIME: Schema = {"type": ["integer", "null"], "description": "Seconds since 1970."}
_ANY: Schema = {"type": ["object", "null"]}

_FILE = open_object(
    {
        "id": _TEXT,
        "object": {"const": "file"},
        "bytes": _COUNT,
        "created_at": _TIME,
        "expires_at": _TIME,
        "filename": _TEXT,
        "purpose": {"enum": ["batch", "batch_output"]},
        "status": {"const": "processed"},
    }
)
_BATCH = open_object(
    {
        "id": _TEXT,
        "object": {"const": "batch"},
        "status": {
            "enum": [
                "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled",
            ]
        },
        **dict.fromkeys(("endpoint", "input_file_id", "completion_window"), _TEXT),
        **dict.fromkeys(("output_file_id", "error_file_id"), _MAYBE),
        **dict.fromkeys(
            (
                "created_at", "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at", "expired_at",
                "cancelling_at", "cancelled_at",
            ),
            _TIME,
        ),
        "request_counts": open_object(dict.fromkeys(("total", "completed", "failed"), _COUNT)),
        "errors": _ANY,
        "metadata": _ANY,
    }
)  # fmt: skip


def _list_of(entry: Schema) -> Schema:
    fields: dict[str, Any] = {"object": {"const": "list"}, "data": {"type": "array", "items": entry}}
    return open_object({**fields, "first_id": _MAYBE, "last_id": _MAYBE, "has_more": {"type": "boolean"}})


class Upload(Body, frozen=True, kw_only=True):
    """The form of an upload."""

    file: Annotated[str, Meta(description="The file's bytes, with a filename.")]
    purpose: Annotated[Literal["batch"], Meta(description="What the file is for.")]
    expires_after: Annotated[
        batches.OutputExpiresAfter | None, Meta(description="As expires_after[anchor] and expires_after[seconds].")
    ] = None


_SCORE = open_object(
    {"object": {"const": "call.score"}, "call": _TEXT, "name": _TEXT, "value": {"type": "number"}, "version": _TEXT}
)

OPERATIONS: tuple[AdminOperation, ...] = (
    AdminOperation(
        path=files.LIST_PATH, method="post", summary="Upload a file", body=Upload, takes="multipart/form-data", tag=TAG,
        example={"purpose": "batch", "file": "input.jsonl"}, answer=_FILE,
    ),
    AdminOperation(
        path=files.LIST_PATH, method="get", summary="The tenant's files", query=files.FileListQuery,
        answer=_list_of(_FILE), tag=TAG,
    ),
    AdminOperation(path=files.ONE_PATH, method="get", summary="One file", answer=_FILE, tag=TAG),
    AdminOperation(
        path=files.ONE_PATH, method="delete", summary="Delete a file", tag=TAG,
        answer=open_object({"id": _TEXT, "object": {"const": "file"}, "deleted": {"const": True}}),
    ),
    AdminOperation(
        path=files.CONTENT_PATH, method="get", summary="A file's bytes", answer=_TEXT, tag=TAG,
        media=("application/octet-stream",),
    ),
    AdminOperation(
        path=batches.LIST_PATH, method="post", summary="Make a batch", body=batches.NewBatch, tag=TAG, answer=_BATCH,
        example={
            "input_file_id": "file-5f1c0d3e9a7b4c2d8e6f0a1b", "endpoint": "/v1/chat/completions", "completion_window": "24h",
        },
    ),
    AdminOperation(
        path=batches.LIST_PATH, method="get", summary="The tenant's batches", query=batches.BatchListQuery,
        answer=_list_of(_BATCH), tag=TAG,
    ),
    AdminOperation(path=batches.ONE_PATH, method="get", summary="One batch", answer=_BATCH, tag=TAG),
    AdminOperation(path=batches.CANCEL_PATH, method="post", summary="Cancel a batch", answer=_BATCH, tag=TAG),
    AdminOperation(
        path=scores.PATH, method="post", summary="Give a call a score", body=scores.NewScore, tag=scores.TAG,
        example={"name": "helpful", "value": True}, answer=_SCORE,
    ),
    AdminOperation(path=scores.PATH, method="get", summary="A call's scores", answer=_list_of(_SCORE), tag=scores.TAG),
)  # fmt: skip
