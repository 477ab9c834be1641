"""The gateway's own connector to MCP servers as a client for the conformance suite. Run as a program, by the suite: `connector_client.py URL`.

Nothing of the protocol is here: this does what the hub and an operator do. It connects, lists, and calls; where people are to agree it agrees as
they do, with a browser's request; and where a tool wants a form filled in it is called again with the answer.
"""

import base64
import json
import os
import sys
import tempfile
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2

from gateway.config.database_settings import SqliteSettings
from gateway.config.secret import Secret
from gateway.config.tool_settings import HttpServerSettings, OAuthSettings, ToolSettings
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.tools import Label, Tool
from gateway.stores.database import open_database
from gateway.stores.secrets_cipher import open_cipher
from gateway.stores.tool_grants import Holder
from gateway.stores.tool_grants_sql import SqlGrants
from gateway.tools.connecting import HttpConnector
from gateway.tools.connection import CannotConnect, ToolCallAsked
from gateway.tools.hub import ToolLost, ToolNotReached
from gateway.tools.oauth.authorizing import Authorizing, NotAuthorized
from gateway.tools.oauth.bearer import Bearers

HOLDER = Holder(server="suite")
PUBLIC = "https://gateway.example"
AGREEMENTS = 3
"""How often somebody agrees before he has enough of it."""
MODERN = "2026-07-28"
FILLED = {"string": "x", "integer": 0, "number": 0, "boolean": True, "object": {}, "array": []}


def tell(*words):
    """Say something to who reads the results."""
    sys.stderr.write(" ".join(map(str, words)) + "\n")


async def nowhere(host, port):
    msg = "the suite is on this machine"
    raise OSError(msg)


def oauth_of(scenario, context):
    if scenario == "auth/basic-cimd":
        # The suite's authorization server knows a client by one address only, which is not this gateway's.
        return OAuthSettings(private=True, client_id="https://conformance-test.local/client-metadata.json")
    if not scenario.startswith("auth/"):
        return None
    secret = context.get("client_secret")
    return OAuthSettings(
        private=True,
        grant="client_credentials" if "client-credentials" in scenario else "authorization_code",
        client_id=context.get("client_id", ""),
        client_secret=None if secret is None else Secret(secret, source="env:SUITE"),
    )


class Operator:
    """Authorizes, and connects."""

    def __init__(self, settings, database):
        cipher = open_cipher(Secret(base64.b64encode(b"k" * 32).decode(), source="env:MASTER"))
        self.grants = SqlGrants(database, cipher)
        self.settings = settings
        self.left = AGREEMENTS
        self.authorizing = Authorizing(
            self.grants,
            servers=lambda: {"suite": settings},
            public_url=lambda: PUBLIC,
            locate=nowhere,
            clock=SYSTEM_CLOCK,
            arrived=lambda holder: None,
            gone=lambda holder: None,
        )

    def connector(self):
        bearers = Bearers(self.grants, nowhere, SYSTEM_CLOCK)
        return HttpConnector("suite", self.settings, bearers.of(self.settings, HOLDER))

    async def agree(self):
        """Be sent away, agree, and come back. False where somebody has had enough of it."""
        self.left -= 1
        if self.left < 0 or self.settings.oauth is None or self.settings.oauth.grant != "authorization_code":
            return False
        sent = await self.authorizing.begin(HOLDER, by="operator")
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(sent.url, follow_redirects=False)
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        server = urlsplit(answer.headers["location"]).path.rpartition("/")[2]
        back = await self.authorizing.come_back({name: values[0] for name, values in query.items()}, server)
        await self.authorizing.confirm(back.ticket)
        return True


def tool_of(listed):
    return Tool(
        server="suite",
        name=listed.name,
        schema=listed.schema,
        definition="",
        gives=Label(source=f"suite/{listed.name}"),
    )


def required(schema):
    properties = schema.get("properties", {})
    return {name: FILLED.get(properties.get(name, {}).get("type"), "x") for name in schema.get("required", [])}


async def call(connection, listed, arguments, number):
    """Call a tool, and fill in what it wants to have filled in."""
    asked = {"tool": tool_of(listed), "arguments": arguments, "key": f"key-{number}", "seconds": 20.0}
    answers, state = {}, None
    for _ in range(4):
        output = await connection.call(ToolCallAsked(**asked, answers=answers, state=state))
        if not output.wishes:
            return output
        answers = {
            wish.key: required({**wish.schema, "required": [*wish.schema["properties"]]}) for wish in output.wishes
        }
        state = output.wishes[0].state
    return output


def calls_of(scenario, context, listed):
    """Give what is called: (name, arguments)."""
    if scenario == "http-custom-headers":
        return [(one["name"], one.get("arguments") or {}) for one in context.get("toolCalls", [])]
    if scenario == "json-schema-2020-12-preservation":
        focal = next(tool for tool in listed if tool.name == "json_schema_2020_12_tool")
        return [("json_schema_echo", {"schema": focal.schema})]
    if scenario == "tools_call":
        return [("add_numbers", {"a": 5, "b": 3})]
    return [(tool.name, required(tool.schema)) for tool in listed]


async def attempt(operator, scenario, context, done):
    """Connect, list, and call what was not called yet. Give how many calls are done, and the error that ended it, if one did."""
    async with operator.connector().open() as connection:
        try:
            listed = {tool.name: tool for tool in await connection.list()}
            for number, (name, arguments) in enumerate(calls_of(scenario, context, listed.values())):
                if number >= done and name in listed:
                    tell(name, (await call(connection, listed[name], arguments, number)).text)
                    done = number + 1
        except (CannotConnect, ToolNotReached, ToolLost) as error:
            return done, error
    return done, None


async def work(operator, scenario, context):
    """Do what there is to do, and agree where that is asked for."""
    done = 0
    while True:
        try:
            done, error = await attempt(operator, scenario, context, done)
        except CannotConnect as refused:
            error = refused
        if error is None:
            return
        tell(type(error).__name__, error)
        if not await operator.agree():
            raise SystemExit(1)


async def main(url):
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    modern = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", MODERN) == MODERN
    # The suite's server for this one speaks the older revision only, whatever it says.
    modern = modern and scenario != "json-schema-ref-no-deref"
    settings = HttpServerSettings(
        url=url,
        tools={"any": ToolSettings()},
        protocol="auto" if modern else "legacy",
        oauth=oauth_of(scenario, context),
    )
    with tempfile.TemporaryDirectory() as folder:
        database = await open_database(SqliteSettings(path=f"{folder}/grants.db"))
        try:
            operator = Operator(settings, database)
            if settings.oauth is not None:
                with suppress(NotAuthorized):
                    await operator.agree()
            await work(operator, scenario, context)
        except NotAuthorized as error:
            tell("NotAuthorized", error)
            raise SystemExit(1) from error
        finally:
            await database.aclose()


anyio.run(main, sys.argv[-1])
