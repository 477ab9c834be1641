"""Takes out of a call what its target must not see, and puts it back into the answer. One stage for each target.

It stands right before the provider, so that a fallback from a local target to a hosted one redacts. It detects nothing
itself, and keeps nothing after the call. Names are looked for first, by a model, where a rule asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from gateway.core.call import Call, opened
from gateway.core.errors import ContentBlocked
from gateway.core.responder import Responder, Send
from gateway.pipeline.redacted_answer import Restoring
from gateway.protection.content_walk import holds_attachment, walk
from gateway.protection.finding import NAMES
from gateway.protection.judgements import Judgements
from gateway.protection.known_names import NO_NAMES, KnownNames
from gateway.protection.matching import Match
from gateway.protection.placeholders import Placeholders
from gateway.protection.prose import Prose
from gateway.protection.redaction import STRICTNESS, Action, Redactor, find_path

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode


class FindsNames(Protocol):
    """Finds names in the texts of a call."""

    async def find(self, texts: Sequence[str]) -> KnownNames:
        """Give the names. Raises SwitchgearError where nothing may pass that was not looked through."""
        ...


class RedactionRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about what is found, where the rule matches. `attachments`: whether what cannot be read may pass."""

    name: str
    match: Match
    actions: Mapping[str, Action]
    attachments: bool = True


class Redacted:
    """A Responder around a target. `rules` are those that may apply there; the strictest action of all that match counts.

    `names` finds names for the rules that ask for them.
    """

    def __init__(
        self,
        inner: Responder,
        rules: Sequence[RedactionRule],
        judgements: Judgements,
        names: FindsNames | None = None,
    ) -> None:
        self._inner = inner
        self._rules = tuple(rules)
        self._judgements = judgements
        self._names = names

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder.

        Raises ContentBlocked for what may not pass, Unavailable where names are to be looked for and cannot be.
        """
        matching = [rule for rule in self._rules if rule.match.applies(call.caller)]
        actions = strictest(matching)
        if not all(rule.attachments for rule in matching) and holds_attachment(call.content):
            msg = "Images, sound and files cannot be looked into, and so may not be sent to this model."
            raise ContentBlocked(msg)
        placeholders = Placeholders()
        names = await self._names_in(call) if NAMES & actions.keys() else NO_NAMES
        amended = self._amended(call, actions, placeholders, names) if actions else call
        if not placeholders.values:
            await self._inner(amended, send)
            return
        await self._inner(opened(amended), Restoring(send, placeholders))

    async def _names_in(self, call: Call) -> KnownNames:
        """Ask for the names in all that a call says, as its Items have it and as its body has it."""
        if self._names is None:
            msg = "a rule that asks for names needs what finds them"
            raise RuntimeError(msg)
        said = Prose()
        walk(call.content, said)
        Prose(spaced=True, known=said.texts).json(call.fields)
        return await self._names.find(tuple(said.texts))

    def _amended(
        self, call: Call, actions: Mapping[str, Action], placeholders: Placeholders, names: KnownNames
    ) -> Call:
        """Give the call without what its target must not see; the same one where there is nothing."""
        if call.content is None:
            msg = "a route with redaction rules must decode its calls"
            raise RuntimeError(msg)
        body = Redactor(actions, placeholders, names)
        fields = body.json(call.fields)
        # Items may say what the body does not show: reasoning that travelled sealed, input of tools as it will be written.
        clean = frozenset[str]() if body.counts or body.changed else body.seen
        items = Redactor(actions, placeholders, names, clean=clean)
        content = walk(call.content, items)
        if not (body.counts or items.counts or body.changed or items.changed):
            return call
        counts = items.counts or body.counts
        self._judgements.found(call.id, counts.items())
        log.debug("content.found", call=call.id, kinds=dict(counts))
        blocked = body.blocked | items.blocked
        if blocked:
            raise _refusal(blocked, call.fields, names)
        if not (body.changed or items.changed):
            return call
        return msgspec.structs.replace(
            call, content=content, fields=fields, body=_encode(fields) if call.fields else b""
        )


def strictest(rules: Sequence[RedactionRule]) -> dict[str, Action]:
    """Give the strictest action of all rules, for each kind."""
    actions: dict[str, Action] = {}
    for rule in rules:
        for kind, action in rule.actions.items():
            if STRICTNESS[action] >= STRICTNESS[actions.get(kind, "report")]:
                actions[kind] = action
    return actions


def _refusal(kinds: set[str], fields: dict[str, object], names: KnownNames) -> ContentBlocked:
    found = ", ".join(sorted(kinds))
    msg = f"The request holds what may not be sent to this model: {found}."
    return ContentBlocked(msg, param=find_path(fields, frozenset(kinds), names=names))
