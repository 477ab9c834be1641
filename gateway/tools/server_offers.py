"""What all servers offer besides tools, and how one asks for it: what is on no allow-list is asked for nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import anyio
import structlog

from gateway.core.caller import Caller
from gateway.core.clock import Clock
from gateway.core.errors import NotFound
from gateway.core.items import Json
from gateway.telemetry.metrics import Counter
from gateway.tools.hub import ToolNotReached
from gateway.tools.offers import OfferAsked, OfferRefused, Offers
from gateway.tools.upstream import Upstream
from gateway.tools.watching import Watched

log = structlog.get_logger()

PATIENCE: Final = 5.0
"""Seconds that who wants to know what there is waits for servers that have not been looked at yet."""

_METHOD_NOT_FOUND: Final = -32_601


class ServerOffers:
    """Belongs to a hub. `upstreams` gives its servers, by name; `asked` counts by server, method and outcome."""

    def __init__(self, upstreams: Callable[[], Mapping[str, Upstream]], asked: Counter, clock: Clock) -> None:
        self._upstreams = upstreams
        self._asked = asked
        self._clock = clock

    def of(self, server: str) -> Offers | None:
        """Give what is known of one server now; None where there is no such server."""
        upstream = self._upstreams().get(server)
        return None if upstream is None else upstream.shelf.offers

    async def seen(self, server: str) -> Offers | None:
        """Give what one server offers; one that has just been started is waited for. None where there is no such server."""
        upstream = await self._seen(server)
        return None if upstream is None else upstream.shelf.offers

    def watched(self, server: str) -> Watched | None:
        """Give the resources of one server that are watched; None where there is no such server."""
        upstream = self._upstreams().get(server)
        return None if upstream is None else upstream.shelf.watched

    async def known(self) -> dict[str, Offers]:
        """Give what each server offers, by its name: as it said last, for one that is down. Who was never seen offers nothing."""
        upstreams = dict(self._upstreams())
        with anyio.move_on_after(PATIENCE):
            async with anyio.create_task_group() as waiting:
                for upstream in upstreams.values():
                    # Who is down has been tried: nobody waits for what it may say one day.
                    if upstream.state in ("starting", "ready"):
                        waiting.start_soon(_looked, upstream)
        return {name: upstream.shelf.offers for name, upstream in sorted(upstreams.items())}

    async def read(
        self, server: str, uri: str, caller: Caller, *, more: Mapping[str, Json] | None = None, trace: str | None = None
    ) -> dict[str, Json]:
        """Give the server's result of reading a resource. `more` are further parameters of the protocol.

        Raises NotFound for what may not be read, OfferRefused, and ToolNotReached.
        """
        upstream = await self._seen(server)
        if upstream is None or not upstream.shelf.offers.may_read(uri):
            raise NotFound(f"There is no resource {uri[:200]!r} here.")
        params: dict[str, Json] = {"uri": uri, **(more or {})}
        return await self._ask(upstream, OfferAsked(method="resources/read", params=params, caller=caller, trace=trace))

    async def prompt(
        self, server: str, name: str, caller: Caller, *, more: Mapping[str, Json], trace: str | None = None
    ) -> dict[str, Json]:
        """Give the server's result of asking for a prompt. `more` are further parameters of the protocol, its arguments among them.

        Raises NotFound for one that is not on the allow-list or not there, OfferRefused, and ToolNotReached.
        """
        upstream = await self._seen(server)
        if upstream is None or name not in upstream.shelf.offers.prompts:
            raise NotFound(f"There is no prompt {name[:200]!r} here.")
        params: dict[str, Json] = {"name": name, **more}
        return await self._ask(upstream, OfferAsked(method="prompts/get", params=params, caller=caller, trace=trace))

    async def complete(
        self, server: str, ref: Mapping[str, Json], caller: Caller, *, more: Mapping[str, Json]
    ) -> dict[str, Json]:
        """Give the server's result of completing an argument of what `ref` names, in the server's own words; an empty one where it completes nothing.

        Raises NotFound for what is not on the allow-list, OfferRefused, and ToolNotReached.
        """
        upstream = await self._seen(server)
        if upstream is None or not _is_offered(upstream.shelf.offers, ref):
            raise NotFound("There is nothing of this name here whose arguments could be completed.")
        params: dict[str, Json] = {"ref": dict(ref), **more}
        try:
            return await self._ask(upstream, OfferAsked(method="completion/complete", params=params, caller=caller))
        except OfferRefused as error:
            if error.rpc == _METHOD_NOT_FOUND:
                return {"completion": {"values": []}}
            raise

    async def _seen(self, server: str) -> Upstream | None:
        upstream = self._upstreams().get(server)
        if upstream is not None and upstream.state in ("starting", "ready"):
            with anyio.move_on_after(PATIENCE):
                await _looked(upstream)
        return upstream

    async def _ask(self, upstream: Upstream, asked: OfferAsked) -> dict[str, Json]:
        began, outcome = self._clock.monotonic(), "cancelled"
        try:
            result = await upstream.ask(asked)
            outcome = "ok"
        except OfferRefused:
            outcome = "refused"
            raise
        except ToolNotReached:
            outcome = "not_reached"
            raise
        else:
            return result
        finally:
            self._asked.add((upstream.name, asked.method, outcome))
            took = round(self._clock.monotonic() - began, 3)
            log.info(
                "tool_server.asked",
                server=upstream.name,
                method=asked.method,
                outcome=outcome,
                s=took,
                by=asked.caller.id,
            )


async def _looked(upstream: Upstream) -> None:
    await upstream.settled()
    if upstream.state == "ready":
        await upstream.shelf.looked()


def _is_offered(offers: Offers, ref: Mapping[str, Json]) -> bool:
    if ref.get("type") == "ref/prompt":
        return ref.get("name") in offers.prompts
    written = str(ref.get("uri"))
    return written in offers.reachable or offers.template(written) is not None
