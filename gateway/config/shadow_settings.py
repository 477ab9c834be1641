"""Settings of shadows: which model gets copies of a model's calls, how many, and how long both answers are kept."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.config.shapes import Reference


class ShadowBudgetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What copies may use in each process. They count for no limit and no budget of the caller."""

    usd_per_day: Annotated[
        float | None,
        Meta(gt=0, description="US dollars a day (UTC); then a copy whose price is not known is not sent. null: any."),
    ] = None
    calls_per_minute: Annotated[int | None, Meta(ge=1, le=1_000_000, description="Copies a minute; null: any.")] = 60


class ShadowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Copies of a model's calls for another model, whose answers are only compared. Needs `database`."""

    model: Annotated[
        str, Meta(description="The model of this file that gets the copies."), Reference(to="models", noun="model")
    ]
    share: Annotated[float, Meta(gt=0, le=1, description="Share of the calls that is copied.")] = 0.05
    budget: Annotated[ShadowBudgetSettings, Meta(description="What copies may use.")] = ShadowBudgetSettings()
    most: Annotated[
        int, Meta(ge=1, le=1000, description="Sampled calls at once, from their beginning to the end of their copy.")
    ] = 4
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds that a copy may take.")] = 120.0
    answer_bytes: Annotated[
        int, Meta(ge=256, le=1024 * 1024, description="Bytes of each answer's text that are kept (default 16 KiB).")
    ] = 16 * 1024
    keep_days: Annotated[float, Meta(gt=0, le=3650, description="Days that a comparison is kept.")] = 14.0
    keep_rows: Annotated[int, Meta(ge=1, le=10_000_000, description="Comparisons of this model that are kept.")] = (
        10_000
    )
