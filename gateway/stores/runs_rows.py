"""Runs, their events and items as rows of the tables, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from sqlalchemy import RowMapping

from gateway.core.caller import Caller
from gateway.core.items import Json
from gateway.core.tools import Label
from gateway.stores.runs import Limits, Lineage, Link, Place, Run, RunEvent, RunItem, Spent
from gateway.stores.runs_tables import RUNS

# `deadline_at` is read by nobody: a run's time is one of its limits. The column stays for replicas of the version before.
_PLAIN: Final = tuple(column.name for column in RUNS.columns if column.name not in ("deadline_at", "limits", "spent"))
_encode = msgspec.json.Encoder().encode
_caller = msgspec.json.Decoder(Caller)
_label = msgspec.json.Decoder(Label)
_lineage = msgspec.json.Decoder(Lineage)
_events = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


def write_json(value: object) -> bytes:
    """Give a document as it is kept: names in their order, any text."""
    return _encode(value)


def read_json(data: bytes) -> dict[str, Json]:
    """Give the document that was kept."""
    return cast("dict[str, Json]", msgspec.json.decode(data))


def run_row(run: Run) -> dict[str, Any]:
    """Give the row of a run, without what is long."""
    row = {name: getattr(run, name) for name in _PLAIN}
    return row | {"limits": msgspec.to_builtins(run.limits), "spent": msgspec.to_builtins(run.spent)}


def body_row(run: Run) -> dict[str, Any]:
    """Give the row of what is long."""
    return {
        "run": run.id,
        "caller": _encode(run.caller),
        "request": _encode(run.request),
        "response": None if run.response is None else _encode(run.response),
        "lineage": None if run.lineage is None else _encode(run.lineage),
        "session": _write_text(run.session),
        "trace": _write_text(run.trace),
    }


def read_run(row: RowMapping) -> Run:
    """Give the run of both its rows."""
    fields: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Run(
        **fields,
        caller=_caller.decode(row["caller"]),
        request=read_json(row["request"]),
        limits=msgspec.convert(row["limits"], Limits),
        spent=msgspec.convert(row["spent"], Spent),
        response=None if row["response"] is None else read_json(row["response"]),
        lineage=None if row["lineage"] is None else _lineage.decode(row["lineage"]),
        session=_read_text(row["session"]),
        trace=_read_text(row["trace"]),
    )


def read_link(row: RowMapping) -> Link:
    """Give what is to be known of a run in a chain."""
    lineage = None if row["lineage"] is None else _lineage.decode(row["lineage"])
    return Link(
        id=row["id"],
        status=row["status"],
        previous=row["previous"],
        conversation=row["conversation"],
        lineage=lineage,
    )


def _write_text(text: str | None) -> bytes | None:
    # Bytes: what a client's header holds may be any text.
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _read_text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogatepass")


def events_row(run: str, epoch: int, events: Sequence[RunEvent]) -> dict[str, Any]:
    """Give the one row of events that follow each other."""
    body = msgspec.msgpack.encode([(event.name, event.data) for event in events])
    return {"run": run, "last": events[-1].seq, "first": events[0].seq, "epoch": epoch, "body": body}


def read_events(row: RowMapping) -> list[RunEvent]:
    """Give the events of a row, in order."""
    first: int = row["first"]
    return [
        RunEvent(seq=first + number, name=name, data=data)
        for number, (name, data) in enumerate(_events.decode(row["body"]))
    ]


def item_rows(run: str, items: Sequence[RunItem]) -> list[dict[str, Any]]:
    """Give the rows of items."""
    return [
        {
            "run": run,
            "place": item.place,
            "position": item.index,
            "id": item.id,
            "body": _encode(item.body),
            "label": write_label(item.label),
            "marks": write_marks(item.marks),
        }
        for item in items
    ]


def read_item(row: RowMapping | Mapping[str, Any]) -> RunItem:
    """Give the item of a row."""
    place: Place = row["place"]
    body, label, marks = read_json(row["body"]), read_label(row["label"]), read_marks(row["marks"])
    return RunItem(id=row["id"], place=place, index=row["position"], body=body, label=label, marks=marks)


def write_marks(marks: dict[str, Json]) -> bytes | None:
    """Give marks as they are kept."""
    return _encode(marks) if marks else None


def read_marks(data: bytes | None) -> dict[str, Json]:
    """Give the marks that were kept."""
    return {} if data is None else read_json(data)


def write_label(label: Label | None) -> bytes | None:
    """Give a label as it is kept."""
    return None if label is None else _encode(label)


def read_label(data: bytes | None) -> Label | None:
    """Give the label that was kept."""
    return None if data is None else _label.decode(data)
