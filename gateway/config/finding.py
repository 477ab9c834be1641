"""What a check of the settings found."""

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. `path` (keys, and indices of lists) leads from the checked struct to the culprit; empty is the struct.

    `needs` names the fields that the check relied on: when one of them is faulty already, this finding says nothing new.
    """

    message: str
    path: tuple[str | int, ...] = ()
    needs: tuple[str, ...] = ()
