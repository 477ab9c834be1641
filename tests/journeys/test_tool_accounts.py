"""People use a server of tools with accounts of their own: each is asked to connect one, and nobody's is ever used for another."""

import base64
import re
from urllib.parse import urljoin

import anyio
import httpx2
import openai
import pytest

from tests.journeys.running_gateway import running
from tests.oauth_double import oauth_site
from tests.tool_world import free_port

CONFIG = """
server: {{port: {port}, drain_timeout: 0.2}}
database: {{kind: sqlite, path: data/switchgear.db}}
access: {{bootstrap_key_file: data/first.key, keys_refresh: 0.1}}
secrets: {{master_key: env:MASTER}}
runs: {{poll: 0.1}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{talker: play/talker}}
tools:
  public_url: http://127.0.0.1:9
  servers:
    notes:
      kind: http
      url: "{url}"
      oauth: {{private: true}}
      credentials: user
      tools: {{who: {{effect: read, outward: false, gives: {{integrity: trusted}}}}}}
"""
SCRIPT = """
models:
  talker:
    answers:
      - {when: {after_tool: notes__who}, say: "It says: {tool_result}"}
      - {call: [{tool: notes__who, arguments: {}}]}
"""
TOOLS = [{"type": "mcp", "server_label": "notes", "require_approval": "never"}]
ROLES = {"ada": "member", "bob": "approver"}
ENVIRON = {"MASTER": base64.b64encode(b"k" * 32).decode()}


def ticket_of(page):
    """What stands in the form by which somebody agrees."""
    return re.search(r'name="ticket" value="([^"]+)"', page.text)[1]


def form_of(page):
    """Where the form goes, from the page that it stands on."""
    return urljoin(str(page.url), re.search(r'action="([^"]+)"', page.text)[1])


class World:
    """`clients` are those of ada and bob (who may approve), who have keys of their own; `operator` has the first."""

    def __init__(self, gateway, site, operator):
        self.gateway, self.site, self.operator = gateway, site, operator
        self.http, self.openai = {}, {}

    async def add(self, name):
        user = (
            await self.operator.post(
                "/admin/users", json={"name": name, "email": f"{name}@example.com", "role": ROLES[name]}
            )
        ).json()
        made = await self.operator.post("/admin/keys", json={"name": name, "user": user["id"], "role": ROLES[name]})
        key = made.json()["key"]
        self.http[name] = httpx2.AsyncClient(
            base_url=self.gateway.url, headers={"authorization": f"Bearer {key}"}, timeout=30
        )
        self.openai[name] = openai.AsyncOpenAI(base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0)

    async def come_back(self, url, person):
        self.site.person = person
        back = await self.site.agree(url)
        async with httpx2.AsyncClient(base_url=self.gateway.url) as browser:
            asked = await browser.get("/oauth/callback/notes", params=back)
            assert (await browser.post(form_of(asked), data={"ticket": ticket_of(asked)})).status_code == 200

    async def connect(self, name):
        sent = await self.http[name].post("/v1/tools/notes/authorize")
        await self.come_back(sent.json()["url"], f"{name}'s account")

    async def ask(self, name, given="Who am I?", **more):
        return await self.openai[name].responses.create(model="talker", input=given, tools=TOOLS, **more)

    async def say_yes(self, name, response):
        [asked] = [item for item in response.output if item.type == "mcp_approval_request"]
        answer = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
        return await self.ask(name, [answer], previous_response_id=response.id)


