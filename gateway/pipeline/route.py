"""What a configured model becomes, and what it is made of: a route, what is known of the model, and what its stages need from outside."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.accounting.limits.estimates import CountInput, count_by_length
from gateway.config.structured_settings import StructuredSettings
from gateway.core.clock import SYSTEM_CLOCK, Clock
from gateway.core.content import Operation
from gateway.core.responder import Responder
from gateway.core.target import Target
from gateway.pipeline.cached_build import Caching
from gateway.pipeline.cached_plan import CachePlan
from gateway.pipeline.limited import Limits
from gateway.pipeline.recorded import Cost, OpenEntry, TakeJudged, TakeRecord
from gateway.pipeline.shadowed_plan import Clean
from gateway.pipeline.shadowing import Shadowing
from gateway.pipeline.shaped_judging import judging_means
from gateway.pipeline.shaped_means import Means
from gateway.policies.authorizer import Authorizer
from gateway.policies.facts import Resource
from gateway.providers.provider import Health, Provider
from gateway.providers.watched import is_well
from gateway.routing.affinity import Origins
from gateway.routing.condition import Conditions
from gateway.routing.fitness import Abilities
from gateway.routing.overload.line import Lines
from gateway.routing.plan import RoutingPlan
from gateway.routing.pool import AnyPool, Pool
from gateway.routing.rollouts.split import Splits
from gateway.routing.rollouts.versions import Division, VersionedPool
from gateway.routing.timing import Spawn
from gateway.schemas.worker import Judging


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

    def cleaner(self, models: Mapping[str, Sequence[Target]]) -> Clean | None:
        """Give what cleans answers of these models (by name, with their targets) that are to be kept; None where nothing applies."""
        ...


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A configured model: what answers for it, and what the edge must know before it asks.

    `unasked` answers those who ask in the operator's name, as guardrails do: it asks nobody's leave, and counts for no limit.
    `beside` answers copies of callers' calls (shadows): it asks whether the caller may use the model, and counts for no limit.
    `caches` says that its answers may be kept. `shapes` says that calls which ask for a form of the answer are decoded, whatever else holds. `pool` decides where calls go, `helped_by` are the pools of models that help out when its targets fail, by cause, and
    `helping` their providers. `cost` and `count_input` are what estimates are made with. `context` are the tokens that fit into the largest of its targets,
    or of those that help out where a prompt is too long, prompt and answer together; None where that is not known of all of them.
    """

    model: str
    description: str | None
    targets: tuple[Target, ...]
    providers: tuple[Provider, ...]
    responder: Responder
    unasked: Responder
    beside: Responder
    subject: Resource
    pool: Pool | VersionedPool
    helped_by: Mapping[str, Sequence[AnyPool]]
    cost: Cost
    count_input: CountInput
    helping: tuple[Provider, ...] = ()
    context: int | None = None
    opened: bool = False
    caches: bool = False
    shapes: bool = False
    relaying: dict[str, bool] = {}

    def relays(self, dialect: str) -> bool:
        """Whether calls of this dialect go out as they came at every target, so that they need not be decoded.

        Asked with every call, and always the same: it is remembered in `relaying`.
        """
        known = self.relaying.get(dialect)
        if known is None:
            reached = (*self.providers, *self.helping)
            relays = not self.opened and all(provider.relays(dialect) for provider in reached)
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


def healthy_targets(routes: Mapping[str, Route]) -> dict[str, bool]:
    """Give for every target by its name whether its provider says that it is well."""
    return {
        target.name: is_well(health)
        for route in routes.values()
        for target, health in zip(route.targets, route.health(), strict=True)
    }


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the stages need from outside. `open_entry` notes a call before it leaves; None where nothing keeps a ledger.

    `conditions` are those of all targets, `splits` between the versions of models, `lines` those in which calls wait: they outlive
    what is built here. `chance` gives numbers from 0 to 1. `spawn` starts what runs beside a call, `beside` what may go on when it is over.
    `caching` is the cache, None where there is none; `policy` the version of the documents that judge calls, and `touched` tells whether
    data protection has changed or stopped something of a call (by its id), so far. `means` judge the form of answers.
    """

    take_record: TakeRecord
    cost: Cost
    clock: Clock
    prices: str = ""
    open_entry: OpenEntry | None = None
    authorizer: Authorizer | None = None
    limits: Limits | None = None
    guards: Guards | None = None
    take_judged: TakeJudged | None = None
    shadowing: Shadowing | None = None
    conditions: Conditions = msgspec.field(default_factory=lambda: Conditions(random.random))
    splits: Splits = msgspec.field(default_factory=Splits)
    chance: Callable[[], float] = random.random
    lines: Lines = msgspec.field(default_factory=Lines)
    spawn: Spawn | None = None
    means: Means = msgspec.field(default_factory=lambda: judging_means(Judging(), SYSTEM_CLOCK.monotonic))
    origins: Origins = msgspec.field(default_factory=lambda: Origins(SYSTEM_CLOCK.monotonic))
    caching: Caching | None = None
    beside: Spawn | None = None
    policy: str = ""
    touched: Callable[[str], bool] = lambda call: False


class Modelled(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built: a model's targets, how they are routed, what they are known to be able to, and what else is said of it.

    `count_input` counts the tokens of a prompt as the model does, or nearly. With `versions` the targets are those of all of them, and
    `division` says how calls are split between them. `caching` says how answers are cached, None where they are not.
    """

    targets: tuple[Target, ...]
    plan: RoutingPlan = RoutingPlan()
    abilities: Mapping[str, Abilities] = {}
    description: str | None = None
    count_input: CountInput = count_by_length
    caching: CachePlan | None = None
    structured: StructuredSettings = StructuredSettings()
    versions: Mapping[str, Modelled] = {}
    division: Division | None = None

    @property
    def parts(self) -> Sequence[Modelled]:
        """Each of its versions; where it has none, it is its only one."""
        return tuple(self.versions.values()) or (self,)
