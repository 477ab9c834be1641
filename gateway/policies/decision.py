"""What comes of a question to the policies, and which rules brought it about."""

from __future__ import annotations

from typing import Literal

import msgspec

Effect = Literal["allow", "deny", "ask"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One policy: its id, where it stands, what it does, and its annotations.

    `named` says that the id was written (`@id`) and so may be shown to callers; a derived one tells of files.
    """

    id: str
    path: str
    line: int
    kind: Literal["permit", "forbid"]
    text: str
    named: bool = False
    annotations: tuple[tuple[str, str], ...] = ()

    def note(self, name: str) -> str | None:
        """Give the value of an annotation, None where it is not written."""
        return dict(self.annotations).get(name)


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who has to agree: `quorum` people of one of the groups `approvers`, within `ttl` seconds."""

    approvers: tuple[str, ...]
    quorum: int
    ttl: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `why` says what brought it about.

    key: the caller's own list of models or tools; policy: the `rules`; default: no policy spoke; error: `errors` (an evaluation
    that failed is a denial). `ask` means that people may still allow it: every one of `approvals` is needed.
    """

    effect: Effect
    why: Literal["open", "key", "policy", "default", "error"]
    rules: tuple[Rule, ...] = ()
    errors: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether it may be done now; nobody has to be asked."""
        return self.effect == "allow"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the rules that decided."""
        return tuple(rule.id for rule in self.rules)


class CallDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policies say of a call of a tool. `lifted` are the built-in rules that do not hold for it.

    `unreadable`: it is refused for an argument that no policy can read, and the error says which.
    """

    decision: Decision
    lifted: frozenset[str] = frozenset()
    unreadable: bool = False


OPEN = Decision(effect="allow", why="open")
NOT_ON_KEY = Decision(effect="deny", why="key")


def strictest(approvals: tuple[Approval, ...]) -> tuple[Approval, ...]:
    """Give one approval for each set of approvers: the largest quorum asked of it; all within the shortest time."""
    if not approvals:
        return ()
    ttl = min(approval.ttl for approval in approvals)
    quorums: dict[tuple[str, ...], int] = {}
    for approval in approvals:
        quorums[approval.approvers] = max(approval.quorum, quorums.get(approval.approvers, 0))
    return tuple(Approval(approvers=who, quorum=quorum, ttl=ttl) for who, quorum in sorted(quorums.items()))
