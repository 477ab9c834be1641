"""`switchgear route`: where a call would go, and how the targets are doing, as an operator asks for it."""

import json

import anyio.to_thread
import pytest

from tests.journeys.command_line import Workplace
from tests.journeys.running_gateway import running

CONFIG = """
server: {port: 0}
database: {kind: sqlite, path: data.db}
access: {bootstrap_key_file: first.key}
providers:
  script: {kind: scripted, document: script.yaml}
models:
  talk:
    targets: [{provider: script, model: demo}, {provider: script, model: demo-too, weight: 3}]
    routing: {strategy: weighted, fallbacks: {general: [plain]}}
  hasty:
    targets: [{provider: script, model: demo}, {provider: script, model: demo-too}]
    routing: {hedge: {after: 0.75}}
  versioned:
    versions:
      v1: {targets: [{provider: script, model: demo}]}
      v2: {targets: [{provider: script, model: demo-too}]}
    ab: {v1: 1, v2: 3}
  plain: script/demo
"""


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture
async def asked(workplace):
    """Run a command against a gateway, with its first key."""
    async with running(workplace.directory, CONFIG) as gateway:
        workplace.env["SWITCHGEAR_ADMIN_KEY"] = (workplace.directory / "first.key").read_text().strip()

        async def ask(*args):
            return await anyio.to_thread.run_sync(lambda: workplace.run("route", *args, "--url", gateway.url))

        yield ask


async def test_a_call_is_explained_as_a_table(asked):
    done = await asked("explain", "talk", "How are you?")

    assert done.returncode == 0, done.stderr
    head, titles, first, second, fallbacks = done.stdout.splitlines()
    assert head.startswith("talk: weighted, ")
    assert titles.split()[:3] == ["target", "verdict", "score"]
    assert first.split()[:2] == ["script/demo-too", "chosen"]
    assert second.split()[:2] == ["script/demo", "next"]
    assert fallbacks == "fallbacks, general: plain"


async def test_the_table_says_when_a_call_is_hedged_and_which_version_has_it(asked):
    hasty = await asked("explain", "hasty")
    versioned = await asked("explain", "versioned")

    assert "hedged: the next one is asked too after 0.75 s" in hasty.stdout.splitlines()
    line = versioned.stdout.splitlines()[1]
    assert line in ("version: v1 (shares: v1 0.25, v2 0.75)", "version: v2 (shares: v1 0.25, v2 0.75)")


async def test_a_whole_request_can_be_explained(asked, workplace):
    workplace.write("call.json", '{"input": "Hello", "max_output_tokens": 77}')
    done = await asked("explain", "talk", "--body", "call.json", "--api", "responses", "--session", "s", "--json")

    assert json.loads(done.stdout)["estimate"]["output_tokens"] == 77


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("explain", "nobody"), "does not exist"),
        (("explain", "talk", "--api", "telepathy"), "api"),
        (("explain", "talk", "--body", "script.yaml"), "cannot be read as JSON"),
    ],
)
async def test_what_cannot_be_explained_is_told_in_a_line(asked, args, said):
    done = await asked(*args)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_targets_are_shown(asked):
    done = await asked("targets")

    assert done.returncode == 0, done.stderr
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert rows[1:] == [["script/demo", "ready", "closed"], ["script/demo-too", "ready", "closed"]]
