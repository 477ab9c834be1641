"""What an agent's step and a call at /mcp cost beside the model and the tool, at the wire, with the whole server. See README.md.

    python benchmarks/agent_steps.py [--postgres URL] [--runs 30] [--steps 10] [--streams 100]

The model and the tool are doubles in this process, which measure what they take themselves; the server is a process on a core of its own.
What is told is what remains: the wall time of a run, less the model's and the tool's, by step. Everything ends by itself. Linux.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx2
import processes
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY: Final = "sk-benchmark-of-agents"
GATEWAY_CORE, OWN_CORE = 0, 1
PACE: Final = 0.05
"""Seconds between two tokens of a stream that is followed."""
TOKENS: Final = 60


class Doubles:
    """A model that calls the tool until it has `steps` results, and then speaks; and the tools. `spent` collects what they take."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.pace = 0.0
        self.tokens = 1
        self.spent = 0.0
        self.calls = 0

    def application(self) -> Starlette:
        """Give both as one application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/mcp", self.tool, methods=["POST"]),
            ]
        )

    async def chat(self, request: Request) -> Response:
        """Answer as a Chat Completions API does, streamed; each token is the time at which it is said."""
        began = time.perf_counter()
        asked = json.loads(await request.body())
        results = sum(message["role"] == "tool" for message in asked["messages"])
        wants_tool = asked.get("tools") and results < self.steps
        lines = self._call(results) if wants_tool else self._speech()

        async def body() -> AsyncIterator[bytes]:
            async for choice in lines:
                yield b"data: " + json.dumps(choice).encode() + b"\n\n"
            yield b"data: [DONE]\n\n"
            self.spent += time.perf_counter() - began

        return StreamingResponse(body(), media_type="text/event-stream")

    async def _call(self, number: int) -> AsyncIterator[dict[str, Any]]:
        call = {"index": 0, "id": f"call_{number}", "type": "function"}
        function = {"name": "desk__look", "arguments": json.dumps({"number": number})}
        yield _chunk({"role": "assistant", "tool_calls": [{**call, "function": function}]})
        yield _chunk({}, "tool_calls")

    async def _speech(self) -> AsyncIterator[dict[str, Any]]:
        for _ in range(self.tokens):
            if self.pace:
                await anyio.sleep(self.pace)
            yield _chunk({"content": f" {time.time():.6f}"})
        yield _chunk({}, "stop")

    async def tool(self, request: Request) -> Response:
        """Answer as an MCP server does that knows two tools: `look` changes something, `peek` does not."""
        began = time.perf_counter()
        asked = json.loads(await request.body())
        if "id" not in asked:
            return Response(status_code=202)
        result = self._result(asked)
        answer = JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        self.spent += time.perf_counter() - began
        return answer

    def _result(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] == "initialize":
            server = {"name": "desk", "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}
        if asked["method"] == "tools/list":
            schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
            return {
                "tools": [{"name": name, "description": "Looks.", "inputSchema": schema} for name in ("look", "peek")]
            }
        self.calls += asked["method"] == "tools/call"
        return {"content": [{"type": "text", "text": "seen " * 100}], "isError": False}


def _chunk(delta: dict[str, Any], ended: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": ended}
    said: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    if ended:
        said["usage"] = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    return {**said, "choices": [choice]}


def write_files(where: pathlib.Path, port: int, steps: int, *, postgres: bool) -> pathlib.Path:
    """Write the configuration and the agent; give the path of the configuration."""
    agent = where / "agents" / "clerk"
    agent.mkdir(parents=True)
    (agent / "instructions.md").write_text("Look, and tell.\n")
    limits = f"{{steps: {steps + 2}, tool_calls: {steps + 2}}}"
    (agent / "agent.yaml").write_text(f"model: m\ntools: {{desk: [look]}}\nlimits: {limits}\n")
    (agent / "cases.yaml").write_text(
        "- name: looks\n  user: [Look.]\n  model: [{say: Seen.}]\n  expect: {contains: [Seen]}\n"
    )
    database = (
        "{kind: postgres, url: env:SWITCHGEAR_BENCH_DATABASE}"
        if postgres
        else f"{{kind: sqlite, path: {where}/runs.db}}"
    )
    config = where / "config" / "switchgear.yaml"
    config.parent.mkdir()
    config.write_text(
        f"server: {{keys: ['env:SWITCHGEAR_BENCH_KEY']}}\nlogging: {{format: json}}\ndatabase: {database}\n"
        "access: {pepper: env:SWITCHGEAR_BENCH_PEPPER}\nruns: {}\nagents: {}\n"
        "tools:\n  public_url: http://127.0.0.1\n  servers:\n    desk:\n"
        f"      kind: http\n      url: http://127.0.0.1:{port}/mcp\n      tools:\n"
        "        look: {effect: once, outward: false, gives: {integrity: trusted}}\n"
        "        peek: {effect: read, outward: false}\n"
        "mcp: {servers: {desk: [peek]}}\n"
        f"providers: {{up: {{kind: openai_compatible, base_url: 'http://127.0.0.1:{port}/v1', connections: 512}}}}\n"
        "models: {m: up/m}\n"
    )
    return config


class Bench:
    """Asks the server, and tells what it found."""

    def __init__(self, doubles: Doubles, http: httpx2.AsyncClient, upstream: str) -> None:
        self.doubles = doubles
        self.http = http
        self.upstream = upstream

    async def ready(self) -> None:
        """Wait until the server of tools is connected. Raises TimeoutError."""
        with anyio.fail_after(20):
            (await self.http.post("/v1/responses", json=_run())).raise_for_status()

    async def steps(self, label: str, times: int, **fields: Any) -> None:
        """Ask for runs one after the other; tell what a step costs beside the model and the tool."""
        took = []
        for number in range(times + 3):
            self.doubles.spent, calls, began = 0.0, self.doubles.calls, time.perf_counter()
            async with self.http.stream("POST", "/v1/responses", json=_run(**fields)) as answer:
                answer.raise_for_status()
                body = await answer.aread()
            if b"completed" not in body or self.doubles.calls - calls != self.doubles.steps:
                msg = f"the run did not do what it was to: {body[-500:]!r}"
                raise RuntimeError(msg)
            if number >= 3:
                rest = time.perf_counter() - began - self.doubles.spent
                took.append(rest * 1000 / (self.doubles.steps + 1))
        _tell(f"a step, {label}", took)

    async def calls(self, times: int) -> None:
        """Call the tool straight and through /mcp, in turns; tell both."""
        straight, through = [], []
        for number in range(times + 5):
            for url, took in ((f"{self.upstream}/mcp", straight), ("/mcp", through)):
                named = "peek" if took is straight else "desk__peek"
                began = time.perf_counter()
                answer = await self.http.post(url, json=_tool_call(named, number), headers=MCP_HEADERS)
                ended = (time.perf_counter() - began) * 1000
                if "seen" not in answer.raise_for_status().text:
                    raise RuntimeError(answer.text)
                if number >= 5:
                    took.append(ended)
        _tell("a call of a tool, straight", straight)
        _tell("a call of a tool, through /mcp", through)

    async def together(self, label: str, streams: int, **fields: Any) -> None:
        """Follow many runs at once, each with one call and then tokens at a pace; tell how late a token is."""
        late: list[float] = []
        self.doubles.steps, self.doubles.pace, self.doubles.tokens = 1, PACE, TOKENS

        async def one(number: int) -> None:
            await anyio.sleep(2 * number / streams)
            async with self.http.stream("POST", "/v1/responses", json=_run(stream=True, **fields)) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    if line.startswith("data:") and '"response.output_text.delta"' in line:
                        said = json.loads(line[5:])["delta"]
                        late.append((time.time() - float(said.split()[0])) * 1000)

        async with anyio.create_task_group() as tasks:
            for number in range(streams):
                tasks.start_soon(one, number)
        if not late:
            msg = "no token came"
            raise RuntimeError(msg)
        _tell(f"a token, {streams} runs at once, {label}", late)


MCP_HEADERS: Final = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}


def _run(**fields: Any) -> dict[str, Any]:
    return {"model": "agent/clerk", "input": "Look.", **fields}


def _tool_call(name: str, number: int) -> dict[str, Any]:
    params = {"name": name, "arguments": {"number": number}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def _tell(what: str, took: Sequence[float]) -> None:
    cuts = statistics.quantiles(took, n=100)
    print(
        f"{what:60} median {statistics.median(took):7.2f} ms, p95 {cuts[94]:7.2f} ms, p99 {cuts[98]:7.2f} ms, n {len(took)}"
    )


@asynccontextmanager
async def serving(doubles: Doubles, port: int) -> AsyncIterator[None]:
    """Serve the doubles while the block runs."""
    server = uvicorn.Server(uvicorn.Config(doubles.application(), port=port, log_level="error", timeout_keep_alive=60))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.lowlevel.checkpoint()
        yield
        server.should_exit = True


async def measure(options: argparse.Namespace) -> None:
    """Start all of it, measure, and end it."""
    upstream, port = processes.free_port(), processes.free_port()
    doubles = Doubles(options.steps)
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        config = write_files(where, upstream, options.steps, postgres=bool(options.postgres))
        argv = [sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", str(port)]
        env = {
            "SWITCHGEAR_BENCH_KEY": KEY,
            "SWITCHGEAR_BENCH_PEPPER": 32 * "p",
            "SWITCHGEAR_BENCH_DATABASE": options.postgres,
        }
        headers = {"authorization": f"Bearer {KEY}"}
        limits = httpx2.Limits(max_connections=options.streams + 8)
        async with (
            serving(doubles, upstream),
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120, limits=limits
            ) as http,
        ):
            with processes.running(argv, core=GATEWAY_CORE, log=where / "gateway.log", env=env):
                try:
                    await anyio.to_thread.run_sync(
                        lambda: processes.wait_for(f"http://127.0.0.1:{port}/healthz", seconds=20)
                    )
                    bench = Bench(doubles, http, f"http://127.0.0.1:{upstream}")
                    await bench.ready()
                    await bench.steps("in the foreground", options.runs)
                    await bench.steps("streamed", options.runs, stream=True)
                    await bench.steps("streamed in the background", options.runs, stream=True, background=True)
                    await bench.calls(10 * options.runs)
                    await bench.together("in the foreground", options.streams)
                    await bench.together("in the background", options.streams, background=True)
                except Exception:
                    print((where / "gateway.log").read_text()[-3000:], file=sys.stderr)
                    raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default="", help="the address of an empty database")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--streams", type=int, default=100)
    anyio.run(measure, parser.parse_args(), backend_options={"use_uvloop": True})
