"""Finds the one JSON document in what a model wrote around it: a Markdown fence, a sentence before or after. Where there is doubt, it finds none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.core.items import Item, Message, Text
from gateway.dialects.openai_chat.wire import choice_of

MOST_CHARACTERS: Final = 1_000_000
_FENCED: Final = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)\r?\n[ \t]*```", re.DOTALL)
_BEGINNING: Final = re.compile(r"[\[{]")
_decode: Final = json.JSONDecoder().raw_decode


def document_in(text: str) -> str | None:
    """Give the only object or array in a text; None where there is none, or more than one, or it is all of the text."""
    if len(text) > MOST_CHARACTERS:
        return None
    fenced = _FENCED.findall(text)
    if len(fenced) == 1 and not _BEGINNING.search(_FENCED.sub("", text)):
        return str(fenced[0]).strip()
    begun = _BEGINNING.search(text)
    if begun is None:
        return None
    try:
        _, end = _decode(text, begun.start())
    except (ValueError, RecursionError):
        return None
    before, rest = text[: begun.start()], text[end:]
    if _BEGINNING.search(rest) or not (before.strip() or rest.strip()):
        return None
    return text[begun.start() : end]


def only_documents(items: Iterable[Item]) -> tuple[Item, ...] | None:
    """Give an answer whose texts are the documents in them, each choice's in one message; None where one has no such document."""
    made: list[Item] = []
    by_choice: dict[int, list[Message]] = {}
    for item in items:
        if isinstance(item, Message):
            said = by_choice.setdefault(choice_of(item), [])
            said.append(item)
            if len(said) > 1:
                continue
        made.append(item)
    found: dict[int, Message] = {}
    for number, messages in by_choice.items():
        parts = [part for message in messages for part in message.parts]
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) < len(parts):
            return None
        text = "".join(texts)
        document = document_in(text) or (text if len(messages) == 1 and len([*filter(None, texts)]) == 1 else None)
        if document is None:
            return None
        found[number] = msgspec.structs.replace(messages[0], parts=(Text(text=document),))
    return tuple(found[choice_of(item)] if isinstance(item, Message) else item for item in made)
