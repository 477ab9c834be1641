"""Waits for an answer on its client's behalf: who leaves, or a server that goes down, ends it with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from gateway.api.asgi import Scope
from gateway.api.edge import Answering, Edge
from gateway.core.call import Call
from gateway.core.errors import ClientLeft, InternalError, SwitchgearError
from gateway.pipeline.interruption import Interruption

log = structlog.get_logger()

C = TypeVar("C", bound=Call | None)
R = TypeVar("R", bound=Answering)


async def attend(edge: Edge, scope: Scope, call: C, responder: Callable[[C, R], Awaitable[None]], relay: R) -> None:
    """Let `responder` answer `call` into `relay`; what it raises ends the answer. A client that has left is told nothing."""
    interruption = Interruption()
    departure = scope.get("extensions", {}).get("switchgear.departure")
    if departure is not None:
        departure.subscribe(interruption.client_left)
    edge.in_progress[interruption] = relay
    try:
        await responder(call, relay)
    except asyncio.CancelledError:
        error = interruption.settle()
        if error is None:
            raise
        if not isinstance(error, ClientLeft):
            await relay.fail(error)
    except SwitchgearError as error:
        await relay.fail(error)
    except Exception:
        log.exception("call.crashed", call="" if call is None else call.id)
        await relay.fail(InternalError())
    finally:
        del edge.in_progress[interruption]
        if departure is not None:
            departure.unsubscribe()
