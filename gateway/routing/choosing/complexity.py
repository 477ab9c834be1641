"""How hard a call looks, from 0 to 1: a sum of a few plain features, each with its weight. It is a guess from the outside.

It reads no meaning: a short question may be the hardest there is, and a long one may be copied text. What it costs does not
depend on how long a prompt is: only the beginning and the end of the last user message are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.core.call import Call
from gateway.routing.choosing.said import last_words, turns_of
from gateway.routing.fitness import FORMATS, is_schema

MOST_CHARACTERS: Final = 1000
"""Of the last user message, at most so many characters are looked at from its beginning and from its end."""

WEIGHTS: Final[Mapping[str, float]] = {
    "demanding": 0.50,
    "reasoning": 0.50,
    "maths": 0.30,
    "code": 0.25,
    "length": 0.25,
    "parts": 0.25,
    "context": 0.15,
    "tools": 0.10,
    "turns": 0.10,
    "schema": 0.05,
    "simple": -0.20,
}
"""What each feature, from 0 to 1, adds to the score at most. The sum is kept between 0 and 1."""

_MANY: Final[Mapping[str, float]] = {
    "length": 200,
    "context": 32_000,
    "tools": 8,
    "turns": 12,
    "parts": 5,
    "demanding": 2,
}
"""From how many on a feature that counts is 1: words, bytes of the request, tools, turns, steps that are asked for, verbs."""


def _words_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DEMANDING: Final = _words_in(
    # English
    "analyse analyze architect architecture assess compare complexity concurrent contrast criticise critique debug debugging "
    "deduce deadlock derive design diagnose disprove distributed evaluate hypothesis implement implications infer investigate "
    "justify migrate migration optimal optimise optimize plan prove proof race reason refactor rewrite rigorous scalable simulate "
    "solve strategy synthesise synthesize theorem thorough tradeoff tradeoffs trade-off trade-offs vulnerabilities vulnerability "
    # German
    "analysiere analysieren begründe begründen beweis beweise beweisen bewerte entwirf entwerfen entwickle implementiere "
    "implementieren löse optimiere optimieren plane refaktoriere untersuche vergleiche vergleichen herleiten "
    # French, Spanish, Italian, Portuguese
    "analyser analyse compare comparer concevoir concevez démontrer démontre évaluer évalue implémenter optimiser prouver résoudre "
    "analiza analizar compara comparar demostrar demuestra diseña diseñar evalúa implementa optimiza resolver "
    "analizza confronta dimostra progetta implementa ottimizza risolvi analise projete otimize resolva"
)
_SIMPLE: Final = _words_in(
    "capital convert define definition hello hey hi lowercase meaning name opposite rephrase spell synonym thank thanks "
    "time translate uppercase übersetze hallo danke bonjour merci traduis traduire hola gracias traduce ciao grazie traduci"
)
_TOLD: Final = 0.005
"""What adds less is not worth a word."""
_SHORT: Final = 40
"""Words up to which a call may count as simple."""
_EFFORTS: Final[Mapping[str, float]] = {
    "minimal": 0.0,
    "none": 0.0,
    "low": 0.2,
    "medium": 0.5,
    "high": 1.0,
    "xhigh": 1.0,
    "max": 1.0,
}
_CODE: Final = (
    "```",
    "Traceback (most",
    "SELECT ",
    "#include",
    "public class",
    "console.log",
    "def ",
    "function ",
    "=> {",
    "();",
)
_STEP_WORDS: Final = _words_in("then finally also additionally afterwards außerdem danach ensuite además poi inoltre")
_LATEX: Final = ("\\frac", "\\int", "\\sum", "\\sqrt", "\\begin{", "\\lim", "x^2", "x^3")
_SYMBOLS: Final = frozenset("∑∫√∀∃≤≥≠∈∞π²³")
_MATHS: Final = _words_in(
    "integral equation matrix eigenvalue eigenvalues probability derivative polynomial modulo theorem converge converges inequality "
    "combinatorial induction gleichung matrix ableitung wahrscheinlichkeit équation probabilité ecuación probabilidad"
)
_words = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*").findall
_bullets = re.compile(r"\n[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]").findall


class Complexity(msgspec.Struct, frozen=True):
    """A score from 0 to 1, and what each feature added to it, in the order of `WEIGHTS`; what added nothing is left out."""

    score: float
    parts: tuple[tuple[str, float], ...]

    @property
    def why(self) -> str:
        """What counted most, for people."""
        telling = [part for part in self.parts if abs(part[1]) >= _TOLD]
        most = sorted(telling, key=lambda part: -abs(part[1]))[:3]
        return f"complexity {self.score:.2f}: {', '.join(f'{name} {added:+.2f}' for name, added in most) or 'nothing stands out'}"


def complexity_of(call: Call) -> Complexity:
    """Give how hard a call looks, and why."""
    text = last_words(call)
    if len(text) > 2 * MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}\n{text[-MOST_CHARACTERS:]}"
    words = _words(text.lower())
    features = {**_of_text(text, words), **_of_fields(call)}
    parts = tuple((name, weight * features[name]) for name, weight in WEIGHTS.items() if features[name])
    return Complexity(min(max(sum(added for _, added in parts), 0.0), 1.0), parts)


def _of_text(text: str, words: list[str]) -> dict[str, float]:
    kinds = frozenset(words)
    demanding = len(_DEMANDING & kinds)
    signs = len(_SYMBOLS.intersection(text)) + len(_MATHS & kinds) + sum(sign in text for sign in _LATEX)
    # The first question is what every call has.
    asked = max(text.count("?") + text.count("？") - 1, 0) + text.count(";") + len(_bullets(text))  # noqa: RUF001 Chinese has its own
    return {
        "length": _share("length", len(words)),
        "demanding": _share("demanding", demanding),
        "maths": min(signs / 2, 1.0),
        "parts": _share("parts", asked + sum(word in _STEP_WORDS for word in words)),
        "code": float(any(mark in text for mark in _CODE)),
        "simple": float(not demanding and 0 < len(words) <= _SHORT and not _SIMPLE.isdisjoint(kinds)),
    }


def _of_fields(call: Call) -> dict[str, float]:
    fields, turns = call.fields, turns_of(call)
    tools = fields.get("tools")
    return {
        "reasoning": _reasoning(fields),
        "context": _share("context", len(call.body)),
        "tools": _share("tools", len(tools)) if isinstance(tools, list) else 0.0,
        "turns": _share("turns", len(turns) - 1) if isinstance(turns, list) and len(turns) > 1 else 0.0,
        "schema": float(any(is_schema(fields.get(name)) for name in FORMATS)),
    }


def _reasoning(fields: Mapping[str, Any]) -> float:
    """Give how much thinking the caller asks for: OpenAI's effort, Anthropic's budget."""
    asked, thinking = fields.get("reasoning"), fields.get("thinking")
    effort = fields.get("reasoning_effort")
    if effort is None and isinstance(asked, dict):
        effort = asked.get("effort")
    if isinstance(effort, str):
        return _EFFORTS.get(effort, 0.0)
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        return 1.0
    return 0.0


def _share(name: str, many: float) -> float:
    return min(many / _MANY[name], 1.0)
