"""Tells who listens that there are other tools, resources or prompts than before. It keeps nothing: who hears of it asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

ChangeKind = Literal["tools", "resources", "prompts"]
CHANGES: Final[tuple[ChangeKind, ...]] = ("tools", "resources", "prompts")
Listener = Callable[[ChangeKind], None]


class Changes:
    """The listeners of one hub. A listener must not wait and must not raise; it is called in the hub's event loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}
        self._tools: dict[str, object] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """From now on tell it. Gives what ends that, as often as one likes."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    def tell(self, kind: ChangeKind) -> None:
        """Something of this kind is new, gone, or another."""
        for listener in tuple(self._listeners.values()):
            listener(kind)

    def tell_all(self) -> None:
        """Everything may be another: the configuration, or what callers may use, is."""
        for kind in CHANGES:
            self.tell(kind)

    def tools_of(self, server: str, tools: object) -> None:
        """The tools of a server that may be called are these now: a list that is equal to the last is no change."""
        if self._tools.get(server, ()) != tools:
            self._tools[server] = tools
            self.tell("tools")
