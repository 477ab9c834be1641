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


async def test_a_browser_at_the_root_finds_the_page(http):
    answer = await http.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, follow_redirects=True)

    assert (answer.status_code, answer.url.path) == (200, "/docs")
    assert answer.headers["content-type"].startswith("text/html")


async def test_anybody_else_at_the_root_is_told_where_to_look(http):
    answer = await http.get("/")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "/docs" in answer.json()["error"]["message"]


async def test_the_models_path_with_a_slash_too_many_is_told_the_right_one(http):
    """Seen: "The model '' does not exist"."""
    answer = await http.get("/v1/models/")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "Did you mean /v1/models?" in answer.json()["error"]["message"]
