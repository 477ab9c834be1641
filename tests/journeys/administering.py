"""Somebody who administers a real gateway from the command line, from its first key on."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2

from tests.journeys.running_gateway import ROOT, served_process

CONFIG = """
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key}
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker, other: play/talker}
prices: {play/talker: {input: 1.0, output: 2.0}}
"""
SCRIPT = "models: {talker: {answers: [{say: hello, usage: {input: 600, output: 400}}]}}"


class Operator:
    """Somebody at a terminal, with a key in the environment."""

    def __init__(self, folder, server, key):
        self._folder = folder
        self._env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "SWITCHGEAR_URL": server.url}
        self.key = key

    async def run(self, *args, code=0):
        done = await anyio.run_process(
            [sys.executable, "-m", "gateway", *args],
            cwd=self._folder,
            env={**self._env, "SWITCHGEAR_ADMIN_KEY": self.key},
            check=False,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == code, done.stdout.decode()
        return done.stdout.decode()

    async def json(self, *args):
        return json.loads(await self.run(*args, "--json"))


@asynccontextmanager
async def administered(folder: Path) -> AsyncIterator[Operator]:
    """Run a gateway with a database, and give who holds its first key."""
    (folder / "script.yaml").write_text(SCRIPT)
    async with served_process(folder, CONFIG) as server, httpx2.AsyncClient(base_url=server.url) as http:
        operator = Operator(folder, server, (folder / "data" / "first.key").read_text().strip())
        operator.http = http
        operator.log = server.log
        yield operator


async def call(operator, key, model="talker"):
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return await operator.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
