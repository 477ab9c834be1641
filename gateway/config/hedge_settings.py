"""Settings of hedging: when a second target is asked although the first has not failed."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

HedgeSeconds: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A second target is asked when the first takes longer to begin than it nearly always does. Only calls without side effects."""

    quantile: Annotated[
        float,
        Meta(
            ge=0.5, le=0.999, description="Share of a target's own recent times to the first token that is waited out."
        ),
    ] = 0.95
    least: Annotated[
        HedgeSeconds, Meta(description="Seconds that are waited at least, however quick the target was.")
    ] = 0.1
    most: Annotated[HedgeSeconds, Meta(description="Seconds that are waited at most, however slow it was.")] = 30.0
    after: Annotated[
        HedgeSeconds, Meta(description="Seconds that are waited while too little is known of the target's times.")
    ] = 5.0
    share: Annotated[
        float,
        Meta(ge=0, le=1, description="Most share of a model's calls that may be hedged; 0 turns hedging off."),
    ] = 0.05
