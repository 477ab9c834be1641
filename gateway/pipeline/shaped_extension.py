"""vLLM's `structured_outputs` at a target that does not know it: what can be asked for otherwise is, and what cannot is refused by name."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final

import msgspec

from gateway.core.call import Call
from gateway.core.content import Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.events import Event, Started
from gateway.core.items import Item, Json, Message, Text
from gateway.core.responder import Send
from gateway.pipeline.emulated import told_last
from gateway.pipeline.shaped_forms import COMPLETIONS, EXTENSION
from gateway.pipeline.shaped_wish import Wish

_CHAT: Final = "openai_chat"
_JUDGED: Final = ("json", "json_object", "choice", "regex")


def is_extended(call: Call) -> bool:
    """Whether a call asks for its form in vLLM's words."""
    return call.operation == "generate" and isinstance(call.fields.get(EXTENSION), dict)


def refuse_unknown(call: Call, *, words: bool) -> None:
    """Raise UnsupportedParameter for what a target that is neither vLLM nor embedded is not to be asked, as nobody would keep it.

    `words` says that it may be asked in words.
    """
    kind = next((name for name, value in call.fields[EXTENSION].items() if value not in (None, False)), "")
    param = f"{EXTENSION}.{kind}" if kind else EXTENSION
    if kind not in _JUDGED:
        msg = f"`{param}` is kept by vLLM servers and embedded models alone, and this target is neither."
        raise UnsupportedParameter(msg, param=param)
    if call.dialect == COMPLETIONS:
        msg = f"Completions take `{EXTENSION}` at vLLM servers and embedded models alone, and this target is neither."
        raise UnsupportedParameter(msg, param=param)
    if kind in ("choice", "regex") and not words:
        msg = f"This target knows no `{param}`, and `structured.emulate` does not permit to ask for it in words."
        raise UnsupportedParameter(msg, param=param)


def taken_up(prompt: Prompt, wish: Wish) -> Prompt:
    """Give the prompt with the form as a form of JSON, where it is one, and without vLLM's words for it."""
    rest = {
        dialect: {name: value for name, value in fields.items() if name != EXTENSION}
        for dialect, fields in prompt.rest.items()
    }
    return msgspec.structs.replace(prompt, output=wish.output, rest=rest)


def in_words(prompt: Prompt, form: Mapping[str, Json]) -> Prompt:
    """Ask in words for a text that is no JSON."""
    if "enum" in form:
        asked = f"Answer with exactly one of these texts: {msgspec.json.encode(form['enum']).decode()}. Write it"
    else:
        asked = f"Answer with a text that as a whole matches this regular expression: {form['pattern']}\nWrite it"
    return told_last(prompt, f"{asked} without quotation marks, and nothing else: no explanation, no Markdown.")


def bare(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Give an answer without white space around its texts: a model that was asked in words ends its lines."""
    return tuple(map(_bare, items))


def _bare(item: Item) -> Item:
    if not isinstance(item, Message) or len(item.parts) != 1 or not isinstance(item.parts[0], Text):
        return item
    return msgspec.structs.replace(item, parts=(Text(text=item.parts[0].text.strip()),))


class Saying:
    """A Send that says by which step an answer is held to its form, which only the target looks at."""

    def __init__(self, send: Send, step: str) -> None:
        self._send = send
        self._step = step

    def __call__(self, event: Event) -> Awaitable[None]:
        """Pass it on."""
        if isinstance(event, Started):
            event = msgspec.structs.replace(event, structured=self._step)
        return self._send(event)
