"""A gateway's governance, as a server has it, for measuring: real keys, policies, limits and ledger in a folder of its own."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from gateway.api.identity import Identity
from gateway.app import Application
from gateway.config import Settings, load
from gateway.core.call import Call
from gateway.core.caller import Caller
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.events import Finished, Started, Verbatim
from gateway.core.ids import new_id
from gateway.core.responder import Send
from gateway.core.strict_json import decode_object
from gateway.core.usage import Usage
from gateway.governance import Governance, open_governance
from gateway.live import Generation
from gateway.stores.directory import Team, Tenant, User, VirtualKey
from gateway.stores.key_material import digest_key, make_key, shown_prefix

TARGETS = ("up/gpt",)
CONFIG = """
server: {host: 127.0.0.1, port: 8}
database: {kind: sqlite, path: data/switchgear.db}
limits:
  requests: {limit: 1000000000, per: [key]}
  tokens: {count: tokens, limit: 1000000000000, per: [tenant]}
  money: {count: cost, limit: 1000000, per: [team], window: month, window_kind: calendar, time_zone: Europe/Berlin}
policies: {folder: policies, default: deny}
providers:
  up: {kind: openai_compatible, base_url: "http://127.0.0.1:9/v1"}
prices:
  up/gpt: {input: 1.25, output: 10}
models:
  gpt: up/gpt
"""
POLICIES = """
@id("research") permit (principal in Team::"acme/red", action == Action::"use_model", resource) when { resource.id like "gpt*" };
@id("no-streams") forbid (principal, action == Action::"use_model", resource) when { context.stream && resource.id == "never" };
"""
_HEADERS = tuple((f"x-header-{number}".encode(), b"value") for number in range(6))
_BODY = (
    b'{"model":"gpt","max_tokens":256,"temperature":0.2,"messages":[{"role":"user","content":"'
    + b"word " * 190
    + b'"}]}'
)
_USED = Usage(input=240, output=80)
_START = Started(id="1", model="gpt", created=0, target=TARGETS[0], content_type="application/json", headers=_HEADERS)


class Governed:
    """What is measured: the parts of one running application, a key's text, and calls that its caller makes."""

    def __init__(self, application: Application, governance: Governance, key: str) -> None:
        self.generation: Generation = application.live.current()
        self.identity: Identity = self.generation.identity
        self.governance = governance
        self.authorization = b"Bearer " + key.encode()
        self.caller: Caller = self.identity.caller(self.authorization, None, ("127.0.0.1", 1))

    def calls(self, number: int) -> list[Call]:
        """Give calls as the door makes them."""
        fields = decode_object(_BODY, depth=20)
        return [
            Call(
                id=new_id("call_"),
                operation="generate",
                dialect="openai_chat",
                model="gpt",
                stream=False,
                caller=self.caller,
                received=SYSTEM_CLOCK.monotonic(),
                body=_BODY,
                fields=fields,
            )
            for _ in range(number)
        ]


async def answer(call: Call, send: Send) -> None:
    """An upstream that answers at once: a Responder."""
    del call
    await send(_START)
    await send(Verbatim(b"{}"))
    await send(Finished(reason="stop", usage=_USED))


@asynccontextmanager
async def governed(redis: str | None = None) -> AsyncIterator[Governed]:
    """Open all of it in a temporary folder; with the address of a Redis, limits are counted there."""
    with tempfile.TemporaryDirectory(prefix="switchgear-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "bench.cedar").write_text(POLICIES)
        path = folder / "switchgear.yaml"
        path.write_text(CONFIG + ("redis: {url: env:REDIS_URL, timeout: 1}\n" if redis else ""))
        environ = {"REDIS_URL": redis} if redis else {}
        settings = load(path, environ)

        async def load_again() -> Settings:
            return settings

        async with open_governance(settings, base=folder, environ=environ) as governance:
            key = await _key(governance)
            application = Application(settings, load_again, config_path=path, governance=governance)
            yield Governed(application, governance, key)
            await governance.finish()


async def _key(governance: Governance) -> str:
    kept = governance.kept
    assert kept is not None
    directory, now, key = kept.services.the_directory, SYSTEM_CLOCK.wall(), make_key()
    await directory.tenants.create(Tenant(id="acme", name="acme", created_at=now))
    await directory.teams.create(Team(id="red", tenant="acme", name="red", created_at=now))
    await directory.users.create(User(id="ann", tenant="acme", name="ann", created_at=now, team="red"))
    await directory.keys.create(
        VirtualKey(
            id="key_bench", tenant="acme", name="bench", prefix=shown_prefix(key), created_at=now, team="red", user="ann",
            digest=digest_key(key.encode(), kept.ring.pepper), models=("gpt*",), tags=(("project", "apollo"),),
        )
    )  # fmt: skip
    await kept.ring.refresh()
    return key


@contextmanager
def redis_server() -> Iterator[str | None]:
    """Run a Redis on a free port of loopback and give its address; None where there is no program for it."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="switchgear-bench-") as folder:
        process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)
