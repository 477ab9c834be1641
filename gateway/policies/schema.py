"""The Cedar schema of the product: who may ask, for what, to do what, and what is known then. A table, and no code.

https://docs.cedarpolicy.com/schema/human-readable-schema.html
"""

from __future__ import annotations

from typing import Final

from gateway.config.policy_settings import ActionName

SCHEMA: Final = """
entity Tenant;
entity Team in [Tenant];
entity Group in [Tenant];
entity Role;
entity User in [Team, Tenant, Group, Role] { id: String, tenant: Tenant } tags String;
entity ServiceAccount in [Team, Tenant, Group, Role] { id: String, tenant: Tenant } tags String;
entity Key in [User, Team, Tenant, Group, Role] { id: String, tenant: Tenant } tags String;
entity Anonymous in [Tenant] { id: String, tenant: Tenant } tags String;

entity Model { id: String, providers: Set<String> };
entity Agent { id: String };
entity Server;
entity Tool in [Server] { id: String };
entity Resource in [Server] { id: String };
entity Prompt in [Server] { id: String };
entity Endpoint { id: String };
entity VectorStore in [Tenant] { id: String, tenant: Tenant };
entity File in [Tenant] { id: String, tenant: Tenant };

type Call = { operation: String, dialect: String, stream: Bool, time: datetime, hour: Long, weekday: Long };
type ToolCall = {
    args: {},
    agent: String, effect: String, outward: Bool, wish: String,
    tainted: Bool, taint: Set<String>, untrusted: Set<String>, sensitive: Set<String>,
    cost: decimal, steps: Long, calls: Long,
    time: datetime, hour: Long, weekday: Long
};
type Moment = { time: datetime, hour: Long, weekday: Long };
type Administration = { section: String, time: datetime, hour: Long, weekday: Long };

action "use", "act", "data", "administer";
action "use_model" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Model], context: Call };
action "use_agent" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Agent], context: Call };
action "use_tool" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Tool], context: Call };
action "read_resource" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Resource], context: Call };
action "use_prompt" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Prompt], context: Call };
action "call_tool" in ["act"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Tool], context: ToolCall };
action "use_endpoint" in ["use"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Endpoint], context: Call };
action "read_store", "write_store" in ["data"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [VectorStore], context: Moment };
action "read_file", "write_file" in ["data"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [File], context: Moment };
action "admin_read", "admin_write" in ["administer"] appliesTo
    { principal: [User, ServiceAccount, Key, Anonymous], resource: [Tenant], context: Administration };
"""

NO_ARGUMENTS: Final = "args: {},"
"""Stands where the type of the arguments does: which there are, a tool's own definition says."""

GROUPS: Final[dict[ActionName, str]] = {
    "use_model": "use",
    "use_agent": "use",
    "use_tool": "use",
    "read_resource": "use",
    "use_prompt": "use",
    "call_tool": "act",
    "use_endpoint": "use",
    "read_store": "data",
    "write_store": "data",
    "read_file": "data",
    "write_file": "data",
    "admin_read": "administer",
    "admin_write": "administer",
}
"""The actions, and the group that each is in: the same hierarchy as in the schema."""

CALL: Final = ("operation", "dialect", "stream")
MOMENT: Final = ("time", "hour", "weekday")
ADMINISTRATION: Final = ("section",)


def schema_with(arguments: str) -> str:
    """Give the schema in which the arguments of tools are of a type, written as Cedar writes records."""
    return SCHEMA.replace(NO_ARGUMENTS, f"args: {arguments},")
