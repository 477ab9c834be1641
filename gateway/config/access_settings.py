"""Settings of who is let in: virtual keys, tokens of an identity provider, and whether anybody is."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is let in besides the keys of `server.keys`. Virtual keys live in the database."""

    anonymous: Annotated[
        Literal["auto", "never"],
        Meta(description="auto lets anybody on this machine in while nothing to authenticate with exists."),
    ] = "auto"
