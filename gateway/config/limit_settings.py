"""Settings of limits and budgets: what is counted, for whom, in which window, and what happens at the limit."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import HttpUrl
from gateway.config.secret import Secret
from gateway.config.shapes import Expected

Count: TypeAlias = Literal["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]
Dimension: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(tenant|team|user|key|model|tag:[A-Za-z0-9._-]{1,64})$"),
    Expected(words="tenant, team, user, key, model or tag:NAME"),
]
Pattern: TypeAlias = Annotated[str, Meta(min_length=1)]
WINDOW = r"^(minute|hour|day|month|[1-9][0-9]{0,6}[smhd])$"
MOST = 9e15  # whole numbers up to here are exact in the floating point of Redis scripts
MOST_DOLLARS = MOST / 1e9


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told when a soft share of a limit is reached."""

    webhook: Annotated[HttpUrl, Meta(description="Address that gets a POST with a JSON body.")]
    secret: Annotated[
        Secret | None, Meta(description="Key that signs the body (HMAC-SHA256), as env:NAME or file:path.")
    ] = None


class LimitRuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: how much of `count` each distinct `per` may use in a window."""

    count: Annotated[
        Count,
        Meta(
            description="What is counted: calls, tokens, calls at the same moment (concurrent), or US dollars (cost)."
        ),
    ] = "requests"
    limit: Annotated[float, Meta(ge=0, description="How much, in the unit of `count`; dollars for cost.")]
    per: Annotated[
        tuple[Dimension, ...],
        Meta(description="A counter for each distinct combination of these; none is one counter for all."),
    ] = ()
    match: Annotated[
        dict[Dimension, tuple[Pattern, ...]],
        Meta(
            description="Which calls it holds for: a value of each must be listed; a `*` at the end matches the rest."
        ),
    ] = msgspec.field(default_factory=dict)
    window: Annotated[
        str,
        Meta(pattern=WINDOW, description="minute, hour, day, month, or a length: 30s, 15m, 6h, 7d."),
        Expected(words="minute, hour, day, month, or a length such as 30s, 15m, 6h or 7d"),
    ] = "minute"
    window_kind: Annotated[
        Literal["rolling", "calendar"],
        Meta(description="rolling looks back from now; calendar begins again on the hour, at midnight, on the 1st."),
    ] = "rolling"
    time_zone: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9_+/-]+$", description="Time zone of a calendar window, such as Europe/Berlin."),
        Expected(words="the name of a time zone, such as Europe/Berlin"),
    ] = "UTC"
    soft: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=1)], ...],
        Meta(description="Shares of the limit at which an alert goes out, once a window: 0.8 is 80 %."),
    ] = ()
    hard: Annotated[bool, Meta(description="Whether calls beyond the limit are refused; false only counts.")] = True
    alert: Annotated[AlertSettings | None, Meta(description="Who is told; null leaves it to the metric.")] = None
    on_loss: Annotated[
        Literal["share", "refuse", "admit"],
        Meta(
            description="While Redis is lost: this replica's share of what was left, or refuse calls, or admit them all."
        ),
    ] = "share"


def rule_problems(rule: LimitRuleSettings) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for what is wrong between the fields of a rule; budgets of the admin API ask it too."""
    if rule.window_kind == "calendar" and rule.window not in {"minute", "hour", "day", "month"}:
        yield "window", "a calendar window is a minute, hour, day or month"
    if rule.count != "cost" and rule.limit != int(rule.limit):
        yield "limit", f"a number of {rule.count} is whole"
    if rule.limit > (MOST_DOLLARS if rule.count == "cost" else MOST):
        yield "limit", "is too large to be counted exactly"
    if rule.window_kind == "calendar" and not _is_zone(rule.time_zone):
        yield "time_zone", f"no time zone is called {rule.time_zone}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError, the name of a folder an OSError
        return False
    return True
