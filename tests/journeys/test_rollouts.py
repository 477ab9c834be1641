"""Rollouts as an operator sees them: calls move a share, a bad challenger goes back by itself, and everything survives a restart."""

import anyio
import httpx2
import pytest

from tests.journeys.administering import Operator
from tests.journeys.running_gateway import served_process

CONFIG = """
database: {kind: sqlite, path: data/switchgear.db}
access: {bootstrap_key_file: data/first.key}
providers:
  good: {kind: scripted, document: good.yaml}
  bad: {kind: scripted, document: bad.yaml}
routing: {sticky: {by: [session]}}
models:
  team/talk:
    versions:
      v1: {targets: [{provider: good, model: talk}]}
      v2: {targets: [{provider: bad, model: talk}]}
    rollout: {stable: v1, challenger: v2, steps: [30, 100], dwell: 600, score: helpful, tick: 0.1}
  pair:
    versions:
      blue: {targets: [{provider: good, model: talk}]}
      green: {targets: [{provider: bad, model: talk}]}
  split:
    versions:
      a: {targets: [{provider: good, model: talk}]}
      b: {targets: [{provider: good, model: talk}]}
    ab: {a: 50, b: 50}
"""
GOOD = "models: {talk: {answers: [{say: hello}]}}"
BAD = "models: {talk: {answers: [{fail: {status: 503, message: broken}}]}}"
CHAT = "/v1/chat/completions"


class World:
    """A gateway with its first key."""

    def __init__(self, folder, server, http):
        self.key = (folder / "data" / "first.key").read_text().strip()
        self.operator = Operator(folder, server, self.key)
        self.http = http
        self.headers = {"authorization": f"Bearer {self.key}"}

    async def call(self, model, session=None, **headers):
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        headers |= self.headers | ({} if session is None else {"x-session-id": session})
        return await self.http.post(CHAT, json=body, headers=headers)

    async def score(self, call, **body):
        return await self.http.post(f"/v1/calls/{call}/scores", json=body, headers=self.headers)

    async def until(self, *words, model="team/talk"):
        with anyio.fail_after(20):
            while True:
                shown = await self.operator.run("rollout", "show", model)
                if all(word in shown for word in words):
                    return shown
                await anyio.sleep(0.1)


@pytest.fixture
def enter(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)

    def open_():
        return _World(tmp_path)

    return open_


class _World:
    def __init__(self, folder):
        self._folder = folder

    async def __aenter__(self) -> World:
        self._server = served_process(self._folder, CONFIG)
        server = await self._server.__aenter__()
        self._http = httpx2.AsyncClient(base_url=server.url)
        await self._http.__aenter__()
        return World(self._folder, server, self._http)

    async def __aexit__(self, *raised):
        await self._http.__aexit__(*raised)
        await self._server.__aexit__(*raised)


async def test_a_bad_challenger_goes_back_by_itself_and_stays_back_after_a_restart(enter):
    async with enter() as world:
        versions = set()
        for number in range(60):
            answer = await world.call("team/talk", f"s{number}")
            versions.add((answer.headers.get("x-switchgear-version", ""), answer.status_code))
        assert ("v1", 200) in versions
        assert any(status == 503 for _, status in versions)

        shown = await world.until("rolled_back", "v2 failed")
        assert "error_rate" in shown
        listed = await world.operator.run("rollout", "list")
        assert "team/talk" in listed
        audit = await world.operator.json("audit", "list")
        assert "rollout.rolled_back" in str(audit)

    async with enter() as world:
        await world.until("rolled_back", "v2 failed")
        answers = [(await world.call("team/talk", f"s{number}")).status_code for number in range(20)]
        assert answers == [200] * 20
        await world.operator.run("rollout", "restart", "team/talk", "--why", "mended")
        await world.until("running", "restarted", "mended")


async def test_blue_and_green_are_switched_in_one_call_and_the_switch_survives(enter):
    async with enter() as world:
        assert (await world.call("pair")).headers["x-switchgear-version"] == "blue"
        shown = await world.operator.run("rollout", "switch", "pair", "green")
        assert "green 1" in shown
        assert (await world.call("pair")).status_code == 503
        assert "there are: blue, green" in await world.operator.run("rollout", "switch", "pair", "red", code=1)

    async with enter() as world:
        assert (await world.call("pair")).status_code == 503
        await world.operator.run("rollout", "switch", "pair", "blue")
        assert (await world.call("pair")).status_code == 200


