"""Which targets go on with an answer whose beginning they are given (prefill), and how they are told to. What is not known does not."""

from __future__ import annotations

import re
from typing import Final, Literal

from gateway.config.provider_settings import AnthropicSettings, ProviderSettings, ScriptedSettings, VllmSettings

Prefill = Literal["turn", "vllm"]
"""turn: the assistant's turn comes last; vllm: it does, and two fields of vLLM's say that it is to be gone on with."""

_CLAUDE: Final = re.compile(
    r"claude-(?:2|3|instant)\b.*|claude-(?:haiku|opus|sonnet)-4(?:-[0-5])?(?:-latest|[-@]\d{8})?"
).fullmatch
"""Models up to 4.5. Later ones refuse a conversation that ends with the assistant's turn (Anthropic's notes on Claude 4.6)."""


def prefill_of(provider: ProviderSettings, model: str, *, written: bool | None) -> Prefill | None:
    """Give how a target is told to go on; None where it is not known to. `written` is what the configuration says of it."""
    if written is None:
        written = isinstance(provider, (ScriptedSettings, VllmSettings)) or (
            isinstance(provider, AnthropicSettings) and _CLAUDE(model) is not None
        )
    if not written:
        return None
    return "vllm" if isinstance(provider, VllmSettings) else "turn"
