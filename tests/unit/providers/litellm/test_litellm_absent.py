"""Where litellm is not installed (it cannot be beside the tests' clients), health and every call say how to install it."""

import importlib.util

import anyio
import pytest

from gateway.config.provider_settings import LitellmSettings
from gateway.core.errors import Unavailable, UpstreamUnreachable
from gateway.providers.catalog import open_provider
from gateway.providers.litellm.library import Library

SETTINGS = LitellmSettings(provider="cohere", api_base="http://127.0.0.1:9/v2/chat")


async def test_a_missing_extra_is_told_with_the_command_that_mends_it():
    assert importlib.util.find_spec("litellm") is None
    provider = open_provider("cohere", SETTINGS)
    assert provider.health("command-a").state == "starting"

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            await provider.start(tasks)

    health = provider.health("command-a")
    assert health.state == "failed"
    assert "pip install 'switchgear[litellm]'" in health.detail
    await provider.aclose()


async def test_calls_say_it_too():
    library = Library()
    await library.load()

    with pytest.raises(UpstreamUnreachable, match="pip install"):
        await library.functions(1.0)


async def test_calls_wait_for_the_import_but_not_for_long():
    with anyio.fail_after(5), pytest.raises(Unavailable) as caught:
        await Library().functions(0.01)

    assert caught.value.retry_after
