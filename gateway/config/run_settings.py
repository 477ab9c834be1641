"""Settings of stored responses and the runs behind them: how long they are kept, how many run here, and what bounds them."""

from typing import Annotated

import msgspec
from msgspec import Meta


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Stored responses, their runs, and conversations. They need `database`."""

    keep_days: Annotated[
        int | None,
        Meta(
            ge=1, le=36_500, description="Days after which a response is forgotten; null keeps it until it is deleted."
        ),
    ] = 30
    unfinished: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most background responses of one tenant that wait or run.")
    ] = 1000
    at_once: Annotated[
        int, Meta(ge=1, le=10_000, description="Most background responses that one process runs at once; others wait.")
    ] = 128
    lease: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Seconds after which another process takes over a run whose process does not say that it lives.",
        ),
    ] = 15.0
    poll: Annotated[
        float, Meta(gt=0, le=60, description="Seconds between two looks for runs that other processes made or left.")
    ] = 1.0
    run_timeout: Annotated[
        float, Meta(gt=0, le=604_800, description="Most seconds that a run may execute; then it fails.")
    ] = 3600.0
    tools_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Seconds that a run waits for its servers of tools that are starting; then it goes on without them, and says so.",
        ),
    ] = 30.0
    chain: Annotated[
        int, Meta(ge=1, le=10_000, description="Most responses that one goes on from, by previous_response_id.")
    ] = 500
    context_items: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most items that a model is given, and that a conversation has.")
    ] = 10_000
    context_bytes: Annotated[
        int, Meta(ge=1024, le=1024**3, description="Most bytes of the items that a model is given (default 32 MiB).")
    ] = 32 * 1024 * 1024
    steps: Annotated[
        int, Meta(ge=1, le=100_000, description="Most answers of its model in one run that uses tools of this server.")
    ] = 100
    tool_calls: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Most calls of tools that one run makes; `max_tool_calls` of a request can only lower it.",
        ),
    ] = 500
    reads_at_once: Annotated[
        int, Meta(ge=1, le=64, description="Most tools that one run asks at once; only such as change nothing.")
    ] = 8
    agents_at_once: Annotated[
        int, Meta(ge=1, le=64, description="Most agents that one run calls at once; each is a run of its own.")
    ] = 8
    agent_depth: Annotated[
        int,
        Meta(ge=1, le=20, description="Most levels of agents below a run: agents that call agents that call agents."),
    ] = 4
    result_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=16 * 1024**2,
            description="Bytes of a tool's result that a model is given; the rest is kept, and it may read on.",
        ),
    ] = 32 * 1024