async def test_a_session_stays_in_its_arm_and_scores_stand_in_the_report(enter):
    async with enter() as world:
        arms = {}
        for number in range(30):
            answer = await world.call("split", f"s{number}")
            version, call = answer.headers["x-switchgear-version"], answer.headers["x-switchgear-call-id"]
            assert arms.setdefault(f"s{number}", version) == version
            assert (await world.call("split", f"s{number}")).headers["x-switchgear-version"] == version
            scored = await scored_soon(world, call, name="helpful", value=version == "b")
            assert scored.status_code == 201, scored.text
            assert scored.json()["version"] == version
        assert set(arms.values()) == {"a", "b"}

        shown = await world.operator.json("rollout", "show", "split")
        by_version = {one["version"]: one for one in shown["versions"]}
        assert by_version["a"]["calls"] + by_version["b"]["calls"] == 60
        assert by_version["b"]["score:helpful"]["value"] == 1
        assert {one["figure"] for one in shown["comparisons"]} >= {"error_rate", "first_token", "score:helpful"}
        assert "helpful" in await world.operator.run("rollout", "show", "split")


async def scored_soon(world, call, **body):
    """Records are handed on every 50 ms; until then nobody knows of a call."""
    with anyio.fail_after(10):
        while (answer := await world.score(call, **body)).status_code == 404:
            await anyio.sleep(0.02)
    return answer


async def test_scores_are_the_callers_own_once_each_and_between_nothing_and_one(enter):
    async with enter() as world:
        call = (await world.call("split", "s")).headers["x-switchgear-call-id"]
        assert (await scored_soon(world, call, name="helpful", value=True)).status_code == 201
        again = await world.score(call, name="helpful", value=0.5)
        assert (again.status_code, again.json()["error"]["param"]) == (409, "name")
        for body in (
            {"name": "x", "value": 2},
            {"name": "a b", "value": 1},
            {"name": "x"},
            {"name": "x", "value": "1"},
            {},
        ):
            assert (await world.score(call, **body)).status_code == 400, body
        made = await world.operator.json("key", "create", "somebody")
        stranger = await world.http.post(
            f"/v1/calls/{call}/scores",
            json={"name": "x", "value": 1},
            headers={"authorization": f"Bearer {made['key']}"},
        )
        assert stranger.status_code == 404
        assert (await world.score("call_none", name="x", value=1)).json() == stranger.json()
        listed = await world.http.get(f"/v1/calls/{call}/scores", headers=world.headers)
        assert [(one["name"], one["value"]) for one in listed.json()["data"]] == [("helpful", 1.0)]


async def test_explain_says_which_version_a_call_belongs_to(enter):
    async with enter() as world:
        for number in range(5):
            body = {"model": "split", "messages": [{"role": "user", "content": "Hi"}]}
            headers = world.headers | {"x-session-id": f"s{number}"}
            explained = (await world.http.post("/v1/route/explain", json=body, headers=headers)).json()
            answer = await world.call("split", f"s{number}")
            assert explained["version"] == answer.headers["x-switchgear-version"]
            assert explained["shares"] == {"a": 0.5, "b": 0.5}


async def test_what_steers_rollouts_needs_the_right_to(enter):
    async with enter() as world:
        made = await world.operator.json("key", "create", "plain")
        headers = {"authorization": f"Bearer {made['key']}"}
        assert (await world.http.get("/admin/rollouts", headers=headers)).status_code == 403
        steered = await world.http.post("/admin/rollouts/team/talk", json={"action": "promote"}, headers=headers)
        assert steered.status_code == 403
        assert (await world.http.get("/admin/rollouts/none", headers=world.headers)).status_code == 404
        wrong = await world.http.post("/admin/rollouts/team/talk", json={"action": "explode"}, headers=world.headers)
        assert wrong.status_code == 400
