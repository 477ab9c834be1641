"""Builds what answers each configured model: the ordered list of stages, once per generation of the configuration.

The order, outermost first. Each stage is there only when the route uses it:
    Recorded      one record a call, settled whatever happens; opens the ledger's entry
    Authorized    may this caller use this model, and the tools that its provider runs?
    Limited       rates, concurrency and budgets: reserved here, settled with the record
    Guarded       guardrails that judge once, wherever the call goes
    Fallback      several targets, tried in order until the commit point
    Guarded       guardrails of this target
    Redacted      what this target must not see is taken out, and put back into its answer
    provider      the exchange with one upstream
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.accounting.limits.estimates import CountInput, count_by_length
from gateway.core.clock import Clock
from gateway.core.content import Operation
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.pipeline.authorized import Authorized
from gateway.pipeline.limited import Limited, Limits
from gateway.pipeline.recorded import Cost, OpenEntry, Recorded, TakeJudged, TakeRecord
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Resource
from gateway.policies.facts import model as resource
from gateway.providers.provider import Health, Provider
from gateway.routing.fallback import Fallback


class Guards(Protocol):
    """Data protection: what it puts around routes and targets. Where nothing applies it puts nothing."""

    def opens(self, model: str, targets: Sequence[Target]) -> bool:
        """Whether calls for this model have to be decoded, because somebody may look inside."""
        ...

    def around_route(self, inner: Responder, model: str) -> Responder:
        """Put around a route what does not depend on where a call goes."""
        ...

    def around_target(self, inner: Responder, model: str, target: Target) -> Responder:
        """Put around a target what depends on where a call goes."""
        ...


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A configured model: what answers for it, and what the edge must know before it asks.

    `unasked` answers those who ask in the operator's name, as guardrails do: it asks nobody's leave, and counts for no limit.
    """

    model: str
    description: str | None
    targets: tuple[Target, ...]
    providers: tuple[Provider, ...]
    responder: Responder
    unasked: Responder
    subject: Resource
    opened: bool = False
    relaying: dict[str, bool] = {}

    def relays(self, dialect: str) -> bool:
        """Whether calls of this dialect go out as they came at every target, so that they need not be decoded.

        Asked with every call, and always the same: it is remembered in `relaying`.
        """
        known = self.relaying.get(dialect)
        if known is None:
            relays = not self.opened and all(provider.relays(dialect) for provider in self.providers)
            known = self.relaying[dialect] = relays
        return known

    def serves(self, operation: Operation) -> bool:
        """Whether at least one target does this at all."""
        return any(provider.serves(operation) for provider in self.providers)

    def health(self) -> tuple[Health, ...]:
        """Give the state of each target's provider."""
        return tuple(
            provider.health(target.model) for target, provider in zip(self.targets, self.providers, strict=True)
        )


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages need from outside. `open_entry` notes a call before it leaves; None where nothing keeps a ledger."""

    take_record: TakeRecord
    cost: Cost
    clock: Clock
    prices: str = ""
    open_entry: OpenEntry | None = None
    authorizer: Authorizer | None = None
    limits: Limits | None = None
    guards: Guards | None = None
    take_judged: TakeJudged | None = None


def build_route(
    model: str,
    targets: Sequence[Target],
    providers: Mapping[str, Provider],
    surroundings: Surroundings,
    *,
    description: str | None = None,
    count_input: CountInput = count_by_length,
) -> Route:
    """Put the stages of one model together. `count_input` counts the tokens of a prompt as the model does, or nearly."""
    owners = tuple(providers[target.provider] for target in targets)
    guards = surroundings.guards
    opened = guards is not None and guards.opens(model, targets)
    answering = [(target, owner.responder(target)) for target, owner in zip(targets, owners, strict=True)]
    if guards is not None:
        answering = [(target, guards.around_target(responder, model, target)) for target, responder in answering]
    answer: Responder = answering[0][1] if len(answering) == 1 else Fallback(answering)
    responder = answer if guards is None else guards.around_route(answer, model)
    if surroundings.limits is not None:
        responder = Limited(responder, surroundings.limits, count_input)
    subject = resource(model, tuple(dict.fromkeys(target.provider for target in targets)))
    if surroundings.authorizer is not None:
        responder = Authorized(responder, authorizer=surroundings.authorizer, subject=subject)
    return Route(
        model=model,
        description=description,
        targets=tuple(targets),
        providers=owners,
        responder=_recorded(responder, targets, surroundings, surroundings.take_judged if opened else None),
        unasked=_recorded(answer, targets, surroundings, surroundings.take_judged if opened else None),
        subject=subject,
        opened=opened,
    )


def _recorded(
    inner: Responder, targets: Sequence[Target], surroundings: Surroundings, take_judged: TakeJudged | None
) -> Recorded:
    return Recorded(
        inner,
        targets=targets,
        take=surroundings.take_record,
        cost=surroundings.cost,
        clock=surroundings.clock,
        prices=surroundings.prices,
        open_entry=surroundings.open_entry,
        take_judged=take_judged,
    )
