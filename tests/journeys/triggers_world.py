"""A gateway with triggers of each kind, and what sends to them as Alertmanagers and other senders do."""

import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2

from gateway.triggers.signatures import sign
from tests.journeys.running_gateway import ROOT, Gateway, running

PATIENCE = 20
TOKEN = "a-token-that-nobody-guesses"
KEY = b"a signing key of enough bytes!!!"
ENVIRON = {"ALERT_TOKEN": TOKEN, "HOOK_SECRET": "whsec_" + base64.b64encode(KEY).decode()}
SCRIPT = """
models:
  thinker:
    answers:
      - when: {contains: count the pods, turn: 0}
        call: [{tool: desk__count, arguments: {text: one}}]
      - {when: {contains: endless}, say: "one two three four five six", pace: 1}
      - {when: {tool_result: ""}, say: "The tool said: {tool_result}"}
      - {say: "I looked into it."}
"""
CONFIG = """
server: {drain_timeout: 0.1}
database: %(database)s
access: {bootstrap_key_file: data/first.key, keys_refresh: 0.1, pepper: "env:PEPPER"}
runs: {poll: 0.1, lease: 2}
agents: {folder: agents}
tools:
  servers:
    desk:
      kind: stdio
      command: %(python)s
      args: [%(double)s, stdio, %(folder)s]
      tools:
        count: {effect: once}
providers: {play: {kind: scripted, document: script.yaml}}
models: {thinker: play/thinker}
triggers:
%(triggers)s
"""
TRIGGERS = """
  alertmanager:
    kind: alertmanager
    agent: triage
    token: env:ALERT_TOKEN
    signing_secret: env:HOOK_SECRET
    run_as: {groups: [oncall], tags: {team: sre}}
    limits: {steps: 7, tool_calls: 3, tokens: 9000, cost: 0.5, seconds: 60}
  deploys:
    kind: webhook
    agent: triage
    secret: env:HOOK_SECRET
    fields: {service: /deploy/service, version: /deploy/version, note: /note}
    dedupe: /deploy/id
"""
AGENTS = {"triage": "model: thinker\ndescription: Looks.\ntools: {desk: [count]}\n"}


class World:
    """`http` asks with the administrator's key, `outside` with none."""

    def __init__(self, gateway: Gateway, folder: Path, key: str) -> None:
        self.gateway = gateway
        self.folder = folder
        self.http = httpx2.AsyncClient(
            base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE
        )
        self.outside = httpx2.AsyncClient(base_url=gateway.url, timeout=PATIENCE)

    async def fire(self, payload: dict, token: str = TOKEN):
        """Send what an Alertmanager sends."""
        headers = {"authorization": f"Bearer {token}"}
        return await self.outside.post("/v1/triggers/alertmanager", json=payload, headers=headers)

    async def send(self, body: bytes, *, trigger: str = "deploys", **headers: str):
        """Send a signed webhook."""
        return await self.outside.post(f"/v1/triggers/{trigger}", content=body, headers=signed(body, **headers))

    async def incidents(self, **query: str) -> list[dict]:
        return (await self.http.get("/admin/incidents", params={"limit": 1000, **query})).json()["data"]

    async def incident(self, name: str) -> dict:
        return (await self.http.get(f"/admin/incidents/{name}")).json()

    async def until(self, name: str, true) -> dict:
        """Wait until something holds of an incident; give it."""
        with anyio.fail_after(PATIENCE):
            while not true(found := await self.incident(name)):
                await anyio.sleep(0.05)
        return found

    async def run(self, name: str) -> dict:
        return (await self.http.get(f"/admin/runs/{name}")).json()

    async def runs(self) -> list[dict]:
        return (await self.http.get("/admin/runs", params={"limit": 1000})).json()["data"]

    async def tools_ready(self) -> None:
        """Wait until the server of tools is there."""
        with anyio.fail_after(PATIENCE):
            while self.gateway.application.tools.server("desk").state != "ready":
                await anyio.sleep(0.02)
            shown = (await self.http.get("/admin/tools/desk")).json()
            for tool in shown["tools"]:
                if tool["state"] == "quarantined":
                    await self.http.post(f"/admin/tools/{tool['id']}/accept", json={"definition": tool["definition"]})


def signed(body: bytes, *, identifier: str = "msg_1", at: float | None = None, key: bytes = KEY) -> dict[str, str]:
    """The headers of a signed webhook."""
    timestamp = str(int(time.time() if at is None else at))
    signature = sign(body, identifier.encode(), timestamp.encode(), key=key).decode()
    return {
        "content-type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


def alert(
    name: str = "PodDown", *, status: str = "firing", fingerprint: str = "", summary: str = "It is down.", **labels
):
    """An alert as Alertmanager sends it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "page", **labels},
        "annotations": {"summary": summary},
        "startsAt": "2026-11-22T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint or f"{name}-{sorted(labels.items())}",
    }


def payload(*alerts: dict, group: str = '{}:{alertname="PodDown"}') -> dict:
    """A payload, version 4."""
    return {
        "version": "4",
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
        "receiver": "switchgear",
        "groupLabels": {"alertname": "PodDown"},
        "commonLabels": dict(alerts[0]["labels"]) if alerts else {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    }


def write_files(folder: Path, config: str, *, triggers: str = TRIGGERS, database: str = "", agents=None) -> str:
    """Write what the configuration names, and give it."""
    (folder / "script.yaml").write_text(SCRIPT)
    for name, definition in (agents or AGENTS).items():
        place = folder / "agents" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "agent.yaml").write_text(definition)
        (place / "instructions.md").write_text("Be brief.")
    return config % {
        "python": sys.executable,
        "double": ROOT / "tests" / "mcp_server_double.py",
        "folder": folder,
        "triggers": triggers,
        "database": database or "{kind: sqlite, path: data/switchgear.db}",
    }


@asynccontextmanager
async def triggers_world(folder: Path, *, triggers: str = TRIGGERS, database: str = "") -> AsyncIterator[World]:
    """Run it."""
    environ = {**ENVIRON, "PEPPER": "p" * 32}
    config = write_files(folder, CONFIG, triggers=triggers, database=database)
    async with running(folder, config, environ=environ) as gateway:
        world = World(gateway, folder, (folder / "data" / "first.key").read_text().strip())
        try:
            await world.tools_ready()
            yield world
        finally:
            await world.http.aclose()
            await world.outside.aclose()


def texts(run: dict) -> list[tuple[str, str]]:
    """The messages of a run's input: who may have written each, and what it says."""
    return [
        ((item["label"] or {}).get("integrity", ""), item["body"]["content"][0]["text"])
        for item in run["items"]
        if item["place"] == "input" and item["body"]["type"] == "message"
    ]


def data_of(text: str) -> dict:
    """The data in a message."""
    return json.loads(text[text.index("{") :])