@pytest.fixture
async def world(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with oauth_site() as site:
        config = CONFIG.format(port=free_port(), url=site.url)
        async with running(tmp_path, config, environ=ENVIRON) as gateway:
            key = (tmp_path / "data" / "first.key").read_text().strip()
            async with httpx2.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {key}"}) as operator:
                made = World(gateway, site, operator)
                sent = (await operator.post("/admin/tools/notes/authorize")).json()
                await made.come_back(sent["url"], "the operator's account")
                with anyio.fail_after(30):
                    while gateway.application.tools.server("notes").state != "ready":
                        await anyio.sleep(0.02)
                for name in ("ada", "bob"):
                    await made.add(name)
                try:
                    yield made
                finally:
                    for name in ("ada", "bob"):
                        await made.http[name].aclose()
                        await made.openai[name].close()


async def test_whoever_agrees_is_told_whose_account_he_makes_of_his_own(world):
    """Mallory may send somebody the address that he was given himself."""
    sent = await world.http["ada"].post("/v1/tools/notes/authorize")
    back = await world.site.agree(sent.json()["url"])
    async with httpx2.AsyncClient(base_url=world.gateway.url) as victim:
        page = await victim.get("/oauth/callback/notes", params=back)
    person = (await world.http["ada"].get("/v1/tools/notes/authorize")).json()

    assert re.search(r"<b>ada &lt;ada@example\.com&gt; \(user:\S+, tenant default\)</b> of this gateway", page.text)
    assert person["connected"] is False


async def test_who_has_no_account_is_told_where_to_go_and_the_run_goes_on_when_he_was_there(world):
    waiting = await world.ask("ada")
    assert world.site.calls == []
    early = await world.say_yes("ada", waiting)
    await world.connect("ada")
    second = await world.ask("ada")
    again = await world.ask("bob")
    await world.connect("bob")
    answered = await world.say_yes("bob", again)

    [asked] = [item for item in waiting.output if item.type == "mcp_approval_request"]
    assert "POST /v1/tools/notes/authorize" in asked.question["message"]
    assert "still not connected" in early.output_text
    assert second.output_text == "It says: who for ada's account"
    assert answered.output_text == "It says: who for bob's account"
    assert world.site.calls == [("who", "ada's account"), ("who", "bob's account")]


@pytest.mark.parametrize("more", [{}, {"background": True}, {"stream": True}])
async def test_who_agrees_to_anothers_call_lends_no_account_of_his_own(world, more):
    """Ada asks for a call, Bob agrees to it with his own key: it is hers, and so is what comes of it."""
    await world.connect("ada")
    await world.connect("bob")
    asks = {**TOOLS[0], "require_approval": "always"}
    waiting = await world.openai["ada"].responses.create(model="talker", input="Who am I?", tools=[asks])
    [asked] = [item for item in waiting.output if item.type == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
    going = {"previous_response_id": waiting.id, "model": "talker", "tools": TOOLS}
    more_words = {"role": "user", "content": "And then do it once more."}
    with pytest.raises(openai.BadRequestError, match="can say nothing more"):
        await world.openai["bob"].responses.create(input=[answer, more_words], **going)
    assert world.site.calls == []

    made = await world.openai["bob"].responses.create(input=[answer], **going, **more)
    if more.get("stream"):
        made = [event async for event in made][-1].response
    with anyio.fail_after(30):
        while (found := await world.openai["ada"].responses.retrieve(made.id)).status in ("queued", "in_progress"):
            await anyio.sleep(0.02)

    assert found.output_text == "It says: who for ada's account"
    assert world.site.calls == [("who", "ada's account")]


async def test_a_member_agrees_to_nobody_elses_call(world):
    await world.connect("bob")
    asks = {**TOOLS[0], "require_approval": "always"}
    waiting = await world.openai["bob"].responses.create(model="talker", input="Who am I?", tools=[asks])
    [asked] = [item for item in waiting.output if item.type == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
    going = {"previous_response_id": waiting.id, "model": "talker", "tools": TOOLS, "input": [answer]}
    with pytest.raises(openai.PermissionDeniedError, match="the right to approve"):
        await world.openai["ada"].responses.create(**going)
    assert world.site.calls == []

    done = await world.openai["bob"].responses.create(**going)
    assert done.output_text == "It says: who for bob's account"


async def test_calls_at_once_are_each_made_with_the_callers_own_account(world):
    await world.connect("ada")
    await world.connect("bob")
    said = []

    async def ask(name):
        said.append((name, (await world.ask(name)).output_text))

    async with anyio.create_task_group() as tasks:
        for name in ("ada", "bob") * 6:
            tasks.start_soon(ask, name)

    assert len(said) == 12
    assert {text for name, text in said if name == "ada"} == {"It says: who for ada's account"}
    assert {text for name, text in said if name == "bob"} == {"It says: who for bob's account"}
    assert world.gateway.application.tools._upstreams["notes"].personal.open == 2


async def test_who_takes_his_account_back_is_asked_again_and_the_other_is_not(world):
    await world.connect("ada")
    await world.connect("bob")
    await world.ask("ada")
    gone = await world.http["ada"].delete("/v1/tools/notes/authorize")
    shown = [(await world.http[name].get("/v1/tools/notes/authorize")).json()["connected"] for name in ("ada", "bob")]
    waiting = await world.ask("ada")
    bobs = await world.ask("bob")

    assert (gone.status_code, shown) == (200, [False, True])
    assert waiting.output[-1].type == "mcp_approval_request"
    assert bobs.output_text == "It says: who for bob's account"
    assert [len(world.site.asked("revoke", "token")), ("who", "ada's account") in world.site.calls] == [2, True]


async def test_an_operator_takes_back_the_account_of_who_has_left(world):
    await world.connect("ada")
    await world.connect("bob")
    path = "/admin/tools/notes/authorize"
    listed = (await world.operator.get(path)).json()["data"]
    [_, first, _] = sorted(listed, key=lambda one: one["updated_at"])
    whose = {"tenant": first["tenant"], "person": first["person"]}
    gone = await world.operator.request("DELETE", path, params=whose)
    again = await world.operator.request("DELETE", path, params=whose)
    ada = await world.ask("ada")
    bob = await world.ask("bob")

    assert (gone.status_code, again.status_code) == (200, 404)
    assert ada.output[-1].type == "mcp_approval_request"
    assert bob.output_text == "It says: who for bob's account"
    assert (await world.http["ada"].request("DELETE", path)).status_code == 403


async def test_a_server_that_is_not_there_or_not_for_accounts_of_ones_own_is_not_found(world):
    async with httpx2.AsyncClient(base_url=world.gateway.url) as nobody:
        unknown = await nobody.post("/v1/tools/notes/authorize")
    missing = await world.http["ada"].post("/v1/tools/other/authorize")

    assert unknown.status_code in (401, 404)
    assert missing.status_code == 404
