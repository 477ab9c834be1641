"""Settings of structured output: whether answers are held to the form that was asked for, and what may be done to get there."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class StructuredSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to calls that ask for JSON, for a schema, or for strict tool arguments."""

    mode: Annotated[
        Literal["enforce", "off"],
        Meta(
            description="enforce: a finished answer has the form that was asked for, or is an error. off: it is whatever the target gives."
        ),
    ] = "enforce"
    repairs: Annotated[
        int, Meta(ge=0, le=5, description="How often a target is asked again for an answer that has not that form.")
    ] = 1
    emulate: Annotated[
        bool,
        Meta(
            description="Ask a target that has no such form by a tool or in words; else its calls go by on_unsupported."
        ),
    ] = True
    raw_bytes: Annotated[
        int, Meta(ge=0, le=1_048_576, description="Most bytes of the model's own text that an error carries.")
    ] = 8192
