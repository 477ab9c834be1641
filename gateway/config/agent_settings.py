"""Settings of agents, and the shapes of what their folders hold: a definition (agent.yaml), and the cases that it must pass.

Plain values. `agent_documents` reads them, `agent_checks` holds them against the rest of the configuration.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.config.agent_name import AgentName
from gateway.config.knowledge_settings import AgentRetrievalSettings, KnowledgeName
from gateway.config.memory_settings import MemoryUseSettings, expand_memory
from gateway.config.shapes import Expected, Names, Shorthand
from gateway.config.tool_settings import ServerLabel, ToolName
from gateway.config.workflow_settings import Path, WorkflowStep, agents_in
from gateway.core.tools import Confidentiality, Integrity

PREFIX = "agent/"
"""Of the model under which an agent is asked."""

AGENTS = "agents"
"""The label of the server under which agents are tools of others. No configured server has it."""


class AgentsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the agents are written."""

    folder: Annotated[
        str, Meta(min_length=1, description="Folder that has a folder for each agent: agent.yaml, instructions.md, …")
    ] = "../agents"


class AgentLimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of an agent may use at most; null is no limit."""

    steps: Annotated[Annotated[int, Meta(ge=1, le=10_000)] | None, Meta(description="Calls of its model.")] = 30
    tool_calls: Annotated[Annotated[int, Meta(ge=0, le=100_000)] | None, Meta(description="Calls of tools.")] = 100
    tokens: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="Tokens, in and out together.")] = None
    cost: Annotated[Annotated[float, Meta(gt=0, le=1_000_000)] | None, Meta(description="US dollars.")] = None
    seconds: Annotated[
        Annotated[float, Meta(gt=0, le=604_800)] | None, Meta(description="Seconds in which it works.")
    ] = None
    handoffs: Annotated[
        Annotated[int, Meta(ge=0, le=1000)] | None,
        Meta(description="Times that it is handed over, by whatever agent is in charge."),
    ] = 5


class AgentOutputSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The form of an agent's answers: a JSON Schema, in a file of its folder or written out."""

    file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="A file of the agent's folder with the schema, as JSON."),
    ] = None
    schema: Annotated[dict[str, Any] | None, Meta(description="The schema itself, instead of a file.")] = None
    name: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The schema's name, as models are told."),
        Expected(words="at most 64 letters, digits, dashes and underscores"),
    ] = "answer"
    strict: Annotated[bool, Meta(description="Whether the model is to keep to it strictly, where it can.")] = True


class AskHumanSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an agent asks when it has a question."""

    groups: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...],
        Meta(description="Who may answer; none: as `approvals` says."),
    ] = ()
    ttl: Annotated[
        Annotated[float, Meta(ge=1, le=2_592_000)] | None,
        Meta(description="Seconds that a question waits; null: as `approvals` says."),
    ] = None


_MEMORY_SHORTHAND = Shorthand(
    expand=expand_memory, pattern="^.+$", description="A memory of the section memories, to read and write."
)


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of an agent: agent.yaml."""

    model: Annotated[
        str, Meta(description="The model of the configuration that it thinks with; none with a workflow.")
    ] = ""
    workflow: Annotated[
        WorkflowStep | None,
        Meta(description="Which agents do its work, in what order, instead of a model that decides about that."),
    ] = None
    description: Annotated[str, Meta(description="A sentence for people, shown in /v1/models.")] = ""
    label: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{0,40}$", description="What people call this version of it, such as 1.2."),
        Expected(words="at most 40 letters, digits, dots, dashes and underscores"),
    ] = ""
    instructions: Annotated[str, Meta(min_length=1, description="The file of its folder with what it is told.")] = (
        "instructions.md"
    )
    tools: Annotated[
        dict[ServerLabel, Annotated[tuple[ToolName, ...], Meta(min_length=1)]],
        Meta(description="The tools that it may use, by server; each by its name, for there are no wildcards."),
    ] = msgspec.field(default_factory=dict)
    agents: Annotated[
        tuple[AgentName, ...],
        Meta(description="The agents that it may call like tools: each call is a run of its own."),
    ] = ()
    approval: Annotated[
        dict[str, Literal["always", "policy"]],
        Meta(
            description="Tools (server/tool, agents/agent) that a person has to agree to always, or as the policies say, which is the default."
        ),
    ] = msgspec.field(default_factory=dict)
    handoffs: Annotated[
        tuple[AgentName, ...],
        Meta(description="The agents to which it may hand a conversation over: each goes on with it in its place."),
    ] = ()
    policies: Annotated[
        tuple[str, ...], Meta(description="Ids of policies that it counts on: without one of them it is refused.")
    ] = ()
    guardrails: Annotated[
        tuple[str, ...],
        Meta(description="Guardrails that it counts on: without one of them around its model it is refused."),
    ] = ()
    ask_human: Annotated[
        AskHumanSettings | None,
        Meta(
            description="Lets it ask people questions, and wait for the answer; {} asks whoever may answer approvals."
        ),
    ] = None
    retrieval: Annotated[
        dict[KnowledgeName, AgentRetrievalSettings],
        Names(),
        Meta(description="The knowledge bases that it may search and read, by name, or a list of names."),
    ] = msgspec.field(default_factory=dict)
    memory: Annotated[
        MemoryUseSettings | None,
        _MEMORY_SHORTHAND,
        Meta(description="The memory in which it writes down what later runs are to know; null has none."),
    ] = None
    limits: Annotated[AgentLimitSettings, Meta(description="What one run of it may use at most.")] = (
        AgentLimitSettings()
    )
    parallel_tool_calls: Annotated[bool, Meta(description="Whether its model may ask for several tools at once.")] = (
        True
    )
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="The model's; null is the model's own.")
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Most tokens of one answer of its model.")
    ] = None
    compact_at: Annotated[
        Annotated[int, Meta(ge=1000)] | None,
        Meta(description="Tokens from which on what its model is given is put into notes; null leaves it as it is."),
    ] = None
    output: Annotated[AgentOutputSettings | None, Meta(description="The form of its answers; null is free text.")] = (
        None
    )


def called_by(agent: AgentSettings) -> dict[str, Path]:
    """Give the agents that an agent calls, by itself or in its workflow, each with the first path where it says so."""
    calls: dict[str, Path] = {}
    listed = [(("agents", number), name) for number, name in enumerate(agent.agents)]
    steps = () if agent.workflow is None else ((("workflow", *path), name) for path, name in agents_in(agent.workflow))
    for path, name in (*listed, *steps):
        calls.setdefault(name, path)
    return calls


class CaseCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool that a case expects, or that its scripted model makes, and what the tool then gives."""

    tool: Annotated[str, Meta(min_length=1, description="server/tool.")]
    arguments: Annotated[dict[str, Any] | None, Meta(description="The arguments; null is any.")] = None
    result: Annotated[Any, Meta(description="What the tool gives in this case.")] = None
    error: Annotated[bool, Meta(description="Whether the tool reports that it could not do it.")] = False


class CaseTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the scripted model: text, or calls of tools."""

    say: Annotated[str, Meta(description="The text.")] = ""
    json: Annotated[Any, Meta(description="A value instead of a text: it is said as JSON.")] = None
    call: Annotated[tuple[CaseCall, ...], Meta(description="The tools that it asks for.")] = ()


class CaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says when the agent asks for leave."""

    tool: Annotated[str, Meta(min_length=1, description="server/tool that is asked about.")]
    approve: Annotated[bool, Meta(description="Whether the person agrees.")] = True
    reason: Annotated[str, Meta(description="Why; of a denial the model is told.")] = ""


class CaseMemory(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the agent's memory, before or after a case."""

    key: Annotated[str, Meta(min_length=1, max_length=200, description="Its key.")]
    text: Annotated[str | None, Meta(description="Its text; null is any, or none.")] = None
    integrity: Annotated[Integrity | None, Meta(description="Whether strangers may have written it; null is any.")] = (
        None
    )
    confidentiality: Annotated[Confidentiality | None, Meta(description="Who may see it; null is any.")] = None


