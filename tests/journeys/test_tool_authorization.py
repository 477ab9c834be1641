"""An operator authorizes the gateway at a server of tools, over the admin API and with a browser, and takes it back again."""

import base64
import re

import anyio
import httpx2
import pytest

from tests.journeys.running_gateway import running
from tests.oauth_double import oauth_site
from tests.tool_world import free_port

CONFIG = """
server: {{port: {port}}}
database: {{kind: sqlite, path: data/switchgear.db}}
access: {{bootstrap_key_file: data/first.key}}
secrets: {{master_key: env:MASTER}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{talker: play/talker}}
tools:
  public_url: {public}
  servers:
    notes: {{kind: http, url: "{url}", oauth: {{private: true}}, tools: {{who: {{effect: read}}}}}}
"""
MASTER = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
async def site():
    async with oauth_site() as site:
        yield site


@pytest.fixture
async def gateway(tmp_path, site):
    (tmp_path / "script.yaml").write_text("models: {talker: {answers: [{say: hello}]}}")
    config = CONFIG.format(port=free_port(), public="http://127.0.0.1:9", url=site.url)
    async with running(tmp_path, config, environ={"MASTER": MASTER}) as gateway:
        key = (tmp_path / "data" / "first.key").read_text().strip()
        async with httpx2.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {key}"}) as gateway.http:
            yield gateway


async def state(gateway, wanted):
    with anyio.fail_after(30):
        while (await gateway.http.get("/admin/tools/notes")).json()["state"] != wanted:
            await anyio.sleep(0.02)


async def test_an_operator_authorizes_a_server_and_takes_it_back(gateway, site):
    asked = "/admin/tools/notes/authorize"
    sent = (await gateway.http.post(asked)).json()
    back = await site.agree(sent["url"])
    async with httpx2.AsyncClient(base_url=gateway.url) as browser:
        page = await browser.get("/oauth/callback/notes", params=back)
        again = await browser.get("/oauth/callback/notes", params=back)
        [ticket] = re.findall(r'name="ticket" value="([^"]+)"', page.text)
        agreed = await browser.post("/oauth/callback", data={"ticket": ticket})
        twice = await browser.post("/oauth/callback", data={"ticket": ticket})
    await state(gateway, "ready")
    listed = (await gateway.http.get(asked)).json()["data"]
    gone = await gateway.http.delete(asked)
    nothing = await gateway.http.delete(asked)
    entries = (await gateway.http.get("/admin/audit", params={"action": "tool_server."})).json()["data"]

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "<b>everybody, in the name</b> of this gateway" in page.text
    assert (again.status_code, agreed.status_code, twice.status_code) == (404, 200, 404)
    assert [(one["server"], one["tenant"], one["person"]) for one in listed] == [("notes", None, None)]
    assert (gone.status_code, nothing.status_code) == (200, 404)
    assert len(site.asked("revoke", "token")) == 2
    assert {"tool_server.authorizing", "tool_server.authorized", "tool_server.unauthorized"} <= {
        one["action"] for one in entries
    }
    assert not any(value in str(entries) for value in (back["code"], back["state"]))


async def test_what_comes_to_the_callback_by_itself_gives_nothing(gateway, site):
    async with httpx2.AsyncClient(base_url=gateway.url) as browser:
        statuses = [
            (await browser.get(path)).status_code
            for path in (
                "/oauth/callback",
                "/oauth/callback?state=x&code=y",
                "/oauth/callback?state=x&state=y",
                "/oauth/callback/notes?state=x&code=y",
                "/oauth/callback/nobody?state=x&code=y",
                "/oauth/callback?" + "&".join(f"p{number}=1" for number in range(50)),
            )
        ]
        posted = await browser.post("/oauth/callback")
        document = (await browser.get("/oauth/clients/notes")).json()
        old = (await browser.get("/oauth/client.json")).json()
        nobody = await browser.get("/oauth/clients/nobody")
        refused = await browser.post("/admin/tools/notes/authorize")

    assert statuses == [404, 404, 400, 404, 404, 400]
    assert (posted.status_code, refused.status_code) == (404, 403)
    assert document["redirect_uris"] == ["http://127.0.0.1:9/oauth/callback/notes"]
    assert document["client_id"] == "http://127.0.0.1:9/oauth/clients/notes"
    assert old["redirect_uris"] == ["http://127.0.0.1:9/oauth/callback"]
    assert nobody.status_code == 404
    assert site.requests == []


async def test_a_server_that_asks_for_nothing_cannot_be_authorized(gateway):
    assert (await gateway.http.post("/admin/tools/other/authorize")).status_code == 404
