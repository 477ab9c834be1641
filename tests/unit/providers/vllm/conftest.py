"""A server that answers as vLLM does, small enough to break on purpose."""

from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.config.provider_settings import VllmSettings
from gateway.providers.vllm.provider import VllmProvider

METRICS = """\
vllm:num_requests_running{engine="0",model_name="smol"} 1.0
vllm:num_requests_waiting{engine="0",model_name="smol"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="smol"} 0.5
"""


def document(body, status=200):
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


class StandIn:
    """Keeps adapters and notes what it was asked. `takes_adapters` as the server was started, `broken` to fail /metrics."""

    def __init__(self):
        self.adapters = {}
        self.takes_adapters = True
        self.broken = False
        self.asked = []
        self.looks = anyio.Event()
        self.url = ""

    async def metrics(self, request):
        self.looks.set()
        self.looks = anyio.Event()
        return PlainTextResponse("broken", 500) if self.broken else PlainTextResponse(METRICS)

    async def models(self, request):
        self.asked.append(("models", dict(request.headers)))
        cards = [{"id": "smol", "root": "dir", "parent": None}]
        cards += [{"id": name, "root": path, "parent": "smol"} for name, path in self.adapters.items()]
        return document({"object": "list", "data": cards})

    async def load(self, request):
        body = await request.json()
        if not self.takes_adapters:
            return document({"detail": "Not Found"}, 404)
        if body["lora_path"] == "/missing":
            error = {"message": "The lora adapter 'x' does not exist: No adapter found for /missing", "code": 404}
            return document({"error": error}, 404)
        self.adapters[body["lora_name"]] = body["lora_path"]
        return PlainTextResponse("Success")

    async def unload(self, request):
        del self.adapters[(await request.json())["lora_name"]]
        return PlainTextResponse("Success")

    async def tokenize(self, request):
        self.asked.append(("tokenize", await request.json()))
        return document({"count": 32, "max_model_len": 2048, "tokens": [1] * 32, "token_strs": None})

    async def chat(self, request):
        body = await request.json()
        self.asked.append(("chat", body))
        message = {"role": "assistant", "content": "Hello.", "refusal": None, "reasoning": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "stop_reason": None}
        usage = {"prompt_tokens": 32, "completion_tokens": 3, "total_tokens": 35}
        return document(
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
                "usage": usage,
            }
        )

    def app(self):
        return Starlette(
            routes=[
                Route("/metrics", self.metrics),
                Route("/tokenize", self.tokenize, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/load_lora_adapter", self.load, methods=["POST"]),
                Route("/v1/unload_lora_adapter", self.unload, methods=["POST"]),
            ]
        )

    async def looked(self, times=2):
        """Wait until the provider has looked at the metrics, so that what it did after the earlier look is done."""
        with anyio.fail_after(10):
            for _ in range(times):
                await self.looks.wait()


@pytest.fixture
async def stand_in():
    stand_in = StandIn()
    config = uvicorn.Config(stand_in.app(), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        with anyio.fail_after(10):
            while not server.started:
                await anyio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        stand_in.url = f"http://127.0.0.1:{port}/v1"
        yield stand_in
        server.should_exit = True


@pytest.fixture
def opened(stand_in):
    """Open a provider for the stand-in, started and closed."""

    @asynccontextmanager
    async def opened(**settings):
        provider = VllmProvider("gpu", VllmSettings(base_url=stand_in.url, **{"load_interval": 0.02, **settings}))
        async with anyio.create_task_group() as tasks:
            await provider.start(tasks)
            yield provider
            await provider.aclose()

    return opened
