"""Settings of the servers whose tools runs may use: how each is reached, and which of its tools there are. Nothing is opened here.

A tool that is not written down does not exist for Switchgear, whatever its server offers.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gateway.config.provider_settings import HeaderName, HeaderValue, HttpUrl, Seconds
from gateway.config.secret import Secret
from gateway.config.shapes import Expected, Names
from gateway.core.tools import Confidentiality, Effect, Integrity

ServerLabel: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"),
    Expected(words="a name of at most 32 small letters, digits and dashes"),
]
RESERVED = {
    "agents": "the agents that agents call",
    "knowledge": "the search in knowledge bases",
    "switchgear": "the tools that every run has",
}
"""Labels that no configured server may have, and what they stand for."""

ToolName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$"),
    Expected(
        words=(
            "the name of one tool (at most 128 letters, digits, _ . and -; a wildcard would let in what the server "
            "adds tomorrow, so each tool is named)"
        )
    ),
]
OfferName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^*?\x00-\x1f\x7f]{1,128}$"),
    Expected(
        words="the name of one (at most 128 characters; a wildcard would let in what the server adds tomorrow, so each is named)"
    ),
]
ResourceUri: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s*{}\x00-\x1f\x7f]{1,2000}$"),
    Expected(
        words=(
            "the URI of one resource, with its scheme (no wildcard, which would let in what the server adds tomorrow; "
            "what a template describes is let in by resource_templates)"
        )
    ),
]
VariableName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), Expected(words="the name of an environment variable")
]


class GivesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the results of a tool are: who may have written them, and who may see them."""

    integrity: Annotated[
        Integrity, Meta(description="untrusted: strangers may have written it, and it may hold instructions of theirs.")
    ] = "untrusted"
    confidentiality: Annotated[Confidentiality, Meta(description="Who may see it.")] = "internal"


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One tool that may be called, and what the operator says of it. What its server says of it is a hint, and decides nothing."""

    effect: Annotated[
        Effect | None,
        Meta(
            description=(
                "What a second call would do. read: it changes nothing; idempotent: nothing more than the first; once: it may do it "
                "again, so after a crash a person decides. null: once; of an operation of an OpenAPI document, what its method says "
                "(GET and HEAD read, PUT and DELETE are idempotent)."
            )
        ),
    ] = None
    gives: Annotated[GivesSettings, Meta(description="What its results are.")] = GivesSettings()
    outward: Annotated[
        bool, Meta(description="Whether it acts on the world outside, or carries its arguments there.")
    ] = True
    timeout: Annotated[Seconds | None, Meta(description="Seconds for a call; null takes the server's.")] = None
    idempotency_argument: Annotated[
        str,
        Meta(
            description="Name of the argument that takes the idempotency key, where the tool has one. Models do not see it."
        ),
    ] = ""


Tools: TypeAlias = Annotated[
    dict[ToolName, ToolSettings],
    Names(),
    Meta(min_length=1, description="The tools that may be called, by their names on the server, or a list of names."),
]


class ToolServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all servers of tools have in common."""

    tools: Tools
    timeout: Annotated[Seconds, Meta(description="Seconds for a call of a tool that does not say otherwise.")] = 60.0
    refresh: Annotated[
        Seconds, Meta(description="Seconds between two looks at the server's list of tools; a change is seen then.")
    ] = 300.0
    result_bytes: Annotated[
        int,
        Meta(ge=1024, le=1024**3, description="Most bytes of one answer of the server; a larger one is an error."),
    ] = 4 * 1024 * 1024
    concurrency: Annotated[int, Meta(ge=1, le=10_000, description="Most calls that it has at once; others wait.")] = 32


class McpSettings(ToolServerSettings, frozen=True, kw_only=True):
    """What all MCP servers have in common."""

    tools: Annotated[
        dict[ToolName, ToolSettings],
        Names(),
        Meta(
            description="The tools that may be called, by their names on the server, or a list of names. A server may have none, where it has resources or prompts."
        ),
    ] = msgspec.field(default_factory=dict)
    protocol: Annotated[
        Literal["auto", "legacy"],
        Meta(
            description="auto: the newest revision that the server speaks; legacy: begin with initialize, as before 2026-07-28."
        ),
    ] = "auto"
    pass_on: Annotated[
        tuple[Literal["logging", "roots", "sampling"], ...],
        Meta(
            description=(
                "What of the server's is passed on, in the midst of a call, to the program of the MCP client that made it: logging, its log "
                "messages; sampling, requests to the client's own model; roots, the question for its folders. Questions to people always are."
            )
        ),
    ] = ("logging",)
    start_timeout: Annotated[Seconds, Meta(description="Seconds for the server to start and to list its tools.")] = 30.0
    resources: Annotated[
        tuple[ResourceUri, ...], Meta(description="The resources that may be read, by their URIs on the server.")
    ] = ()
    resource_templates: Annotated[
        tuple[OfferName, ...],
        Meta(description="The templates of resources that may be used, by name: every resource of theirs may be read."),
    ] = ()
    prompts: Annotated[
        tuple[OfferName, ...], Meta(description="The prompts that may be asked for, by their names on the server.")
    ] = ()


