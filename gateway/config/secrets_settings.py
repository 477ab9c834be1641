"""Settings of the encrypted secrets: the master key that wraps their data keys, and those that it replaces."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.config.secret import Secret


class SecretsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets that are kept, encrypted, in `database`, and that `secret:NAME` refers to."""

    master_key: Annotated[
        Secret | None,
        Meta(
            description="32 random bytes in base64, as env:NAME or file:path. null: no secret is kept in the database."
        ),
    ] = None
    old_master_keys: Annotated[
        tuple[Secret, ...],
        Meta(description="Master keys that may still be read with, until switchgear secret rotate has replaced them."),
    ] = ()
