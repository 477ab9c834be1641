"""Settings of authorization, and the shapes of what its folder holds: policies, and the cases that they must pass.

Plain values, and no import that could read or write anything, for `gateway.policies` builds on them. `policy_documents` reads them;
what they mean is not said here.
"""

from datetime import tzinfo
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

ActionName: TypeAlias = Literal[
    "use_model",
    "use_agent",
    "use_tool",
    "read_resource",
    "use_prompt",
    "call_tool",
    "use_endpoint",
    "read_store",
    "write_store",
    "read_file",
    "write_file",
    "admin_read",
    "admin_write",
]
ResourceKind: TypeAlias = Literal["model", "agent", "tool", "resource", "prompt", "endpoint", "store", "file", "tenant"]
PrincipalKind: TypeAlias = Literal["user", "key", "service", "anonymous"]


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which policies decide what a caller may do."""

    folder: Annotated[str, Meta(min_length=1, description="Folder of *.cedar files and cases.yaml.")] = "../policies"
    default: Annotated[
        Literal["allow", "deny"], Meta(description="What holds for a request that no policy permits or forbids.")
    ] = "allow"
    time_zone: Annotated[
        str, Meta(min_length=1, description="Time zone of context.hour and context.weekday, such as Europe/Berlin.")
    ] = "UTC"
    cached_decisions: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Most decisions remembered; 0 evaluates the policies on every call.")
    ] = 10_000


class CasePrincipal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks, in a case. What is left out, the caller does not have."""

    kind: PrincipalKind
    id: Annotated[str, Meta(min_length=1)]
    tenant: Annotated[str, Meta(min_length=1)] = "default"
    team: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    role: str = ""


class CaseResource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for, in a case."""

    kind: ResourceKind
    id: Annotated[str, Meta(min_length=1)]
    tenant: str = ""
    providers: tuple[str, ...] = ()


class CaseCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call of a tool, in a case. `untrusted` are paths of arguments, `taint` and `sensitive` sources; `cost` is in dollars."""

    args: dict[str, Any] = msgspec.field(default_factory=dict)
    agent: str = ""
    effect: Literal["read", "idempotent", "once"] = "once"
    outward: bool = True
    taint: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    wish: Literal["", "always", "never"] = ""
    cost: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    steps: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    calls: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class CaseContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it is asked for, in a case. `time` is ISO 8601; without an offset it is in the folder's time zone."""

    operation: str = "generate"
    dialect: str = "openai_chat"
    stream: bool = False
    section: str = ""
    time: str = "2026-01-05T12:00"
    call: CaseCall = CaseCall()


class CaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of cases.yaml: a question, the answer that it must get, and the rules that must have decided."""

    name: str = ""
    principal: CasePrincipal
    action: ActionName
    resource: CaseResource
    context: CaseContext = CaseContext()
    expect: Literal["allow", "deny", "ask"]
    rules: tuple[str, ...] | None = None


class PolicyText(msgspec.Struct, frozen=True, kw_only=True):
    """One file of policies. `name` is short and goes into derived ids; `path` is for messages."""

    name: str
    path: str
    text: str


class PolicyCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case, and where it stands."""

    path: str
    line: int
    case: CaseSettings


class PolicyDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a folder of policies, read and not yet judged. `digest` differs whenever any of it does."""

    folder: str
    texts: tuple[PolicyText, ...]
    cases: tuple[PolicyCase, ...]
    zone: tzinfo
    default: Literal["allow", "deny"]
    digest: bytes
