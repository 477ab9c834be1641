"""What a run is told while it goes on: data from outside that came after it began, before its model is asked again. Where it comes from is others' business.

It is an item of the run's input, written under its lease like all else, once whoever holds the run; in what the model reads it stands after
what was said before it.
"""

from __future__ import annotations

from typing import Final

import structlog

from gateway.agents.means import Means
from gateway.agents.news_source import Piece
from gateway.agents.writing import Page, Writing
from gateway.core.errors import StoreUnavailable
from gateway.dialects.openai_responses.kept_items import whole_item
from gateway.stores.runs import RunItem

log = structlog.get_logger()

_AFTER: Final = "after"


async def hear_news(means: Means, writing: Writing) -> None:
    """Write down what is new for a run, if anything is. Raises Fenced, and StoreUnavailable of the journal."""
    source, run = means.news.source, writing.run
    if source is None or run.lineage is not None or run.parent:
        return
    try:
        piece = await source.find(run)
    except StoreUnavailable as error:
        log.warning(
            "run.news_away", run=run.id, reason=error.message
        )  # it is told before the next answer, or to the next run
        return
    if piece is None:
        return
    items = await writing.read_items()
    if not any(item.id == piece.id for item in items):
        async with writing.turn:
            await writing.write((), Page(items=[_item(piece, items)]))
        log.info("run.told_news", run=run.id, tenant=run.tenant, source=piece.label.source)
    try:
        await source.told(run, piece)
    except StoreUnavailable as error:
        log.warning(
            "run.news_away", run=run.id, reason=error.message
        )  # it is found to be told already when it is asked again


def in_order(item: RunItem) -> tuple[bool, float]:
    """Give the place of an item among those of its run as the model reads them: for `sorted`."""
    after = item.marks.get(_AFTER) if item.place == "input" else None
    if isinstance(after, int):
        return True, after - 0.5
    return item.place == "output", item.index


def _item(piece: Piece, items: list[RunItem]) -> RunItem:
    said = {"id": piece.id, "type": "message", "role": "user", "content": piece.text}
    after = max((item.index + 1 for item in items if item.place == "output"), default=0)
    index = max((item.index + 1 for item in items if item.place == "input"), default=0)
    return RunItem(id=piece.id, place="input", index=index, body=whole_item(said, str), label=piece.label, marks={_AFTER: after})  # fmt: skip
