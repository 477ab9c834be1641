"""Settings of prompt templates, and the shapes of what their folders hold: versions (<version>.yaml), and which is served (prompt.yaml).

Plain values. `prompt_documents` reads them; `gateway.prompts` renders them.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.shapes import Expected, Lines

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

PromptName: TypeAlias = Annotated[
    str,
    Meta(pattern=NAME_PATTERN),
    Expected(words="a name of at most 64 letters, digits, dots, dashes and underscores"),
]
"""The id of a prompt, which is its folder's name; and a version of it, which is its file's without .yaml."""

VariableName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"),
    Expected(words="a name of at most 64 letters, digits and underscores that begins with no digit"),
]

VariableKind: TypeAlias = Literal["text", "image", "file"]


class PromptsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the prompt templates are written."""

    folder: Annotated[
        str, Meta(min_length=1, description="Folder that has a folder for each prompt: 1.yaml, 2.yaml, …, prompt.yaml")
    ] = "../prompts"


class PromptVariable(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may put into a template."""

    description: Annotated[str, Meta(description="A sentence for people.")] = ""
    type: Annotated[VariableKind, Meta(description="A text; or an image or a file, for messages of the user.")] = "text"
    required: Annotated[
        bool, Meta(description="Whether a request has to give it; one with a default never has to.")
    ] = True
    default: Annotated[
        Annotated[str, Lines()] | None,
        Meta(description="The text that stands in its place where a request gives none."),
    ] = None


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a template."""

    text: Annotated[
        str, Meta(min_length=1, description="Its text; {{name}} is replaced by the variable's value."), Lines()
    ]
    role: Annotated[Literal["system", "developer", "user", "assistant"], Meta(description="Who says it.")] = "user"


class PromptTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a prompt: <version>.yaml."""

    description: Annotated[str, Meta(description="A sentence for people.")] = ""
    instructions: Annotated[
        str,
        Meta(
            description="What a request's `instructions` are, where it has none. They are not part of the conversation."
        ),
        Lines(),
    ] = ""
    messages: Annotated[
        tuple[PromptMessage, ...],
        Meta(description="What is said before a request's `input`, as if it were the first of it."),
    ] = ()
    variables: Annotated[
        dict[VariableName, PromptVariable], Meta(description="What {{name}} may stand in its texts.")
    ] = msgspec.field(default_factory=dict)
    model: Annotated[str, Meta(description="The model of a request that names none.")] = ""
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="That of a request that says none.")
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, Meta(description="That of a request that says none.")
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="That of a request that says none.")
    ] = None


class PromptSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is so of all versions of a prompt: prompt.yaml."""

    description: Annotated[str, Meta(description="A sentence for people.")] = ""
    current: Annotated[
        PromptName | None,
        Meta(description="The version that is served where none is named; null is the one with the highest number."),
    ] = None


class PromptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as it was read. `digest` is another for every other text of its file."""

    id: str
    version: str
    template: PromptTemplate
    digest: str


class PromptDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as it was read: its versions by name, in their order, and which is served where none is named."""

    id: str
    current: str
    versions: Mapping[str, PromptVersion]
    description: str = ""


class PromptDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of prompts, read. `folder` is where; empty where the settings name none."""

    folder: str = ""
    prompts: Mapping[str, PromptDefinition] = {}


NO_PROMPTS = PromptDocuments()
