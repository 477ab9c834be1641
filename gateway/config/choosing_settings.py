"""Settings of the strategies that look at the call itself: rules, and which targets are for hard calls."""

from typing import Annotated

import msgspec
from msgspec import Meta


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one kind, and the targets that they go to. The first rule that holds counts."""

    use: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="The targets to ask, in order, by their `name` or as provider/model."),
    ]
    when: Annotated[
        str, Meta(description='A condition over the call, as `tokens > 8000 or has_images`. "" holds for every call.')
    ] = ""
    only: Annotated[
        bool, Meta(description="Whether nobody else is asked; else the other targets follow, as written.")
    ] = False
