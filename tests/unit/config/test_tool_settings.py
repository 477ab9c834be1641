"""Tools are named one by one: what is not written down is not reachable, and a wildcard is refused with its reason and line."""

import pytest

from gateway.config.schema import json_schema
from gateway.config.tool_settings import (
    GivesSettings,
    HttpServerSettings,
    OpenApiServerSettings,
    StdioServerSettings,
    ToolSettings,
)

HEAD = """\
providers: {up: {kind: openai_compatible, base_url: "http://10.0.0.1/v1"}}
models: {a: up/m}
"""
STDIO = "kind: stdio, command: python3"


def tools(inside: str) -> str:
    return HEAD + f"tools: {{servers: {{docs: {{{inside}}}}}}}\n"


def test_a_server_is_a_program_or_an_address(configuration):
    text = (
        HEAD
        + """\
tools:
  servers:
    docs: {kind: stdio, command: docs-server, args: [-v], env: {KEY: "env:DOCS_KEY", MODE: fast}, tools: [search]}
    crm: {kind: http, url: "https://crm.example/mcp", headers: {authorization: "env:CRM"}, tools: {find: {effect: read}}}
"""
    )

    servers = configuration.load(text, {"DOCS_KEY": "k-1", "CRM": "Bearer x"}).tools.servers

    docs, crm = servers["docs"], servers["crm"]
    assert isinstance(docs, StdioServerSettings)
    assert isinstance(crm, HttpServerSettings)
    assert docs.env["KEY"].reveal() == "k-1"
    assert "k-1" not in repr(docs)
    assert docs.env["MODE"] == "fast"
    assert crm.tools["find"].effect == "read"


def test_a_list_of_names_takes_the_careful_defaults(configuration):
    listed = configuration.load(tools(f"{STDIO}, tools: [search, send.mail]")).tools.servers["docs"]
    spelled = configuration.load(tools(f"{STDIO}, tools: {{search: , send.mail: {{}}}}")).tools.servers["docs"]

    assert listed.tools == spelled.tools == {"search": ToolSettings(), "send.mail": ToolSettings()}
    assert listed.tools["search"].effect is None, "what the kind of server says, and that is once for an MCP server"
    assert listed.tools["search"].gives == GivesSettings(integrity="untrusted", confidentiality="internal")
    assert listed.tools["search"].outward is True


@pytest.mark.parametrize("names", ['["*"]', '["search*"]', '{"*": {effect: read}}', '{"get_?": }'])
def test_a_wildcard_is_refused_and_said_why(configuration, names):
    (fault, *_) = configuration.faults(tools(f"{STDIO}, tools: {names}"))

    assert fault.line == 3
    assert "a wildcard would let in what the server adds tomorrow" in fault.message


@pytest.mark.parametrize(
    "named",
    [
        'resources: ["*"]',
        'resources: ["memo://*"]',
        'resources: ["memo://notes/{id}"]',
        'resources: ["notes/one"]',
        'resources: ["memo://a b"]',
        'resource_templates: ["*"]',
        'prompts: ["greet*"]',
    ],
)
def test_what_else_a_server_offers_is_named_one_by_one_too(configuration, named):
    (fault, *_) = configuration.faults(tools(f"{STDIO}, tools: [a], {named}"))

    assert fault.line == 3
    assert "wildcard" in fault.message


