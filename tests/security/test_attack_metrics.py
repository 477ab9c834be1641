"""Metrics name what belongs to every tenant (budgets, models, guardrails), so they are not for every tenant's keys."""

import httpx2
import pytest

from tests.journeys.running_gateway import running

CONFIG = """
server: {keys: ["env:STATIC"]}
database: {kind: sqlite, path: sg.db}
access: {bootstrap_key_file: first.key}
providers: {script: {kind: scripted, document: script.yaml}}
models: {small: script/small}
"""
STATIC = "a-static-key-of-the-configuration"
CALL = {"model": "small", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
async def ask(tmp_path):
    """Ask with a key, as the owner of the platform where none is given; raises for what fails."""
    (tmp_path / "script.yaml").write_text("models: {small: {answers: [{say: ok}]}}")
    async with running(tmp_path, CONFIG, environ={"STATIC": STATIC}) as gateway:
        owner = (tmp_path / "first.key").read_text().strip()
        async with httpx2.AsyncClient(base_url=gateway.url) as http:

            async def ask(method, path, key=owner, **more):
                return await http.request(method, path, headers={"authorization": f"Bearer {key}"}, **more)

            yield ask


async def test_a_tenants_names_are_in_no_metrics_that_another_may_read(ask):
    async def make(noun, **body):
        return (await ask("POST", f"/admin/{noun}", json={"name": "n", **body})).json()

    theirs = (await make("tenants"))["id"]
    await make("budgets", tenant=theirs, name="project-titan", limit=0, count="requests")
    for role in ("owner", "admin", "auditor", "approver", "member", ""):
        for tenant in ("default", theirs):
            key = (await make("keys", tenant=tenant, role=role))["key"]
            answer = await ask("GET", "/metrics", key)
            reads = tenant == "default" and role in ("owner", "admin", "auditor")
            assert answer.status_code == (200 if reads else 403), (tenant, role)
    assert (await ask("GET", "/metrics", STATIC)).status_code == 200
    assert (await ask("GET", "/metrics", "nonsense")).status_code == 401
