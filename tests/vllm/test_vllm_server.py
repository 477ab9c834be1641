"""A vLLM server is watched, freed when nobody listens, and never left behind."""

import signal

import anyio
import httpx2
import openai
import pytest

from gateway.config.provider_settings import VllmSettings
from gateway.config.secret import Secret
from gateway.providers.vllm.provider import VllmProvider

pytestmark = pytest.mark.vllm

LONG = {
    "model": "smol",
    "messages": [{"role": "user", "content": "Tell a long story."}],
    "max_tokens": 1500,
    "stream": True,
    "extra_body": {"ignore_eos": True},
}


def test_a_client_that_leaves_frees_its_slot(gateway):
    stream = gateway.openai().chat.completions.create(**LONG)
    for _, _ in zip(range(4), stream, strict=False):
        pass
    assert gateway.running() == 1

    stream.close()
    gateway.wait(lambda: gateway.running() == 0, seconds=10)


async def test_the_load_shows_what_runs(gateway):
    settings = VllmSettings(
        base_url=f"{gateway.vllm_url}/v1", load_interval=0.2, api_key=Secret(gateway.key, source="env:KEY")
    )
    provider = VllmProvider("gpu", settings)
    async with anyio.create_task_group() as tasks:
        await provider.start(tasks)
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=180)
        async with client, await client.chat.completions.create(**LONG) as stream:
            await anext(stream)
            with anyio.fail_after(20):
                while (load := provider.load()) is None or load.running == 0:
                    await anyio.sleep(0.1)

        assert load.running == 1
        assert load.waiting == 0
        assert 0 < load.kv_cache_usage < 1
        with anyio.fail_after(20):
            while (load := provider.load()) is None or load.running:
                await anyio.sleep(0.1)
        await provider.aclose()


def test_an_adapter_that_cannot_be_loaded_says_so_in_calls_and_readiness(gateway):
    with pytest.raises(openai.InternalServerError, match="adapters/poet is not loaded") as caught:
        gateway.openai().chat.completions.create(model="poet", messages=LONG["messages"])

    assert caught.value.status_code == 503
    (state,) = httpx2.get(f"{gateway.url}/readyz", timeout=10).json()["models"]["poet"]
    assert state["state"] == "failed"
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in state["detail"]


def test_a_server_started_here_lets_in_only_who_has_its_key(gateway):
    stranger = httpx2.post(f"{gateway.vllm_url}/v1/chat/completions", json={}, timeout=10)

    assert stranger.status_code == 401


def test_readiness_waits_for_the_server_and_a_killed_gateway_leaves_nothing_behind(launch):
    gateway = launch()
    gateway.wait(lambda: any("EngineCore" in " ".join(each.cmdline()) for each in gateway.family()))

    assert not gateway.is_ready()
    with pytest.raises(openai.InternalServerError, match="is not ready"):
        gateway.openai().chat.completions.create(model="smol", messages=LONG["messages"])
    assert gateway.end(signal.SIGKILL) == []
