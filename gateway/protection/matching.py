"""Which rules apply to which call: by tenant, team, model, and by where the call is going."""

from __future__ import annotations

import msgspec

from gateway.core.caller import Caller


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call may go: the name of a provider, and whether it is `local`, so that nothing leaves the house."""

    provider: str
    local: bool


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule is for. Every tuple that is not empty must hold the value; a `*` at the end matches any rest.

    `providers` holds names of providers, and the words hosted and local.
    """

    tenants: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def may_apply(self, model: str, destination: Destination | None) -> bool:
        """Whether calls for this model, going there, can match: known before any call. None: wherever it goes."""
        if not _fits(self.models, model):
            return False
        if not self.providers or destination is None:
            return not self.providers
        where = "local" if destination.local else "hosted"
        return where in self.providers or _fits(self.providers, destination.provider)

    def applies(self, caller: Caller) -> bool:
        """Whether the calls of this caller match."""
        return _fits(self.tenants, caller.tenant) and _fits(self.teams, caller.team)


def _fits(patterns: tuple[str, ...], value: str) -> bool:
    """Whether one of the patterns matches; none at all match everything."""
    return not patterns or any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern for pattern in patterns
    )
