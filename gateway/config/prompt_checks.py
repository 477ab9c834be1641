"""Rules of prompt templates that no single type can say: within a version, and between it and the configuration's models."""

import difflib
from collections.abc import Collection, Iterator
from typing import Final

from gateway.config.faults import shown
from gateway.config.finding import Finding
from gateway.config.prompt_settings import PromptTemplate
from gateway.config.prompt_text import BadPlaceholder, Placeholder, pieces_of

MOST_MESSAGES: Final = 64
MOST_VARIABLES: Final = 64
MOST_CHARACTERS: Final = 262_144
"""Of all texts of one version together."""

_Path = tuple[str | int, ...]


def template_findings(template: PromptTemplate, models: Collection[str] | None) -> Iterator[Finding]:
    """Yield what is wrong with a version. `models` are the names of those that there are, None where nobody knows."""
    if not template.instructions and not template.messages:
        yield Finding(message="expected instructions, or messages, or both")
    if len(template.messages) > MOST_MESSAGES:
        yield Finding(path=("messages",), message=f"more than {MOST_MESSAGES} messages")
    if len(template.variables) > MOST_VARIABLES:
        yield Finding(path=("variables",), message=f"more than {MOST_VARIABLES} variables")
    if sum(len(text) for _, text, _ in _texts(template)) > MOST_CHARACTERS:
        yield Finding(message=f"its texts have more than {MOST_CHARACTERS:,} characters together")
    for name, variable in template.variables.items():
        if variable.default is not None and variable.type != "text":
            yield Finding(path=("variables", name, "default"), message=f"an {variable.type} has no default")
    for path, text, takes_parts in _texts(template):
        yield from _text_findings(template, path, text, takes_parts=takes_parts)
    if template.model and models is not None and template.model not in models:
        near = difflib.get_close_matches(template.model[:100], models, n=1)
        hint = f"; did you mean {shown(near[0])}?" if near else ""
        yield Finding(path=("model",), message=f"no model is named {shown(template.model)}{hint}")


def _texts(template: PromptTemplate) -> Iterator[tuple[_Path, str, bool]]:
    """Give each text with its path, and whether images and files may stand in it."""
    yield ("instructions",), template.instructions, False
    for number, message in enumerate(template.messages):
        yield ("messages", number, "text"), message.text, message.role == "user"


def _text_findings(template: PromptTemplate, path: _Path, text: str, *, takes_parts: bool) -> Iterator[Finding]:
    try:
        pieces = pieces_of(text)
    except BadPlaceholder as error:
        said = f"{shown(str(error))} is no placeholder: expected {{{{name}}}}, a variable's name and nothing else"
        yield Finding(path=path, message=said)
        return
    for name in dict.fromkeys(piece.name for piece in pieces if isinstance(piece, Placeholder)):
        variable = template.variables.get(name)
        if variable is None:
            near = difflib.get_close_matches(name, template.variables, n=1)
            hint = f"; did you mean {shown(near[0])}?" if near else ""
            yield Finding(path=path, message=f"no variable {shown(name)} is declared under variables{hint}")
        elif variable.type != "text" and not takes_parts:
            yield Finding(
                path=path, message=f"{shown(name)} is an {variable.type}: only messages of the user have these"
            )
