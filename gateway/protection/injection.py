"""Signals of prompt injection and jailbreaks: phrases and marks that such texts have, with weights. A signal, never proof.

Who knows the list writes around it, and honest texts about attacks have its phrases too. What must not happen has to be made
impossible elsewhere (policies on tools, approvals); this only makes the cheap attempts visible, and stops some.
Sources: OWASP LLM01:2025, the attacks of AgentDojo and of JailbreakBench.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.protection.json_escapes import readings


class Signal(NamedTuple):
    """A named pattern; `weight` from 0 to 1 is how much it says."""

    name: str
    weight: float
    pattern: re.Pattern[str]


def _signal(name: str, weight: float, pattern: str) -> Signal:
    return Signal(name, weight, re.compile(pattern))


_ABOVE: Final = r"(?:previous|prior|above|earlier|preceding|former|foregoing|existing|original|system|initial)"
_RULES: Final = (
    r"(?:instructions?|prompts?|rules?|directions?|guidelines?|messages?|commands?|context|directives?|training)"
)
_SIGNALS: Final = (
    _signal("override", 0.8, rf"\b(?:ignore|disregard|forget|override|bypass|skip|drop)\b[^.?!\n]{{0,24}}\b{_ABOVE}\b[^.?!\n]{{0,24}}\b{_RULES}"),
    _signal("override", 0.6, rf"\b(?:ignore|disregard|forget)\b[^.?!\n]{{0,16}}\b(?:everything|all|anything)\b[^.?!\n]{{0,24}}\b(?:{_ABOVE}|said|told|you)"),
    _signal("override", 0.7, r"\b(?:ignoriere|vergiss|missachte)\b[^.?!\n]{0,24}\b(?:anweisungen|regeln|vorgaben|instruktionen)"),
    _signal("override", 0.7, r"\b(?:ignore[zr]?|oublie[zr]?|ignora|olvida)\b[^.?!\n]{0,24}\b(?:instructions|consignes|instrucciones|istruzioni)"),
    _signal("role", 0.5, r"\byou are (?:now|no longer)\b|\bfrom now on,? you\b|\bpretend (?:to be|you are|that you)\b"),
    _signal("jailbreak", 0.8, r"\bdo anything now\b|\bdan mode\b|\bdeveloper mode (?:enabled|on)\b|\bjailbr(?:eak|oken)\b"),
    _signal("jailbreak", 0.5, r"\b(?:without|no|free of|ignoring) (?:any |all |your )?(?:ethical|moral|safety|content)? ?(?:restrictions|guidelines|filters|limitations|policies)\b"),
    _signal("exfiltration", 0.6, rf"\b(?:reveal|print|show|repeat|output|leak|tell me|disclose)\b[^.?!\n]{{0,24}}\b(?:system|hidden|initial|secret|your)\b[^.?!\n]{{0,12}}\b(?:{_RULES}|keys?|passwords?)"),
    _signal("exfiltration", 0.7, r"!\[[^\]]{0,64}\]\(https?://[^)\s]{0,256}[?&][^)\s]{0,64}=(?:\{|<|%7b|\[)"),
    _signal("exfiltration", 0.5, r"\b(?:send|post|forward|upload|exfiltrate|email)\b[^.?!\n]{0,40}\b(?:conversation|chat history|credentials|secrets|api keys?|tokens|passwords)\b"),
    _signal("markup", 0.8, r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?inst\]|<<sys>>"),
    _signal("markup", 0.5, r"(?:^|\n)\s{0,8}(?:###? ?)?(?:system|assistant|developer)\s?(?:message|prompt)?:\s"),
    _signal("markup", 0.4, r"</?(?:system|instructions?|tool_result|function_results?)>"),
    _signal("authority", 0.4, r"\b(?:important|urgent|attention)\b[^.?!\n]{0,24}\b(?:ai|assistant|model|agent|llm)\b[^.?!\n]{0,40}\b(?:must|should|need to|have to)\b"),
    _signal("secrecy", 0.5, r"\b(?:do not|don't|never)\b[^.?!\n]{0,16}\b(?:tell|mention|inform|alert|reveal)\b[^.?!\n]{0,24}\b(?:the )?(?:user|human|anyone)\b"),
    _signal("encoding", 0.4, r"\b(?:decode|decrypt|rot13|base64)\b[^.?!\n]{0,40}\b(?:and|then)\b[^.?!\n]{0,16}\b(?:follow|execute|run|obey|do)\b"),
)  # fmt: skip
_HIDDEN: Final = re.compile("[\U000e0020-\U000e007f]{4,}|[\u200b-\u200f\u2060-\u2064]{8,}")


def injection_signals(text: str) -> tuple[float, tuple[str, ...]]:
    """Give a score from 0 to 1 (weights joined as independent chances), and the names of the signals that were seen."""
    readable = [reading.text.lower() for reading in readings(text)]
    left, names = 1.0, set()
    for name, weight, pattern in _SIGNALS:
        if any(map(pattern.search, readable)):
            left *= 1 - weight
            names.add(name)
    if not text.isascii() and _HIDDEN.search(text):
        left *= 0.2
        names.add("hidden_text")
    return 1 - left, tuple(sorted(names))
