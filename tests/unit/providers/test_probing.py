"""Checks of a server's health: after so many failures it is not well, after so many successes it is again. Time is simulated."""

import anyio
import pytest

from gateway.config.health_settings import HealthCheckSettings
from gateway.config.provider_settings import AnthropicSettings, OpenAISettings, VllmSettings
from gateway.config.secret import Secret
from gateway.core.errors import UpstreamTimeout
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.probing import Probing, split_root
from gateway.providers.vllm.provider import VllmProvider
from gateway.providers.watched import watched_by

KEY = Secret("sk-of-a-test-only", source="env:KEY")
CHECK = HealthCheckSettings(every=10, failures=3, successes=2)


class Server:
    """A double of what is asked: it fails as it is told, and counts."""

    def __init__(self):
        self.fails = False
        self.asked = 0
        self.closed = False

    async def ask(self):
        self.asked += 1
        if self.fails:
            raise UpstreamTimeout("No answer within 5 s.")

    async def close(self):
        self.closed = True


@pytest.fixture
def server():
    return Server()


def probing(server, **more):
    return Probing("gpu", CHECK, server.ask, server.close, **more)


async def states(probe, server, fails):
    """The state after each check of a server that fails or not, as told."""
    seen = []
    for failing in fails:
        server.fails = failing
        await probe.check()
        seen.append(probe.health().state)
    return seen


async def test_only_so_many_failures_in_a_row_make_a_server_unwell(server):
    told = await states(probing(server), server, [True, True, False, True, True, True])

    assert told == ["ready"] * 5 + ["failed"]


async def test_only_so_many_successes_in_a_row_make_it_well_again(server):
    probe = probing(server)
    await states(probe, server, [True] * 3)
    told = await states(probe, server, [False, True, False, False])

    assert told == ["failed"] * 3 + ["ready"]


async def test_the_reason_is_told(server):
    probe = probing(server)
    await states(probe, server, [True] * 3)

    assert probe.health().detail == "its health check fails: No answer within 5 s."


async def test_replicas_check_at_different_times_and_never_less_often_than_they_should(server):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) > 40:
            await probe.aclose()
        await anyio.lowlevel.checkpoint()

    chances = iter([number / 41 for number in range(50)])
    probe = probing(server, sleep=sleep, chance=lambda: next(chances))
    await probe.run()

    assert server.asked == 40
    assert server.closed
    assert all(8 <= wait <= 10 for wait in waits[1:])
    assert waits[0] <= 2
    assert len(set(waits)) > 30


@pytest.mark.parametrize(
    ("address", "root", "below"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com", "/v1"),
        ("http://10.0.0.1:8000", "http://10.0.0.1:8000", ""),
        ("http://gate/openai/v1/", "http://gate", "/openai/v1"),
    ],
)
def test_a_server_is_asked_at_its_root(address, root, below):
    assert split_root(address) == (root, below)


@pytest.mark.parametrize(
    ("open_", "path", "header"),
    [
        (lambda: OpenAIProvider("p", OpenAISettings(api_key=KEY, health_check=CHECK)), b"/v1/models", b"authorization"),
        (
            lambda: AnthropicProvider("p", AnthropicSettings(api_key=KEY, health_check=CHECK)),
            b"/v1/models",
            b"x-api-key",
        ),
        (lambda: VllmProvider("p", VllmSettings(api_key=KEY, health_check=CHECK)), b"/health", b"authorization"),
        (
            lambda: OpenAIProvider("p", OpenAISettings(api_key=KEY, health_check=HealthCheckSettings(path="/status"))),
            b"/status",
            b"authorization",
        ),
    ],
)
async def test_what_is_asked_costs_no_tokens_and_carries_the_key(open_, path, header):
    provider = open_()
    ask = provider._probing._ask

    assert ask._path == path
    assert any(name == header and b"sk-of-a-test-only" in value for name, value in ask._headers())
    await provider.aclose()


@pytest.mark.parametrize(
    ("open_", "watched"),
    [
        (lambda: OpenAIProvider("p", OpenAISettings(api_key=KEY)), False),
        (lambda: AnthropicProvider("p", AnthropicSettings(api_key=KEY)), False),
        (lambda: VllmProvider("p", VllmSettings(load_interval=0)), False),
        (lambda: VllmProvider("p", VllmSettings()), True),
    ],
)
async def test_who_is_not_watched_is_not_asked_with_every_call(open_, watched):
    provider = open_()
    assert provider.watched == watched
    await provider.aclose()


def test_of_targets_without_a_watch_nothing_is_said():
    assert watched_by({}, ()) == {}