class StdioServerSettings(McpSettings, frozen=True, kw_only=True):
    """An MCP server that is a program on this machine, spoken to through its standard input and output."""

    kind: Annotated[Literal["stdio"], Meta(description="How the server is reached.")] = "stdio"
    command: Annotated[str, Meta(min_length=1, description="The program, by path or as PATH finds it.")]
    args: Annotated[tuple[str, ...], Meta(description="Its arguments.")] = ()
    env: Annotated[
        dict[VariableName, str | Secret],
        Meta(
            description=(
                "Its environment variables, beside PATH, HOME, LANG and the like: it inherits nothing else. A value may be env:NAME or file:path."
            )
        ),
    ] = msgspec.field(default_factory=dict)
    cwd: Annotated[
        str | None, Meta(min_length=1, description="Its working directory, in full; null is the gateway's.")
    ] = None


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How this gateway is let in by a server that asks for an authorization (OAuth 2.1). What is left out, the server says itself."""

    grant: Annotated[
        Literal["authorization_code", "client_credentials"],
        Meta(
            description="authorization_code: a person is sent to the authorization server; client_credentials: the gateway asks in its own name."
        ),
    ] = "authorization_code"
    client_id: Annotated[
        str,
        Meta(
            description="Who this gateway is there; empty: by the document /oauth/client.json, or by registering, as the authorization server likes."
        ),
    ] = ""
    client_secret: Annotated[
        Secret | None, Meta(description="The client's secret, as env:NAME, file:path or secret:NAME.")
    ] = None
    scopes: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")], ...],
        Meta(description="What to ask for; none: what the server of tools says."),
    ] = ()
    issuer: Annotated[
        HttpUrl | None,
        Meta(description="The authorization server that it has to be; null: the first that the server of tools names."),
    ] = None
    private: Annotated[
        bool,
        Meta(
            description="Whether addresses that the server names may be without TLS, of a private network, or of this machine."
        ),
    ] = False


class HttpServerSettings(McpSettings, frozen=True, kw_only=True):
    """An MCP server that is reached by HTTP ("streamable HTTP")."""

    kind: Annotated[Literal["http"], Meta(description="How the server is reached.")] = "http"
    url: Annotated[HttpUrl, Meta(description="Its address, with the path (often /mcp).")]
    headers: Annotated[
        dict[HeaderName, HeaderValue | Secret],
        Meta(description="Headers to add to every request; a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    oauth: Annotated[
        OAuthSettings | None, Meta(description="Let this gateway be authorized there; {} takes what the server says.")
    ] = None
    credentials: Annotated[
        Literal["server", "user"],
        Meta(
            description="server: every call is made with the gateway's account; user: with the caller's own, which he connects himself."
        ),
    ] = "server"
    user_connections: Annotated[
        int, Meta(ge=1, le=10_000, description="Most connections of people with accounts of their own at once.")
    ] = 100


class OpenApiServerSettings(ToolServerSettings, frozen=True, kw_only=True):
    """An HTTP service whose operations an OpenAPI document describes (3.0 or 3.1). Its tools are operations, by their `operationId`."""

    kind: Annotated[Literal["openapi"], Meta(description="How the server is reached.")] = "openapi"
    document: Annotated[Path, Meta(description="The document, YAML or JSON: a file. What it refers to stands in it.")]
    url: Annotated[
        HttpUrl, Meta(description="The address that the paths of the document follow; its own `servers` are not used.")
    ]
    headers: Annotated[
        dict[HeaderName, HeaderValue | Secret],
        Meta(description="Headers to add to every request; a value may be env:NAME or file:path."),
    ] = msgspec.field(default_factory=dict)
    start_timeout: Annotated[Seconds, Meta(description="Seconds for reading the document.")] = 30.0


AnyServerSettings: TypeAlias = StdioServerSettings | HttpServerSettings | OpenApiServerSettings
"""Each kind of server has a struct of its own, told apart by `kind`."""


class ToolHubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The tools that runs may use."""

    servers: Annotated[
        dict[ServerLabel, AnyServerSettings],
        Meta(description="The servers of tools, by the labels that requests and agents use."),
    ] = msgspec.field(default_factory=dict)
    public_url: Annotated[
        HttpUrl | None,
        Meta(
            description="Where browsers reach this gateway: authorization servers send people back there (/oauth/callback)."
        ),
    ] = None
