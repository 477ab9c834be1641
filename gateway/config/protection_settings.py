"""Settings of data protection: what is looked for in prompts and answers, and what is done about it."""

import msgspec


class ProtectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for, and where."""
