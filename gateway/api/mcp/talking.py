"""A call of a client of 2025-11-25 that waits: the client is asked on the stream of its call, and the answer to the call comes there as well.

What is asked, and what is answered, stands in the journal: where this process ends, the call waits on, and who asks again with the same arguments is asked again.
"""

from __future__ import annotations

import anyio
import structlog

from gateway.agents.calling import Standing
from gateway.agents.desk import Take
from gateway.api.mcp.asking import Asked
from gateway.api.mcp.desk import McpDesk, Offer
from gateway.api.mcp.replying import question_id
from gateway.api.mcp.results import request_of
from gateway.core.errors import SwitchgearError

log = structlog.get_logger()

_LAST_SECONDS = 5.0


class Talk:
    """One call's. It ends when there is nothing more that the client can be asked, or when it has not answered for `mcp.answer_wait` seconds."""

    def __init__(self, desk: McpDesk, asked: Asked, offer: Offer) -> None:
        self._desk = desk
        self._asked = asked
        self._offer = offer
        self._said: set[str] = set()

    async def over(self, standing: Standing, take: Take) -> Standing:
        """Ask until the call has ended, or waits for somebody else; give how it stands then. `take` is given the events meanwhile.

        Who leaves meanwhile has the call given up.
        """
        usable = not self._asked.modern and self._asked.can and self._desk.states.usable
        while standing.state == "waiting" and usable:
            if not await self._ask(standing):
                break
            before = standing
            standing = await self._wait(before, take)
            if standing.state == "waiting" and {each.id for each in standing.asked} <= self._said:
                break
        return standing

    async def _ask(self, standing: Standing) -> bool:
        """Ask what was not asked yet; False where nothing is under way that this client may answer."""
        open_ = False
        for approval in standing.asked:
            if approval.id not in self._said:
                request = request_of(approval, self._asked)
                asked = self._asked
                name = question_id(self._desk.states, asked.caller, asked.session, approval.id)
                if request is None or not await asked.say({"jsonrpc": "2.0", "id": name, **request}):
                    continue
                self._said.add(approval.id)
            open_ = True
        return open_

    async def _wait(self, standing: Standing, take: Take) -> Standing:
        calling, caller = self._desk.calling, self._asked.caller
        try:
            return await calling.wait(caller, standing.name, take, seconds=self._offer.settings.answer_wait)
        except anyio.get_cancelled_exc_class():
            if self._asked.left:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                    try:
                        await calling.stop(caller, standing.name)
                    except SwitchgearError as error:
                        log.warning("mcp.not_cancelled", run=standing.name, reason=error.message)
            raise
