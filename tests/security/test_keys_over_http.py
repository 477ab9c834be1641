"""Keys and tokens against the real server: what a client meets, on every endpoint, and what the log does not hold."""

import httpx2
import pytest

from tests.faults.faulty_upstream import APIS, asked
from tests.journeys.running_gateway import served_process
from tests.security.jwt_issuer import issuing, rsa_key

SCRIPT = "models:\n  talker:\n    embedding_dimensions: 4\n    answers: [{say: Hello}]\n"
CONFIG = """
logging: {{format: json, level: debug}}
database: {{kind: sqlite, path: data/x.db}}
access:
  bootstrap_key_file: data/first.key
  bad_keys_per_minute: 12
  trusted_proxies: [127.0.0.2]
  jwt: {{corp: {{issuer: "{url}", audience: ["https://switchgear.example"], jwks_url: "{url}/keys"}}}}
providers: {{play: {{kind: scripted, document: script.yaml}}}}
models: {{talker: play/talker}}
"""


@pytest.fixture
async def issuer():
    async with issuing() as running:
        yield running


@pytest.fixture
async def server(tmp_path, issuer):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    async with served_process(tmp_path, CONFIG.format(url=issuer.url)) as process:
        process.first_key = (tmp_path / "data" / "first.key").read_text().strip()
        yield process


@pytest.fixture
async def http(server):
    async with httpx2.AsyncClient(base_url=server.url) as client:
        yield client


def bearer(text):
    return {"authorization": f"Bearer {text}"}


@pytest.mark.parametrize("api", APIS)
async def test_keys_and_tokens_open_every_model_endpoint(http, server, issuer, api):
    for headers in (bearer(issuer.token()), {"x-api-key": issuer.token()}, bearer(server.first_key)):
        answer = await http.post(APIS[api], json=asked(api, stream=False), headers=headers)
        assert answer.status_code == 200
    assert issuer.fetches == 1


async def test_a_bad_token_is_401_in_the_callers_dialect(http, issuer):
    forged = issuer.sign(issuer.claims(), rsa_key("evil"), {"kid": "one"})
    for api in ("chat", "messages"):
        answer = await http.post(APIS[api], json=asked(api, stream=False), headers=bearer(forged))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "invalid_token"
        assert (answer.json().get("type") == "error") == (api == "messages")


async def test_an_issuer_that_is_away_makes_503_with_retry_after(http, issuer):
    issuer.broken = "error"
    answer = await http.get("/v1/models", headers=bearer(issuer.token()))

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_guessing_meets_429_and_a_good_key_does_not(http, server):
    body = asked("chat", stream=False)
    answers = [await http.post(APIS["chat"], json=body, headers=bearer(f"sk-{number}")) for number in range(14)]

    assert [answer.status_code for answer in answers] == [401] * 12 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) in range(1, 6)
    assert answers[-1].json()["error"]["code"] == "too_many_bad_keys"
    spoofed = {**bearer("sk-x"), "x-forwarded-for": "198.51.100.1"}
    assert (await http.post(APIS["chat"], json=body, headers=spoofed)).status_code == 429
    assert (await http.get("/v1/models", headers=bearer("sk-y"))).status_code == 429
    good = await http.post(APIS["chat"], json=body, headers=bearer(server.first_key))
    assert good.status_code == 200


async def test_a_key_is_bound_to_its_place_and_shut_when_it_is_revoked(http, server):
    admin = bearer(server.first_key)
    made = [
        (await http.post("/admin/keys", json={"name": name, **bound}, headers=admin)).json()
        for name, bound in (
            ("here", {"ips": ["127.0.0.0/8"]}),
            ("elsewhere", {"ips": ["203.0.113.0/24"]}),
            ("web", {"origins": ["https://app.example"]}),
        )
    ]
    here, elsewhere, web = (bearer(key["key"]) for key in made)
    from_the_web = {**web, "origin": "https://app.example"}

    async def status(headers):
        return (await http.get("/v1/models", headers=headers)).status_code

    assert [await status(headers) for headers in (here, elsewhere, web, from_the_web)] == [200, 403, 403, 200]
    assert await status({**elsewhere, "x-forwarded-for": "203.0.113.7"}) == 403
    assert (await http.post(f"/admin/keys/{made[0]['id']}/revoke", headers=admin)).status_code == 200
    revoked = await http.get("/v1/models", headers=here)
    assert (revoked.status_code, revoked.json()["error"]["code"]) == (401, "revoked_api_key")


async def test_no_key_and_no_token_is_in_the_log(http, server, issuer):
    token = issuer.token()
    made = (await http.post("/admin/keys", json={"name": "one"}, headers=bearer(server.first_key))).json()["key"]
    expired = issuer.token(issuer.claims(exp=1))
    secrets = [server.first_key, made, made[:-1], token, token[:-4], expired, "CANARY" * 5000]
    said = ""
    for secret in secrets:
        for headers in (bearer(secret), {"x-api-key": secret}):
            for path in ("/v1/models", "/metrics", "/admin/keys"):
                said += (await http.get(path, headers=headers)).text
            said += (await http.post(APIS["chat"], json=asked("chat", stream=False), headers=headers)).text
    server.process.terminate()
    assert await server.exit_code(10) == 0
    said += server.log.read_text()

    assert "Traceback" not in said
    assert "CANARY" not in said
    for secret in (server.first_key, made):
        assert secret[:14] not in said
    for piece in (*token.split("."), *expired.split(".")[1:]):
        assert piece not in said
