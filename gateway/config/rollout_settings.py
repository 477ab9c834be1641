"""Settings of rollouts: how fast a challenger gets its share of a model's calls, and by which figures it is judged."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.config.routing_settings import Seconds, Share


class RolloutSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger takes a model over step by step, and goes back by itself when it is worse.

    A tolerance is how much worse it may look before it is judged; it goes back where it is worse by more, and that is no chance.
    """

    stable: Annotated[str, Meta(description="The version that has the calls now.")]
    challenger: Annotated[str, Meta(description="The version that is to take over.")]
    steps: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=100)], ...],
        Meta(min_length=1, max_length=100, description="The challenger's share at each step, in percent; 100 ends it."),
    ] = (1, 5, 25, 50, 100)
    dwell: Annotated[
        float, Meta(ge=0, le=31_536_000, description="Seconds that every step before the last one takes at least.")
    ] = 60.0
    least: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="Calls of both versions that every step before the last one takes at least.",
        ),
    ] = 50
    evidence: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="Calls of each version, all steps together, that the last step waits for.",
        ),
    ] = 1000
    alpha: Annotated[
        float,
        Meta(
            gt=0,
            le=0.5,
            description="How probable it may be, over the whole rollout, that an equal challenger goes back.",
        ),
    ] = 0.05
    error_rate: Annotated[
        Share | None,
        Meta(description="Tolerance for the share of failed calls: 0.02 is two points; null compares none."),
    ] = 0.02
    first_token: Annotated[
        float | None,
        Meta(
            ge=0,
            le=100,
            description="Tolerance for the time to the first token: 0.2 is a fifth longer; null compares none.",
        ),
    ] = 0.2
    cost: Annotated[
        float | None,
        Meta(ge=0, le=100, description="Tolerance for the cost of a call: 0.2 is a fifth dearer; null compares none."),
    ] = None
    score: Annotated[
        str | None,
        Meta(
            min_length=1,
            max_length=64,
            description="Name of the score that is compared, as callers send it; null compares none.",
        ),
    ] = None
    score_drop: Annotated[Share, Meta(description="Tolerance for the mean score, which goes from 0 to 1.")] = 0.05
    tick: Annotated[
        Seconds, Meta(description="Seconds between looks at the evidence, which replicas exchange then.")
    ] = 1.0
