"""Tools that this server runs itself: what one is, what a call of it gave, and the name under which a model knows it."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeAlias

import msgspec

from gateway.core.items import Json

Effect = Literal["read", "idempotent", "once"]
"""What a second call would do. read: changes nothing; idempotent: nothing more than the first; once: perhaps a second time."""

Integrity = Literal["trusted", "untrusted"]
"""Whether strangers may have written it, and so may want something of who reads it."""

Confidentiality = Literal["public", "internal", "sensitive"]

SERVER: Final = "switchgear"
"""The name under which clients see the tools that a run has by itself. No configured server has it."""

KNOWLEDGE: Final = "knowledge"
"""The name of the server whose tools search the knowledge bases; a base is to policies the tool of its name there. No configured server has it."""

TRANSFER: Final = "transfer_to_"
"""Begins the name of such a tool that hands a run over to an agent: models have been taught to know it so."""

MOST_OF_A_NAME: Final = 64
"""Characters of a tool's name that models take; they are letters, digits, `_` and `-`."""

_FIT: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Where something came from, and what that means. `source` is user, operator, model, the id of a tool (server/name), or memory/name.

    What a memory gives was made from other things: `sources` are where these came from, as far as they are not to be trusted or are
    sensitive, and `runs` are those that wrote it down.
    """

    source: str
    integrity: Integrity = "trusted"
    confidentiality: Confidentiality = "internal"
    sources: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    def shown(self) -> dict[str, Json]:
        """Give it as programs are shown it: what is behind the source only where there is something."""
        fields: dict[str, Json] = msgspec.structs.asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in fields.items() if value != ()
        }

    @property
    def said(self) -> str:
        """The source as people read it, with what is behind it."""
        written = f", written by {' and '.join(self.runs)}" if self.runs else ""
        return f"{self.source}{written}{', from ' + ', '.join(self.sources) if self.sources else ''}"


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its server defines it, and what the operator says of it. `schema` is the JSON Schema of its arguments.

    `definition` is the sha256 (hex) of what the server says: the canonical JSON of name, title, description, input and output
    schema, annotations; `icons` are for people's eyes, and in no definition. `gives` labels its results; `outward` says that it acts on the world outside or carries data to it.
    `idempotency_argument` names an argument that takes the idempotency key, empty where none does. `within` are the knowledge bases to which a tool
    that searches is bound, and how many passages of each a search gives at most; empty where it is bound to none. `memory` is the memory that a tool of
    this server's own is for, empty for any other. `labelled` says that what a call writes keeps the label of what it was made from and is
    read by nobody but who had it written, so that nothing comes of it that an approval of a later call would not stop.
    """

    server: str
    name: str
    schema: dict[str, Json]
    definition: str
    title: str = ""
    description: str = ""
    output_schema: dict[str, Json] | None = None
    annotations: dict[str, Json] = {}
    icons: tuple[dict[str, Json], ...] = ()
    effect: Effect = "once"
    gives: Label
    outward: bool = True
    timeout: float = 60.0
    idempotency_argument: str = ""
    within: dict[str, int] = {}
    memory: str = ""
    labelled: bool = False

    @property
    def id(self) -> str:
        """The server's name, a slash and the tool's own: as policies name it."""
        return f"{self.server}/{self.name}"


SAMPLING: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"
"""What the program of an MCP client can be asked: to have its own model say something, and which folders it works in."""

RESULT: Final = "switchgear/result"
"""The one field of an answer that is the result of a request to the program of a client, and no filled-in form."""

Refusal: TypeAlias = Literal["cancel", "decline"]
"""That nobody answers what is asked for: a person said no, or nobody said anything. MCP's words."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people are asked for: `message` in words, and either a form (`schema`, a flat JSON Schema of an object) or a page to go to (`url`).

    `key` is the name by which a server of tools knows the answer, `state` what it wants back with it. `earlier` are answers to
    what it asked before in the same call, by their keys. With `method` it is no person that is asked, but the program of the client that made the
    call: `params` are what goes to it (MCP's `sampling/createMessage`, `roots/list`). Any other wish with no form and no page asks for nothing but a yes. `untold` is that there is no
    way to tell who asks that nobody will: then the call is not made again.
    """

    message: str
    schema: dict[str, Json] = {}
    url: str = ""
    key: str = ""
    state: str | None = None
    earlier: dict[str, Json] = {}
    untold: bool = False
    method: str = ""
    params: dict[str, Json] = {}


class ToolOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a call gave. `text` is what a model reads; `structured` the same as JSON where the tool gives that.

    `blocks` are the parts of the answer as they came, where the tool gives any: what a text cannot hold is in them.
    `is_error` says that the tool did its work and reports that it could not do what was asked. With `wishes` nothing is done yet: the tool is to
    be called again with people's answers to them. `gives` labels this result, where that is not for the tool to say once and for all. `lacks` are
    capabilities (MCP's) without which the tool does nothing for the client that asks.
    """

    text: str
    structured: Json = None
    blocks: tuple[dict[str, Json], ...] = ()
    is_error: bool = False
    wishes: tuple[Wish, ...] = ()
    gives: Label | None = None
    lacks: dict[str, Json] = {}


def model_name(server: str, tool: str) -> str:
    """Give the name under which models know a tool: the same one for ever, and no two alike. It is never taken apart again."""
    if (server == SERVER and tool.startswith(TRANSFER)) or server == KNOWLEDGE:
        return tool
    name = f"{server}__{tool}"
    if len(name) <= MOST_OF_A_NAME and _FIT.match(name) and "__" not in tool and "__" not in server:
        return name
    mark = hashlib.sha256(f"{server}\x00{tool}".encode()).hexdigest()[:12]
    return f"{_UNFIT.sub('_', name)[: MOST_OF_A_NAME - 14]}__{mark}"
