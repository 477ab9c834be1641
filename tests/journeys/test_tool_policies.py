"""An operator sees which policies do not fit what a tool's server says of its arguments, before a call is refused for it."""

import anyio
import httpx2
from structlog.testing import capture_logs

from tests.journeys.running_gateway import running
from tests.journeys.tool_runs_world import ENVIRON, configuration, until_ready

MANY = '@id("many") forbid (principal, action == Action::"call_tool", resource == Tool::"desk/echo") when { %s };'
OPEN = "policies: {folder: policies, default: allow}\n"


async def shown(http, wanted):
    """What /admin/tools shows of the server as soon as that is so."""
    with anyio.fail_after(30):
        while True:
            (server,) = (await http.get("/admin/tools")).json()["data"]
            if wanted(server["misfits"]):
                return server
            await anyio.sleep(0.02)


async def test_a_policy_that_does_not_fit_a_tool_is_shown_until_it_does(tmp_path):
    (tmp_path / "policies").mkdir()
    policy = tmp_path / "policies" / "a.cedar"
    policy.write_text(MANY % "context.args.text > 3")
    plain, key = configuration(tmp_path) + OPEN, tmp_path / "first.key"
    config = plain.replace("env:PEPPER", f'env:PEPPER, bootstrap_key_file: "{key}"')
    with capture_logs() as logs:
        async with (
            running(tmp_path, config, environ=ENVIRON) as gateway,
            httpx2.AsyncClient(base_url=gateway.url) as http,
        ):
            http.headers["authorization"] = f"Bearer {key.read_text().strip()}"
            await until_ready(gateway)
            server = await shown(http, bool)
            tools = {tool["name"]: tool for tool in (await http.get("/admin/tools/desk")).json()["tools"]}
            policy.write_text(MANY % 'context.args.text == "three"')
            await http.post("/admin/reload")
            mended = await shown(http, lambda misfits: not misfits)

    (text,) = server["misfits"]["echo"]
    assert "a.cedar:1: many: it does not fit the tool desk/echo" in text
    assert tools["echo"]["misfits"] == [text]
    assert tools["count"]["misfits"] == []
    assert mended["misfits"] == {}
    assert ("policy.misfit_found", "desk/echo") in [(line["event"], line.get("tool")) for line in logs]
