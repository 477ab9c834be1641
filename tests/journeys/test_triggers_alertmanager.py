"""A real Alertmanager fires, repeats and resolves: what it sends is what the trigger reads."""

import datetime as dt

import anyio
import httpx2
import pytest

from tests.journeys.triggers_world import PATIENCE, TOKEN, data_of, texts, triggers_world
from tests.servers import alertmanager_server as run_alertmanager

CONFIG = """
route: {{receiver: switchgear, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 2s}}
receivers:
  - name: switchgear
    webhook_configs:
      - url: {url}/v1/triggers/alertmanager
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials: {token}}}}}
"""


@pytest.fixture
async def world(tmp_path):
    async with triggers_world(tmp_path) as world:
        yield world


@pytest.fixture
async def alertmanager_server(world):
    with run_alertmanager(CONFIG.format(url=world.gateway.url, token=TOKEN)) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
            yield client


async def raise_alerts(alertmanager, *pods, ends=None):
    """Tell Alertmanager of alerts, as Prometheus does."""
    alerts = [
        {
            "labels": {"alertname": "PodDown", "severity": "page", "pod": pod, "secret": "not for agents"},
            "annotations": {"summary": f"{pod} is down", "note": "not declared"},
            **({} if ends is None else {"endsAt": ends}),
        }
        for pod in pods
    ]
    assert (await alertmanager.post("/api/v2/alerts", json=alerts)).status_code == 200


async def the_incident(world, true):
    with anyio.fail_after(PATIENCE * 2):
        while True:
            found = [one for one in await world.incidents() if true(one)]
            if found:
                return found[0]
            await anyio.sleep(0.1)


async def test_alerts_of_an_alertmanager_have_one_incident_from_firing_to_resolved(world, alertmanager_server):
    await raise_alerts(alertmanager_server, "web-1", "web-2")
    begun = await the_incident(world, lambda one: one["firing"] == 2 and one["runs"] and not one["run_phase"])
    (_, task), (label, text) = texts(await world.run(begun["run"]))
    with anyio.fail_after(PATIENCE):
        while (await world.http.get("/admin/triggers/alertmanager")).json()["last_delivery"]["outcome"] != "repeated":
            await anyio.sleep(0.1)
    now = dt.datetime.now(dt.UTC).isoformat()
    await raise_alerts(alertmanager_server, "web-1", "web-2", ends=now)
    over = await the_incident(world, lambda one: one["state"] == "resolved" and one["ended_at"])

    assert {one["labels"]["pod"] for one in data_of(text)["alerts"]} == {"web-1", "web-2"}
    assert (label, "web-1" in task, "not for agents" in text, "not declared" in text) == (
        "untrusted",
        False,
        False,
        False,
    )
    assert (over["id"], over["runs"]) == (begun["id"], 1)
    assert len(await world.incidents()) == 1
