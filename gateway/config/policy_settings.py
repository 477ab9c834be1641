"""Settings of authorization: where the Cedar policies are, and what holds where none speaks."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which policies decide what a caller may do."""

    folder: Annotated[str, Meta(min_length=1, description="Folder of *.cedar files and cases.yaml.")] = "../policies"
    default: Annotated[
        Literal["allow", "deny"], Meta(description="What holds for a request that no policy permits or forbids.")
    ] = "allow"