def test_resources_templates_and_prompts_are_nothing_unless_said(configuration):
    servers = configuration.load(
        tools(f"{STDIO}, tools: [a], resources: ['memo://one'], resource_templates: [page], prompts: [sum it up]")
    ).tools.servers
    plain = configuration.load(tools(f"{STDIO}, tools: [a]")).tools.servers["docs"]

    alone = configuration.load(tools(f"{STDIO}, prompts: [sum it up]")).tools.servers["docs"]

    assert (alone.tools, alone.prompts) == ({}, ("sum it up",))
    assert servers["docs"].resources == ("memo://one",)
    assert servers["docs"].prompts == ("sum it up",)
    assert (plain.resources, plain.resource_templates, plain.prompts) == ((), (), ())


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (STDIO, "nothing of a server can be used that is not named"),
        ("kind: openapi, document: x, url: 'http://x'", "missing key 'tools'"),
        ("kind: openapi, document: x, url: 'http://x', tools: [a], prompts: [b]", "unknown key 'prompts'"),
        (f"{STDIO}, tools: []", "nothing of a server can be used that is not named"),
        (f"{STDIO}, tools: ", "nothing of a server can be used that is not named"),
        ("kind: openapi, document: x, url: 'http://x', tools: []", "at least one"),
        (f"{STDIO}, tools: [a, a]", "there already"),
        (f"{STDIO}, tools: [[a]]", "expected a name"),
        (f"{STDIO}, tools: {{a: {{effect: write}}}}", "expected one of read, idempotent, once"),
        (f"{STDIO}, url: 'http://x/mcp', tools: [a]", "unknown key 'url'"),
        ("kind: http, tools: [a]", "missing key 'url'"),
        ("kind: http, url: 'http://x/mcp', command: x, tools: [a]", "unknown key 'command'"),
        ("kind: http, url: 'http://x/mcp', headers: {authorization: Bearer 1}, tools: [a]", "carries a credential"),
        (f"{STDIO}, cwd: /no/such/place, tools: [a]", "there is no directory"),
        (f"{STDIO}, env: {{'A B': x}}, tools: [a]", "environment variable"),
        (f"{STDIO}, tools: {{a: {{effect: read, idempotency_argument: key}}}}", "only reads"),
        ("kind: sse, url: 'http://x/mcp', tools: [a]", "one of stdio, http"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(configuration, inside, said):
    faults = configuration.faults(tools(inside))

    assert any(fault.line == 3 and said in fault.message for fault in faults), faults


@pytest.mark.parametrize("label", ["Docs", "-docs", "do_cs", "d" * 33, "agent/x"])
def test_a_label_is_small_letters_digits_and_dashes(configuration, label):
    faults = configuration.faults(HEAD + f'tools: {{servers: {{"{label}": {{{STDIO}, tools: [a]}}}}}}\n')

    assert any("at most 32 small letters" in fault.message for fault in faults), faults


def test_the_schema_for_editors_takes_both_ways_of_writing_tools():
    written = json_schema()["$defs"]["StdioServerSettings"]["properties"]["tools"]["anyOf"]

    assert [way["type"] for way in written] == ["array", "object"]


def test_a_server_is_an_http_service_with_a_document(configuration, tmp_path):
    (tmp_path / "pets.yaml").write_text("openapi: 3.1.0")
    inside = 'kind: openapi, document: pets.yaml, url: "https://pets.example/v1", tools: [getPet]'

    pets = configuration.load(tools(inside)).tools.servers["docs"]

    assert isinstance(pets, OpenApiServerSettings)
    assert pets.document.is_absolute()


def test_a_document_that_is_not_there_is_refused(configuration):
    inside = 'kind: openapi, document: pets.yaml, url: "https://pets.example/v1", tools: [getPet]'

    [fault] = configuration.faults(tools(inside))
    assert (fault.path, fault.line) == ("tools.servers.docs.document", 3)


KEPT = 'database: {kind: sqlite, path: data/x.db}\nsecrets: {master_key: "env:MASTER"}\n'
GUARDED = 'kind: http, url: "https://crm.example/mcp", tools: [find]'
ROBOT = 'oauth: {grant: client_credentials, client_id: robot, client_secret: "env:S"}'


@pytest.mark.parametrize(
    ("inside", "more", "said"),
    [
        ("oauth: {}", "", "secrets.master_key"),
        ("oauth: {}", KEPT, "tools.public_url"),
        ('oauth: {}, headers: {authorization: "env:S"}', KEPT, "remove one of the two"),
        ("oauth: {grant: client_credentials, client_id: robot}", KEPT, "client_secret"),
        ('oauth: {scopes: ["two words"]}', KEPT, "scopes"),
        ("oauth: {grant: password}", KEPT, "grant"),
    ],
)
def test_an_authorization_that_could_not_be_kept_or_given_is_refused(configuration, inside, more, said):
    faults = configuration.faults(tools(f"{GUARDED}, {inside}") + more, {"MASTER": "m", "S": "s"})

    assert any(fault.line == 3 and said in f"{fault.path} {fault.message}" for fault in faults), faults


def test_a_gateway_in_its_own_name_needs_nobody_to_come_back(configuration):
    settings = configuration.load(tools(f"{GUARDED}, {ROBOT}"), {"S": "s"})

    assert settings.tools.servers["docs"].oauth.client_id == "robot"
    assert "'s'" not in repr(settings.tools.servers["docs"].oauth)


@pytest.mark.parametrize("oauth", ["", f", {ROBOT}"])
def test_accounts_of_peoples_own_need_a_way_to_connect_them(configuration, oauth):
    faults = configuration.faults(tools(f"{GUARDED}, credentials: user{oauth}") + KEPT, {"MASTER": "m", "S": "s"})

    assert any("write oauth" in fault.message for fault in faults), faults
