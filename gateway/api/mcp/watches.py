"""Single resources that clients watch, in either revision: which of them somebody may watch, and the watching at their servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from gateway.api.mcp.offering import Asker, McpOffers
from gateway.core.caller import Caller
from gateway.policies.facts import offered


class Watches:
    """Over what clients have besides tools. URIs are those that clients see."""

    def __init__(self, offers: McpOffers) -> None:
        self._offers = offers

    def allowed(self, caller: Caller, uris: Iterable[str]) -> frozenset[str]:
        """Give those that a caller may read now: a policy may have changed since he asked."""
        view = self._offers.view()
        allowed = set()
        for uri in uris:
            found = view.uris.inner(uri)
            if found is None or found[0] not in view.servers:
                continue
            if view.may_read(caller, *found, self._offers.servers.of(found[0])):
                allowed.add(uri)
        return frozenset(allowed)

    def note(self, asker: Asker, asked: Mapping[str, bool]) -> None:
        """Write down which somebody asked to watch, and whether he may."""
        names = self._offers.view().uris
        for uri, may in asked.items():
            if (found := names.inner(uri)) is not None:
                self._offers.note(
                    asker, "mcp.resource_watched", offered("resource", *found), "ok" if may else "not_found"
                )

    @contextmanager
    def enter(self, uris: Iterable[str], updated: Callable[[str], None]) -> Iterator[None]:
        """While the context is open, tell of resources that are others than before. `updated` must not wait and must not raise."""
        names = self._offers.view().uris
        with ExitStack() as watching:
            for uri in sorted(uris):
                found = names.inner(uri)
                watched = None if found is None else self._offers.servers.watched(found[0])
                if found is not None and watched is not None:
                    watching.enter_context(watched.watch(found[1], _telling(updated, uri)))
            yield


def _telling(updated: Callable[[str], None], uri: str) -> Callable[[str], None]:
    return lambda own: updated(uri)
