"""Settings of active health checks: how a provider's server is asked whether it is well, without a call of a model."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.config.shapes import Expected


class HealthCheckSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is asked whether it is well. Nothing is asked of a model, so it costs no tokens."""

    path: Annotated[
        Annotated[str, Meta(pattern=r"^/[!-\"$-~]*$"), Expected(words="a path from the server's root, such as /health")]
        | None,
        Meta(
            description=(
                "Path that a well server answers with 2xx, from its root. Null: /health of vllm, else the list of models, asked for "
                "with the provider's key."
            )
        ),
    ] = None
    every: Annotated[float, Meta(ge=0.05, le=3600, description="Seconds between two checks, up to a fifth less.")] = (
        10.0
    )
    timeout: Annotated[float, Meta(gt=0, le=300, description="Seconds for the answer.")] = 5.0
    failures: Annotated[int, Meta(ge=1, le=100, description="Failed checks in a row before the server is spared.")] = 3
    successes: Annotated[int, Meta(ge=1, le=100, description="Good checks in a row before it is asked again.")] = 2
