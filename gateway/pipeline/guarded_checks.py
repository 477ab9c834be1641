"""The guardrails that need nobody else: banned words, signs of injection, personal data and secrets, length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.core.call import Call
from gateway.protection.detect import detect
from gateway.protection.injection import injection_signals
from gateway.protection.redaction import Action
from gateway.protection.verdict import ALLOW, Edit, Verdict
from gateway.protection.words import Words


class WordsJudge:
    """Stops texts that hold one of the phrases."""

    def __init__(self, words: Words) -> None:
        self._words = words

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts."""
        del call
        found = any(True for text in texts for _ in self._words.find(text))
        return Verdict(decision="block", reason="a banned phrase") if found else ALLOW


class InjectionJudge:
    """Stops texts whose signals reach the threshold (from 0 to 1)."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts."""
        del call
        for text in texts:
            score, names = injection_signals(text)
            if score >= self._threshold:
                return Verdict(decision="block", reason=f"{score:.2f}: {', '.join(names)}")
        return ALLOW


class PiiJudge:
    """Stops, or takes out, what detectors find. `actions` are by kind; block wins over redact."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._actions = actions
        self._kinds = frozenset(actions)

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts."""
        del call
        findings = [detect(text, self._kinds) for text in texts]
        kinds = {found.kind for each in findings for found in each}
        blocked = sorted(kind for kind in kinds if self._actions[kind] == "block")
        if blocked:
            return Verdict(decision="block", reason=", ".join(blocked))
        edits = tuple(
            tuple(Edit(start, end, f"[{kind.upper()}]") for kind, start, end in each if self._actions[kind] == "redact")
            for each in findings
        )
        return Verdict(decision="replace", reason=", ".join(sorted(kinds)), edits=edits) if any(edits) else ALLOW


class LengthJudge:
    """Stops texts that are together longer than `longest` characters."""

    def __init__(self, longest: int) -> None:
        self._longest = longest

    async def __call__(self, texts: Sequence[str], call: Call) -> Verdict:
        """Judge texts."""
        del call
        size = sum(map(len, texts))
        if size > self._longest:
            return Verdict(decision="block", reason=f"{size} characters, {self._longest} may be")
        return ALLOW
