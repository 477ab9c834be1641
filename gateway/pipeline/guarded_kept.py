"""Takes out of answers that are to be kept what data protection would take out on their way to a model. It asks no guardrail."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.call import Call
from gateway.core.items import Json
from gateway.pipeline.redacted import FindsNames, RedactionRule, strictest
from gateway.protection.finding import NAMES
from gateway.protection.known_names import NO_NAMES
from gateway.protection.placeholders import Placeholders
from gateway.protection.prose import Prose
from gateway.protection.redaction import Redactor


class Cleaner:
    """Cleans by those rules that apply wherever the answers come from. What a rule blocks may not be kept."""

    def __init__(self, rules: Sequence[RedactionRule], names: FindsNames | None) -> None:
        self._rules = tuple(rules)
        self._names = names

    async def __call__(self, call: Call, content: Json) -> Json:
        """Give what may be kept of `content`; None where it may not be kept. Raises Unavailable where names cannot be looked for."""
        actions = strictest([rule for rule in self._rules if rule.match.applies(call.caller)])
        if not actions:
            return content
        names = NO_NAMES
        if NAMES & actions.keys() and self._names is not None:
            prose = Prose()
            prose.json(content)
            Prose(spaced=True, known=prose.texts).json(call.fields)
            names = await self._names.find(tuple(prose.texts))
        placeholders = Placeholders()
        redactor = Redactor(actions, placeholders, names)
        # What the request held is known now, and is taken out of the answers however it is written there.
        redactor.json(call.fields)
        if redactor.blocked:
            return None
        cleaned = redactor.json(content)
        return (
            None
            if redactor.blocked
            else _without(cleaned, {value: place for place, value in placeholders.values.items()})
        )


def _without(content: Json, places: dict[str, str]) -> Json:
    if isinstance(content, str):
        for value, place in places.items():
            content = content.replace(value, place)
        return content
    if isinstance(content, dict):
        return {name: _without(value, places) for name, value in content.items()}
    return [_without(value, places) for value in content] if isinstance(content, list) else content