class CaseExpected(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold at the end."""

    status: Annotated[
        Literal["completed", "waiting", "failed", "incomplete"], Meta(description="How the run ends.")
    ] = "completed"
    calls: Annotated[
        tuple[CaseCall, ...] | None, Meta(description="Exactly these calls were made, in this order; null: any.")
    ] = None
    approvals: Annotated[tuple[str, ...], Meta(description="Tools (server/tool) that people are asked about.")] = ()
    asked: Annotated[
        tuple[CaseCall, ...] | None,
        Meta(
            description="Exactly these calls people were asked about, with these arguments, in this order; null: any."
        ),
    ] = None
    unasked: Annotated[
        tuple[CaseCall, ...],
        Meta(
            description="Calls that people have not agreed to although their tool can change something: exactly these, where servers are asked."
        ),
    ] = ()
    after: Annotated[
        tuple[CaseCall, ...],
        Meta(
            description="Calls that are made at the end, of servers that are asked: what they give has `result` in it."
        ),
    ] = ()
    memory: Annotated[
        tuple[CaseMemory, ...] | None, Meta(description="Exactly these entries the agent's memory has; null: any.")
    ] = None
    contains: Annotated[tuple[str, ...], Meta(description="Texts that the answer has in it.")] = ()
    lacks: Annotated[tuple[str, ...], Meta(description="Texts that the answer does not have in it.")] = ()
    schema: Annotated[bool, Meta(description="Whether the answer must be JSON of the agent's output form.")] = False


class AgentCase(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that must hold. With `model` the answers of its model are these; without, the real one is asked."""

    name: Annotated[str, Meta(min_length=1, description="What the case shows.")]
    user: Annotated[tuple[str, ...], Meta(min_length=1, description="What the user says, turn by turn.")]
    model: Annotated[tuple[CaseTurn, ...], Meta(description="What the model answers, step by step.")] = ()
    memory: Annotated[
        tuple[CaseMemory, ...], Meta(description="Entries that the agent's memory has before the case.")
    ] = ()
    results: Annotated[
        tuple[CaseCall, ...],
        Meta(description="What tools give when the real model asks for them; the first that fits."),
    ] = ()
    live: Annotated[
        dict[ServerLabel, tuple[str, ...]],
        Meta(
            description=(
                "Servers of tools that are asked in this case, anew as they are configured; each with more arguments for its program, in which "
                "{folder} is an empty folder of the case."
            )
        ),
    ] = msgspec.field(default_factory=dict)
    answers: Annotated[
        tuple[CaseAnswer, ...],
        Meta(description="What people say when they are asked, in order; then nobody answers, and the run waits."),
    ] = ()
    expect: Annotated[CaseExpected, Meta(description="What must hold at the end.")] = CaseExpected()


class AgentDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, read: what is needed to work as it, and nothing that has to be read again.

    `version` changes with every byte of its folder; `schema` is that of its answers, None for free text.
    """

    name: str
    version: str
    settings: AgentSettings
    instructions: str
    schema: dict[str, Any] | None = None

    @property
    def model(self) -> str:
        """The model under which it is asked."""
        return PREFIX + self.name


class CaseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A case, and where it stands."""

    path: str
    line: int
    case: AgentCase


class AgentDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """All agents of a folder, by name, and their cases. `digest` differs whenever a byte of it does."""

    folder: str
    agents: dict[str, AgentDefinition]
    cases: dict[str, tuple[CaseDocument, ...]]
    digest: bytes


NO_AGENTS = AgentDocuments(folder="", agents={}, cases={}, digest=b"")
