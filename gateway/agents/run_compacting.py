"""Compaction within a run: before its model is asked with more than it wants to be, all before is put into one item of its output.

The item is in the journal before the model is asked again, so that who takes the run over goes on after it, and does not make it a second time.
"""

from __future__ import annotations

from typing import Final

import structlog

from gateway.agents.compacting import added, is_worthwhile, item_within, new_name, write_notes
from gateway.agents.context import Prompted
from gateway.agents.means import Means
from gateway.agents.note_asking import asks_for_notes
from gateway.agents.plan import Plan
from gateway.agents.writing import Page, Writing
from gateway.core.call import Call
from gateway.core.errors import SwitchgearError
from gateway.dialects.openai_responses.compaction import read_wish
from gateway.pipeline.route import Route

log = structlog.get_logger()

_FULL: Final = 0.8
"""Part of a model's context that is nearly all of it."""


class RunCompacting:
    """One run's, in this process."""

    def __init__(self, means: Means, writing: Writing) -> None:
        self._means = means
        self._writing = writing
        self._given_up = False

    async def shorten(self, prompted: Prompted, call: Call, route: Route, plan: Plan | None) -> bool:
        """Compact what `call` would give to the model, where that is wanted, and write the item; whether it was.

        A model that writes no notes keeps nobody from being answered: it is asked with all that there is, and not for notes again.
        """
        means, writing = self._means, self._writing
        most = self._most(route, plan)
        if most is None or means.seal is None or self._given_up:
            return False
        if route.count_input(call) < most or not is_worthwhile(prompted.seen):
            return False
        run = writing.run
        try:
            notes = await write_notes(prompted.seen, asks_for_notes(route, call, means.new_id), route.context)
        except SwitchgearError as error:
            self._given_up = True
            log.warning("run.not_compacted", run=run.id, error=error.code, reason=error.message)
            return False
        made = item_within(
            prompted.seen,
            notes.text,
            name=new_name(means.new_id),
            seal=means.seal,
            tenant=run.tenant,
            upto=prompted.upto,
        )
        async with writing.turn:
            writing.encoder.usage = added(writing.encoder.usage, notes.usage)
            begun = writing.beginning()
            place, said = writing.encoder.show(made.body)
            await writing.write(begun + said, Page(items=[writing.item(place, made.body, made.label)]))
        means.counts.compacted.add()
        log.info("run.compacted", run=run.id, tenant=run.tenant, items=len(prompted.seen))
        return True

    def _most(self, route: Route, plan: Plan | None) -> int | None:
        """Give the tokens from which on it is compacted: the least that is said; None where nobody wants it."""
        wish = read_wish(self._writing.run.request)
        wanted = [plan.compact_at] if plan is not None and plan.compact_at is not None else []
        if wish is not None and wish.threshold is not None:
            wanted.append(wish.threshold)
        elif wish is not None and route.context is not None:
            wanted.append(int(route.context * _FULL))
        return min(wanted, default=None)
