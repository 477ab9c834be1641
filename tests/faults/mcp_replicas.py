"""Two replicas on one PostgreSQL behind nginx, with a server of tools of their own each (`desk`) and one that both reach by HTTP (`memos`)."""

from contextlib import asynccontextmanager

import anyio
import httpx2

from tests.journeys.mcp_world import PATIENCE, PEPPER, configuration, operating
from tests.journeys.running_gateway import served_process
from tests.tool_world import OFFERING, free_port, web

MCP = """
  servers: {desk: [echo, count, hang, pause], memos: [advance, change]}
  prefixes: {memos: ""}
  offers: [memos]
  clients: trusted
  approval: {desk/count: always, memos/advance: always}
"""
MEMOS = """
    memos:
      kind: http
      url: http://127.0.0.1:{port}/mcp
      tools: {{advance: {{effect: once, gives: {{integrity: trusted}}}}, change: {{effect: once, gives: {{integrity: trusted}}}}}}
      prompts: [greet, later]
"""
KEY = {"switchgear/idempotency-key": "the-one-call"}


class Site:
    """`one` and `two` are the replicas, `url` the address of both; `memos` is where their common server of tools notes things."""

    def __init__(self, folder, one, two, nginx):
        self.folder, self.one, self.two, self.nginx = folder, one, two, nginx
        self.url = nginx.url
        self.memos = folder / "memos"

    def busy(self):
        """Give the replica that answers the one call that has come through nginx, or None."""
        key = (self.folder / "first.key").read_text().strip()
        for replica in (self.one, self.two):
            told = httpx2.get(f"{replica.url}/metrics", headers={"authorization": f"Bearer {key}"}).text
            if "switchgear_mcp_calls 1" in told.splitlines():
                return replica
        return None

    @property
    def both_answered(self):
        """Whether nginx has asked both."""
        return set(self.nginx.answered) == {self.one.port, self.two.port}


@asynccontextmanager
async def two_replicas(folder, postgres, nginx_before):
    """Run all of it; both have their tools."""
    (folder / "memos").mkdir()
    port = free_port()
    environ = {**PEPPER, "DATABASE_URL": postgres.new_database()}
    database = "{kind: postgres, url: env:DATABASE_URL}"
    config = configuration(folder, MCP, database=database, servers=MEMOS.format(port=port))
    config = config.replace("hang: {effect: read", "hang: {effect: once")
    (folder / "notes" / "extra").write_text("pause")
    with web(folder / "memos", port, program=OFFERING):
        async with served_process(folder, config, environ) as one, served_process(folder, config, environ) as two:
            for each in (one, two):
                await _ready(folder, each.url)
            with nginx_before([one.port, two.port]) as nginx:
                yield Site(folder, one, two, nginx)


async def _ready(folder, url):
    """Wait until the servers of tools are there."""
    with anyio.fail_after(PATIENCE):
        while not (folder / "first.key").exists():
            await anyio.sleep(0.05)
        async with operating(folder, url) as http:
            while True:
                try:
                    servers = (await http.get("/admin/tools")).json()["data"]
                except httpx2.TransportError:
                    servers = []
                if servers and all(server["state"] == "ready" for server in servers):
                    return
                await anyio.sleep(0.1)
