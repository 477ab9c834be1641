"""Which calls have answers that may be cached: by what they ask for, not by what the model says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from gateway.core.call import Call
from gateway.core.items import Json

DEFAULT_TEMPERATURE: Final = 1.0
"""That of a call which names none, in every API."""
_MANY: Final = ("n", "best_of")
_LOGPROBS: Final = ("logprobs", "top_logprobs", "prompt_logprobs")
_STATE: Final = ("background", "previous_response_id", "conversation", "container", "context_management", "store")
"""Fields that read or change what the provider keeps: an answer from the cache would leave that out."""
_REMEMBERING: Final = "openai_responses"
_TOOLS: Final = ("tools", "functions")
_ACTING: Final = ("data_sources", "mcp_servers", "plugins", "search_parameters", "web_search_options")
_CONTENT: Final = ("messages", "input", "system", "prompt", "instructions", "documents")
_PLAIN_TOOLS: Final = ("function", "custom", None)
_TELLING: Final = frozenset(
    ("temperature", "include", "prompt", "audio", "modalities", *_MANY, *_LOGPROBS, *_STATE, *_TOOLS, *_ACTING)
)
"""Where none of these is, nothing speaks against the cache but what is attached."""
_NOT_READ: Final = frozenset({"annotations", "arguments", "citations", "logprobs", "text"})
_OUTSIDE: Final = frozenset({"audio_url", "file_id", "file_url", "image_url", "type", "url", "video_url"})
_WITH_ARGUMENTS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")
_MOST_DEEP: Final = 12


class Bounds(Protocol):
    """What a model's settings say."""

    @property
    def most_temperature(self) -> float:
        """Calls with a higher one are not cached, nor those that name none where it is below `DEFAULT_TEMPERATURE`."""
        ...

    @property
    def tools(self) -> bool:
        """Whether calls that offer tools are."""
        ...


def why_not(call: Call, bounds: Bounds) -> str:
    """Give in a word why a call's answer is neither looked for nor kept; empty where it may be."""
    fields = call.fields
    if call.shadow_of:
        return "shadow"
    if call.operation == "count_tokens":
        return "count_tokens"
    if not fields:
        return "edited"  # a guardrail has changed what was asked: the body does not say it any more
    if call.operation == "generate" and (why := _generating(fields, bounds)):
        return why
    return "attachment" if _refers(fields) else ""


def is_remembered(call: Call) -> bool:
    """Whether an upstream that speaks the Responses API keeps the answer, to go on from it by its id: it does unless it is told not to.

    Where a call is written anew for an upstream it is told so.
    """
    return call.dialect == _REMEMBERING and call.operation == "generate" and call.fields.get("store") is not False


def _generating(fields: Mapping[str, Json], bounds: Bounds) -> str:
    if _TELLING.isdisjoint(fields):
        return "temperature" if bounds.most_temperature < DEFAULT_TEMPERATURE else ""
    temperature = fields.get("temperature")
    if temperature is None:
        temperature = DEFAULT_TEMPERATURE
    if isinstance(temperature, (int, float)) and temperature > bounds.most_temperature:
        return "temperature"
    if several := _several(fields):
        return several
    if any(_is_given(fields.get(name)) for name in _LOGPROBS) or _asks_logprobs(fields.get("include")):
        return "logprobs"
    for name in _STATE:
        if fields.get(name):
            return name
    if _template_without_version(fields.get("prompt")):
        return "prompt"
    if _speaks(fields):
        return "audio"
    return "tools" if _acts(fields, bounds) else ""


def _several(fields: Mapping[str, Json]) -> str:
    """Give the name by which several answers are wanted: one for each of several prompts is that, too."""
    for name in _MANY:
        many = fields.get(name)
        if many is not None and many != 1:
            return name
    prompt = fields.get("prompt")
    if not isinstance(prompt, list) or len(prompt) < 2:
        return ""
    return "" if all(isinstance(each, int) for each in prompt) else "n"  # a list of numbers is one prompt, in tokens


def _is_given(value: Json) -> bool:
    return value is not None and value is not False  # 0 asks for the one that was chosen


def _acts(fields: Mapping[str, Json], bounds: Bounds) -> bool:
    """Whether something besides an answer may come of it: tools that may be called, or that the provider runs itself."""
    if any(fields.get(name) not in (None, [], False) for name in _ACTING):
        return True
    tools = [tool for name in _TOOLS for tool in _list(fields.get(name))]
    if not tools or _kind(fields.get("tool_choice")) == "none":
        return False
    return not bounds.tools or any(_runs_at_provider(tool) for tool in tools)


def _runs_at_provider(tool: Json) -> bool:
    return not isinstance(tool, dict) or tool.get("type") not in _PLAIN_TOOLS


def _speaks(fields: Mapping[str, Json]) -> bool:
    return fields.get("audio") is not None or any(each != "text" for each in _list(fields.get("modalities")))


def _asks_logprobs(include: Json) -> bool:
    return any(isinstance(each, str) and "logprobs" in each for each in _list(include))


def _template_without_version(prompt: Json) -> bool:
    """A prompt that the provider keeps (Responses API) changes unseen, unless its version is said."""
    return isinstance(prompt, dict) and not prompt.get("version")


def _kind(choice: Json) -> Json:
    return choice.get("type") if isinstance(choice, dict) else choice


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _refers(fields: Mapping[str, Json]) -> bool:
    """Whether something is attached that is not in the body itself: behind an address or a file's id there may be other content tomorrow."""
    for name in _CONTENT:
        value = fields.get(name)
        if isinstance(value, (list, dict)) and _outside(value, 0):
            return True
    return False


def _outside(value: Json, depth: int) -> bool:
    if depth > _MOST_DEEP:
        return True  # nobody nests content so deep: what cannot be seen through is not cached
    if isinstance(value, list):
        return any(isinstance(each, (list, dict)) and _outside(each, depth + 1) for each in value)
    if value.get("type") in _WITH_ARGUMENTS:
        return False  # its `input` are arguments, where an address is only a text
    for name, each in value.items():
        if isinstance(each, str):
            if name in _OUTSIDE and _is_outside(name, each):
                return True
        elif isinstance(each, (list, dict)) and name not in _NOT_READ and _outside(each, depth + 1):
            return True
    return False


def _is_outside(name: str, value: str) -> bool:
    if name == "type":
        return value == "item_reference"
    return name == "file_id" or not value.startswith("data:")
