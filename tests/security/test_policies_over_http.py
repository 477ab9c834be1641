"""The policies hold at the door: in every dialect, streaming or not, and across reloads."""

import anyio
import httpx2
import pytest

from gateway.config import ConfigError
from tests.contract.upstream_faulty_server import until
from tests.faults.faulty_upstream import APIS, asked
from tests.journeys.running_gateway import running

SCRIPT = """
models:
  talker: {embedding_dimensions: 4, answers: [{say: hello}]}
"""
CONFIG = """
server: {keys: ["env:KEY_ONE", "env:KEY_TWO"]}
providers: {play: {kind: scripted, document: script.yaml}}
models: {talker: play/talker, secret-talker: play/talker}
policies: {folder: policies}
"""
KEYS = {"KEY_ONE": "canary-key-one", "KEY_TWO": "canary-key-two"}
ONE, TWO = ({"authorization": f"Bearer {key}"} for key in KEYS.values())
POLICY = """
@id("secret") @explain("Ask the owner.")
forbid (principal, action == Action::"use_model", resource) when { resource.id like "secret-*" }
unless { principal == Key::"key-1" };
"""
NOTHING_FORBIDDEN = "// nothing\n"


@pytest.fixture
async def http(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.cedar").write_text(POLICY)
    async with (
        running(tmp_path, CONFIG, environ=KEYS) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, timeout=10) as http,
    ):
        http.gateway, http.folder = gateway, tmp_path / "policies"
        yield http


async def status(http, key, model="secret-talker"):
    body = asked("chat", stream=False, model=model)
    return (await http.post("/v1/chat/completions", json=body, headers=key)).status_code


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
async def test_a_forbidden_model_is_refused_in_every_dialect(http, api, stream):
    body = asked(api, stream=stream, model="secret-talker")

    allowed = await http.post(APIS[api], json=body, headers=ONE)
    refused = await http.post(APIS[api], json=body, headers=TWO)

    assert (allowed.status_code, refused.status_code) == (200, 403)
    assert refused.headers["content-type"].startswith("application/json")
    said = refused.json()["error"]["message"]
    assert (
        said == "The use of the model 'secret-talker' (use_model) is forbidden by the policy 'secret'. Ask the owner."
    )
    records = {record.caller: record for record in http.gateway.records}
    assert (records["key-2"].status, records["key-2"].error, records["key-2"].usage) == (403, "forbidden", None)


async def test_what_may_not_be_used_is_not_listed_nor_hinted_at(http):
    for key, names in ((ONE, {"talker", "secret-talker"}), (TWO, {"talker"})):
        listed = (await http.get("/v1/models", headers=key)).json()
        assert {entry["id"] for entry in listed["data"]} == names
    assert (await http.get("/v1/models/secret-talker", headers=ONE)).status_code == 200
    assert (await http.get("/v1/models/secret-talker", headers=TWO)).status_code == 404

    near = asked("chat", stream=False, model="secret-talkr")
    one, two = [(await http.post("/v1/chat/completions", json=near, headers=key)).text for key in (ONE, TWO)]
    assert "secret-talker" in one
    assert "secret-talker" not in two


async def test_a_changed_policy_comes_into_force_by_itself(http):
    await anyio.sleep(0.1)  # the watcher's thread begins to watch; it has no event that says so
    assert await status(http, TWO) == 403

    (http.folder / "a.cedar").write_text(NOTHING_FORBIDDEN)
    await until(lambda: http.gateway.application.live.report.generation == 2)

    assert await status(http, TWO) == 200


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("a.cedar", "forbid (principal, action, resource) when { principal.id > 3 };", 1),
        ("b.cedar", "\npermit (principal, action, resource", 2),
        (
            "cases.yaml",
            "- {principal: key:key-2, action: use_model, resource: model:secret-talker, expect: allow}",
            1,
        ),
    ],
)
async def test_a_faulty_policy_changes_nothing(http, file, text, line):
    (http.folder / file).write_text(text)

    report = await http.gateway.application.live.reload("test")

    assert (report.status, report.generation) == ("refused", 1)
    assert {(fault.file, fault.line) for fault in report.faults} == {(str(http.folder / file), line)}
    assert (await status(http, ONE), await status(http, TWO)) == (200, 403)


async def test_an_unchanged_folder_is_no_reason_for_a_new_generation(http):
    assert (await http.gateway.application.live.reload("test")).status == "unchanged"


async def test_a_server_does_not_start_with_faulty_policies(tmp_path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.cedar").write_text("forbid (principal, action, resource) when { principal.nothing };")

    with pytest.raises(ConfigError) as caught:
        async with running(tmp_path, CONFIG, environ=KEYS):
            pass

    assert [fault.line for fault in caught.value.faults] == [1] * len(caught.value.faults)
