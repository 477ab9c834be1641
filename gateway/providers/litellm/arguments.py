"""A call -> the arguments of a litellm function. Only what OpenAI's API has goes in.

litellm takes everything by keyword: where to send the key, a made-up answer, fallbacks. So a field of a client's body is
passed on when it is known to be harmless, and refused by name when it is not; nothing that a client writes can say more
than a chat request or a request to embed can.
"""

from __future__ import annotations

import msgspec

from gateway.config.provider_settings import LitellmSettings
from gateway.config.secret import Secret
from gateway.core.call import Call
from gateway.core.errors import UnsupportedParameter
from gateway.core.target import Target
from gateway.dialects.dialect import Dialect

CHAT = frozenset(
    {
        *("messages", "temperature", "top_p", "n", "stop", "seed", "max_tokens", "max_completion_tokens", "user"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity"),
        *("modalities", "audio", "prediction", "service_tier", "web_search_options", "safety_identifier"),
        *("stream", "stream_options", "prompt_cache_key"),
    }
)
EMBED = frozenset({"input", "dimensions", "user"})
# The form of the vectors is made here, on the way to the client.
_OURS = frozenset({"model", "encoding_format"})


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """What to call litellm with, and the parameters that were left out by permission."""

    values: dict[str, object]
    dropped: tuple[str, ...] = ()


def fixed(settings: LitellmSettings) -> dict[str, object]:
    """Give the arguments of every call: where it goes, with which key, and that litellm retries nothing and drops nothing."""
    extra = {name: value.reveal() if isinstance(value, Secret) else value for name, value in settings.extra.items()}
    return {
        **extra,
        "api_base": settings.api_base,
        "api_key": None if settings.api_key is None else settings.api_key.reveal(),
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": False,
    }


def arguments(call: Call, target: Target, dialect: Dialect, known: frozenset[str]) -> Arguments:
    """Encode the call in `dialect`. Raises UnsupportedParameter for a field that is not `known`, unless it may be dropped."""
    if call.content is None:
        msg = "a call through litellm is never verbatim"
        raise RuntimeError(msg)
    encoded = dialect.encode_call(call.content, model=target.model, stream=call.stream, drop=target.drop)
    foreign = tuple(name for name in encoded.body if name not in known and name not in _OURS)
    if foreign and not target.drop:
        raise UnsupportedParameter(f"`{foreign[0]}` is not passed on to {target.name}.", param=foreign[0])
    values: dict[str, object] = {name: value for name, value in encoded.body.items() if name in known}
    return Arguments(values=values, dropped=(*encoded.dropped, *foreign))
