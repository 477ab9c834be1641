"""Parameters of a prompt by name: whether a call asks for one, what is left without it, and which of them an API cannot carry. Pure.

The names are those of Chat Completions, where it has one. What an API carries is not written down a second time here: its own encoder
is asked, with the parameters and a conversation of one word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec

from gateway.core.content import Content, FunctionTool, Prompt
from gateway.core.errors import SwitchgearError
from gateway.core.items import Item, Message, Text
from gateway.core.target import Parameter
from gateway.dialects.dialect import Dialect
from gateway.dialects.rest import FRAMING, HINTS

PARAMETERS: Final[tuple[str, ...]] = get_args(Parameter)

_CHAT: Final = "openai_chat"
_LIMIT: Final = "$max_tokens"
"""Where Chat Completions notes that a limit came by its old name."""
_ONE_WORD: Final = (Message(role="user", parts=(Text(text="x"),)),)
_SPECIAL: Final = (
    *(
        "frequency_penalty",
        "logprobs",
        "output",
        "presence_penalty",
        "reasoning",
        "seed",
        "service_tier",
        "top_k",
        "top_logprobs",
    ),
    "verbosity",
)
_PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "frequency_penalty": ("frequency_penalty",),
    "logprobs": ("logprobs", "top_logprobs"),
    "parallel_tool_calls": ("parallel_tool_calls",),
    "presence_penalty": ("presence_penalty",),
    "reasoning": ("reasoning",),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "top_k": ("top_k",),
    "top_p": ("top_p",),
    "verbosity": ("verbosity",),
}
_ASKS_FOR_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "frequency_penalty": (0,),
    "logprobs": (False, 0),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "verbosity": ("medium",),
}


def parameters_lost(dialect: Dialect, content: Content | None) -> tuple[str, ...]:
    """Give the names of what a prompt asks for and an API cannot carry, as its encoder names them. Elements of the conversation do not count."""
    if not isinstance(content, Prompt) or _asks_for_nothing_special(content):
        return ()
    asked = msgspec.structs.replace(content, items=_ONE_WORD)
    if _only_functions(content):
        # Every API has these; to write them down costs more than all of the rest.
        asked = msgspec.structs.replace(asked, tools=(), tool_choice=None)
    try:
        return dialect.encode_call(asked, model="m", stream=False, drop=True).refused
    except SwitchgearError:
        # It is wrong in itself, which whoever serves it says best.
        return ()


def asked_for(prompt: Prompt, names: frozenset[str]) -> tuple[str, ...]:
    """Give those of these parameters that a prompt asks for, in order."""
    return tuple(name for name in PARAMETERS if name in names and _ASKED[name](prompt))


def without(prompt: Prompt, name: str) -> Prompt:
    """Give a prompt that does not ask for a parameter.

    Instructions (`system`) become words of the user's, and a limit of tokens gets its other name: nothing that was said is lost.
    """
    if name in _PLAIN:
        return msgspec.structs.replace(prompt, **dict.fromkeys(_PLAIN[name]))
    if name == "stop":
        return msgspec.structs.replace(prompt, stop=())
    if name == "json_object":
        return msgspec.structs.replace(prompt, output=None)
    if name == "system":
        return _instructions_merged(prompt)
    rest = prompt.rest.get(_CHAT, {})
    if name == "max_completion_tokens":
        return msgspec.structs.replace(prompt, rest={**prompt.rest, _CHAT: {**rest, _LIMIT: prompt.max_output_tokens}})
    name = _LIMIT if name == "max_tokens" else name
    return msgspec.structs.replace(
        prompt, rest={**prompt.rest, _CHAT: {field: value for field, value in rest.items() if field != name}}
    )


def choices_asked(prompt: Prompt) -> int:
    """Give how many answers are asked for."""
    many = prompt.rest.get(_CHAT, {}).get("n")
    return many if isinstance(many, int) and not isinstance(many, bool) else 1


def _asks_for_nothing_special(prompt: Prompt) -> bool:
    """Whether there is nothing in a prompt that some API could not carry: most calls are so, and this is cheap to see."""
    for name in _SPECIAL:
        if getattr(prompt, name) is not None:
            return False
    if prompt.stop or (prompt.temperature is not None and prompt.temperature > 1) or not _only_functions(prompt):
        return False
    for dialect, fields in prompt.rest.items():
        known = HINTS.get(dialect, FRAMING)
        for name in fields:
            if name[0:1] != "$" and name not in FRAMING and name not in known:
                return False
    return True


def _only_functions(prompt: Prompt) -> bool:
    return all(isinstance(tool, FunctionTool) and not tool.rest for tool in prompt.tools)


def _instructions_merged(prompt: Prompt) -> Prompt:
    """Put the instructions before what the user says first; later ones are said by the user where they stand."""
    said: list[Text] = []
    items: list[Item] = []
    for item in prompt.items:
        if isinstance(item, Message) and item.role in ("system", "developer"):
            texts = [part for part in item.parts if isinstance(part, Text)]
            if not items:
                said += texts
            else:
                items.append(msgspec.structs.replace(item, role="user"))
        elif said and isinstance(item, Message) and item.role == "user":
            items.append(msgspec.structs.replace(item, parts=(*_spaced(said), *item.parts)))
            said = []
        else:
            items.append(item)
    if said:
        items.insert(0, Message(role="user", parts=tuple(said)))
    return msgspec.structs.replace(prompt, items=tuple(items))


def _spaced(said: list[Text]) -> list[Text]:
    return [Text(text=f"{part.text}\n\n") for part in said]


def _plain(name: str) -> Callable[[Prompt], bool]:
    neutral = (None, *_ASKS_FOR_NOTHING.get(name, ()))
    return lambda prompt: any(getattr(prompt, field) not in neutral for field in _PLAIN[name])


_ASKED: Final[Mapping[str, Callable[[Prompt], bool]]] = {
    **{name: _plain(name) for name in _PLAIN},
    "json_object": lambda prompt: prompt.output is not None and prompt.output.kind == "json_object",
    "logit_bias": lambda prompt: bool(prompt.rest.get(_CHAT, {}).get("logit_bias")),
    "max_completion_tokens": lambda prompt: (
        prompt.max_output_tokens is not None
        and _CHAT in prompt.rest
        and prompt.rest[_CHAT].get(_LIMIT) != prompt.max_output_tokens
    ),
    "max_tokens": lambda prompt: prompt.rest.get(_CHAT, {}).get(_LIMIT) is not None,
    "n": lambda prompt: choices_asked(prompt) > 1,
    "stop": lambda prompt: bool(prompt.stop),
    "system": lambda prompt: any(
        isinstance(item, Message) and item.role in ("system", "developer") for item in prompt.items
    ),
}
