"""Does here what a target cannot: one stage around a target of a model with `on_unsupported: emulate`, or of one that lacks something.

What is done for a parameter is told in the answer's start, the header `x-switchgear-emulated` and the record. What cannot be done honestly
(a seed, log probabilities, penalties) stays an error. It corrects no answer: that a text is the JSON that was asked for is not checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from gateway.core.call import Call, opened
from gateway.core.content import OutputFormat, Prompt
from gateway.core.errors import UnsupportedParameter
from gateway.core.events import Event, Started
from gateway.core.items import Message, Text
from gateway.core.responder import Responder, Send
from gateway.core.target import EMULATED, SAID_OTHERWISE, Target
from gateway.dialects.parameters import asked_for, choices_asked, without
from gateway.pipeline.emulated_answer import Editing, edits_for
from gateway.pipeline.emulated_choices import MOST_CHOICES, Choices
from gateway.providers.provider import Provider, TellsLoss

Loses = Callable[[Call], tuple[str, ...]]

_ORDER = (
    *("json_schema", "json_object", "system", "n", "stop", "parallel_tool_calls"),
    *("max_completion_tokens", "max_tokens"),
)
"""In this order, for instructions about the form of an answer are instructions too."""
_OUTPUTS = frozenset({"json_object", "json_schema"})


def losses_of(target: Target, provider: Provider) -> Loses:
    """Give what tells what of a call a target does not take: what its API has no place for, and what the operator knows besides."""
    told = provider.loses if isinstance(provider, TellsLoss) else None

    def loses(call: Call) -> tuple[str, ...]:
        prompt = call.content
        if not isinstance(prompt, Prompt):
            return ()
        # Its own encoder names the field that a caller wrote; what is done about it has the parameter's name.
        carried = [_named(name, prompt) for name in (told(call) if told is not None else ())]
        return tuple(dict.fromkeys((*carried, *asked_for(prompt, target.without), *_schema(prompt, target))))

    return loses


def emulated(inner: Responder, target: Target, provider: Provider, *, limited: bool = False) -> Responder:
    """Put the stage around a target where there is something for it to do. A call has one place at a target that is `limited`."""
    if not target.emulate and not target.without:
        return inner
    return Emulated(inner, target, losses_of(target, provider), 1 if limited else MOST_CHOICES)


class Emulated:
    """A Responder around a target. `loses` gives what of a call it does not take; `at_once` are the answers that it gives at a time."""

    def __init__(self, inner: Responder, target: Target, loses: Loses, at_once: int = MOST_CHOICES) -> None:
        self._inner = inner
        self._target = target
        self._loses = loses
        self._at_once = at_once

    async def __call__(self, call: Call, send: Send) -> None:
        """Answer through the inner responder. Raises UnsupportedParameter for what can be done nowhere."""
        prompt = call.content
        lost = self._loses(call) if isinstance(prompt, Prompt) and call.operation == "generate" else ()
        if not self._target.emulate:
            # What only its API lacks is the encoder's to refuse, or to leave out.
            lost = tuple(name for name in lost if name in self._target.without)
        if not lost or not isinstance(prompt, Prompt):
            await self._inner(call, send)
        elif self._target.drop:
            kept = tuple(name for name in lost if name in SAID_OTHERWISE)
            dropped = tuple(name for name in lost if name not in SAID_OTHERWISE)
            await self._inner(_amended(call, prompt, [*lost]), _Told(send, dropped=dropped, emulated=kept))
        elif impossible := [name for name in lost if name not in EMULATED or not self._target.emulate]:
            raise self._refusal(impossible[0])
        else:
            await self._emulate(call, prompt, [name for name in _ORDER if name in lost], send)

    async def _emulate(self, call: Call, prompt: Prompt, names: list[str], send: Send) -> None:
        many = choices_asked(prompt)
        if "n" in names and many > MOST_CHOICES:
            msg = f"{self._target.name} gives one answer to a call, and at most {MOST_CHOICES} are put together here: `n`."
            raise UnsupportedParameter(msg, param="n")
        for_each = edits_for(prompt, names)
        amended = _amended(call, instructed(prompt, names), names)
        told = _Told(send, emulated=tuple(names))
        inner: Responder = self._inner if for_each is None else Editing(self._inner, for_each)
        if "n" in names:
            await Choices(inner, many, self._target.name, self._at_once)(amended, told)
        else:
            await inner(amended, told)

    def _refusal(self, name: str) -> UnsupportedParameter:
        how = "and nothing here can do it instead" if self._target.emulate else "by its abilities"
        instead = "drop, or emulate" if name in EMULATED and not self._target.emulate else "drop"
        msg = (
            f"`{name}` is not taken by {self._target.name}, which would serve this call, {how}. Leave it out, or permit that for the "
            f"model (on_unsupported: {instead})."
        )
        return UnsupportedParameter(msg, param=name)


class _Told:
    """A Send that says in the answer's start what was left out or emulated."""

    def __init__(self, send: Send, *, dropped: tuple[str, ...] = (), emulated: tuple[str, ...] = ()) -> None:
        self._send = send
        self._dropped = dropped
        self._emulated = emulated

    async def __call__(self, event: Event) -> None:
        """Pass it on."""
        if isinstance(event, Started):
            event = msgspec.structs.replace(
                event, dropped=(*event.dropped, *self._dropped), emulated=(*event.emulated, *self._emulated)
            )
        await self._send(event)


def _named(name: str, prompt: Prompt) -> str:
    """Give the parameter's name for a field as a dialect named it."""
    if name == "response_format" and prompt.output is not None and prompt.output.kind in _OUTPUTS:
        return prompt.output.kind
    return name


def _schema(prompt: Prompt, target: Target) -> tuple[str, ...]:
    asked = prompt.output is not None and prompt.output.kind == "json_schema"
    return ("json_schema",) if asked and "json_schema" in target.without else ()


def _amended(call: Call, prompt: Prompt, names: list[str]) -> Call:
    """Give the call without these parameters, as one that goes out by its Items."""
    for name in names:
        prompt = without(prompt, "json_object" if name in _OUTPUTS else name)
    return opened(msgspec.structs.replace(call, content=prompt))


def instructed(prompt: Prompt, names: Collection[str]) -> Prompt:
    """Say in words which form the answer is to have, after all other instructions, so that the beginning of a prompt stays the same."""
    if prompt.output is None or _OUTPUTS.isdisjoint(names):
        return prompt
    return told_last(prompt, _form_in_words(prompt.output))


def told_last(prompt: Prompt, text: str) -> Prompt:
    """Give the prompt with one more instruction, after all others."""
    said = Message(role="system", parts=(Text(text=text),))
    at = next((at for at, item in enumerate(prompt.items) if not _instructs(item)), len(prompt.items))
    return msgspec.structs.replace(prompt, items=(*prompt.items[:at], said, *prompt.items[at:]))


def _instructs(item: object) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _form_in_words(output: OutputFormat) -> str:
    text = "Answer with one JSON object and nothing else: no explanation before or after it, no Markdown."
    if output.kind != "json_schema":
        return text
    about = f" {output.description}" if output.description else ""
    schema = msgspec.json.encode(output.schema or {}).decode()
    return f"Answer with JSON and nothing else: no explanation before or after it, no Markdown.{about} It must be valid by this JSON schema:\n{schema}"
