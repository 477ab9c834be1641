"""The prompts in force: a request that names one is filled in by it, once, at the door. It reads no file and knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.config.prompt_settings import NO_PROMPTS, PromptDocuments
from gateway.core.errors import NotFound
from gateway.core.items import Json
from gateway.core.prompt_use import PromptUse
from gateway.dialects.openai_responses.reader import Reader
from gateway.prompts.rendering import Compiled, refuse

PROMPT: Final = "prompt"
_DEFAULTS: Final = ("model", "temperature", "top_p", "max_output_tokens")


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A request without its `prompt`, which it says itself now; and what was used for that."""

    fields: dict[str, Json]
    use: PromptUse


class Prompts:
    """Those of one generation."""

    def __init__(self, documents: PromptDocuments = NO_PROMPTS) -> None:
        self.documents = documents
        self._compiled: Mapping[str, Mapping[str, Compiled]] = {
            name: {version: Compiled(each.template) for version, each in prompt.versions.items()}
            for name, prompt in documents.prompts.items()
        }

    def fill(self, fields: dict[str, Json], *, most: int) -> Filled | None:
        """Fill in a request; None for one that names no prompt of these: whose it is then, others know. `most` is the size in bytes.

        Its `instructions`, and whatever else it says itself, stay; its `input` comes after the template's messages. Raises NotFound for a version
        that there is not, InvalidRequest with the path of the fault, and BodyTooLarge.
        """
        given = fields.get(PROMPT)
        name = given.get("id") if isinstance(given, dict) else None
        compiled = self._compiled.get(name) if isinstance(name, str) else None
        if compiled is None or not isinstance(name, str):
            return None
        version, variables = self._read(Reader(given, PROMPT), name)
        template = compiled[version]
        rendered = template.render(variables or {}, most=most)
        filled = {key: value for key, value in fields.items() if key != PROMPT}
        for key in _DEFAULTS:
            default = getattr(template.written, key)
            if filled.get(key) is None and default not in (None, ""):
                filled[key] = default
        if filled.get("instructions") is None and rendered.instructions:
            filled["instructions"] = rendered.instructions
        if rendered.messages:
            filled["input"] = _input(rendered.messages, filled.get("input"))
        return Filled(fields=filled, use=PromptUse(id=name, version=version, variables=variables))

    def _read(self, reader: Reader, name: str) -> tuple[str, dict[str, Any] | None]:
        """Give the version and the variables that a request names."""
        prompt = self.documents.prompts[name]
        reader.take("id")
        version = reader.string("version") or prompt.current
        variables = reader.object("variables")
        for unknown in reader.rest():
            if unknown not in ("id", "version", "variables"):
                refuse(unknown, "is nothing that a prompt has: it has id, version and variables.", PROMPT)
        if version not in prompt.versions:
            msg = f"The prompt {name!r} has no version {version[:64]!r} here."
            raise NotFound(msg, param=f"{PROMPT}.version")
        return version, variables


def _input(messages: tuple[dict[str, Json], ...], given: Json) -> Json:
    """Give the messages of a template and what the request says after them; what is no input at all stays, to be refused as such."""
    if given is None or given == "":
        return list(messages)
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    return [*messages, *given] if isinstance(given, list) else given
