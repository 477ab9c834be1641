"""What a browser, a probe and a curious hand at a shell get from the paths beside the models."""

import httpx2
import pytest

from tests.journeys.running_gateway import running

SCRIPT = "models: {talker: {answers: [{say: hello}]}}"
CONFIG = "providers: {play: {kind: scripted, document: script.yaml}}\nmodels: {talker: play/talker}\n"


@pytest.fixture(scope="module")
async def http(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "script.yaml").write_text(SCRIPT)
    async with running(folder, CONFIG) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        yield http


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/talker", "/healthz", "/readyz", "/openapi.json", "/docs"])
async def test_a_head_says_the_length_that_a_get_has(http, path):
    """RFC 9110, 9.3.2. Seen: content-length 0, which tells a client that there is nothing."""
    got = await http.get(path)
    head = await http.head(path)

    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(got.content) > 0
