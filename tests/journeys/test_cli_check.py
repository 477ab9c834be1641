"""`check`, `init` and `models`: what an operator runs before and beside the server."""

import json

import anyio.to_thread
import pytest

from tests.journeys.command_line import CONFIG, Workplace
from tests.journeys.running_gateway import running


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


def test_a_sound_configuration_passes(workplace):
    done = workplace.run("check")

    assert (done.returncode, done.stdout) == (0, "switchgear.yaml: sound; 1 provider, 2 models\n")
    assert done.stderr == ""


def test_a_check_makes_no_file(workplace):
    rule = "limits: {day: {count: requests, limit: 5, window: 1d}}"
    workplace.write("switchgear.yaml", f"{CONFIG}\ndatabase: {{kind: sqlite}}\n{rule}\n")
    before = sorted(workplace.directory.rglob("*"))

    assert workplace.run("check").returncode == 0
    assert sorted(workplace.directory.rglob("*")) == before


def test_all_scripts_at_fault_are_named(workplace):
    workplace.write("one.yaml", "models: {demo: {answers: [{sya: hi}]}}")
    workplace.write("two.yaml", "models: [")
    config = CONFIG.replace(
        "  script:",
        "  one: {kind: scripted, document: one.yaml}\n  two: {kind: scripted, document: two.yaml}\n  script:",
    )
    workplace.write("switchgear.yaml", config)

    done = workplace.run("check")

    assert done.returncode == 1
    assert "one.yaml" in done.stderr
    assert "sya" in done.stderr
    assert "two.yaml" in done.stderr
    assert done.stderr.endswith("2 faults found\n")
    assert "Traceback" not in done.stderr


def test_a_price_that_nobody_uses_is_a_warning(workplace):
    workplace.write("switchgear.yaml", CONFIG.replace("script/demo: {input", "script/dmeo: {input"))

    done = workplace.run("check")

    assert done.returncode == 0
    assert "script/dmeo" in done.stderr
    assert "sound" in done.stdout


def test_programs_get_the_faults_as_json(workplace):
    sound = workplace.run("check", "--json")
    workplace.write("switchgear.yaml", f"{CONFIG}modles: {{}}\n")
    unsound = workplace.run("check", "--json")

    assert json.loads(sound.stdout) == {"sound": True, "faults": []}
    assert (sound.returncode, unsound.returncode) == (0, 1)
    fault = json.loads(unsound.stdout)["faults"][0]
    assert fault["file"] == "switchgear.yaml"
    assert fault["line"] == len(CONFIG.splitlines()) + 1
    assert "did you mean 'models'" in fault["message"]


def test_init_writes_what_check_accepts_and_overwrites_nothing(workplace):
    done = workplace.run("init", "a new/place")
    document = workplace.directory / "a new" / "place" / "switchgear.yaml"
    again = workplace.run("init", "a new/place")

    assert done.returncode == 0
    assert "Next: switchgear serve --config 'a new/place/switchgear.yaml'" in done.stdout
    assert workplace.run("check", "--config", str(document)).returncode == 0
    assert again.returncode == 1
    assert again.stderr == "a new/place/switchgear.yaml exists already; nothing was written.\n"
    assert json.loads(document.with_name("switchgear.schema.json").read_text())["$schema"]


def test_init_does_not_write_half(workplace):
    (workplace.directory / "switchgear.yaml").unlink()
    schema = workplace.write("switchgear.schema.json", "mine")

    done = workplace.run("init", ".")

    assert done.returncode == 1
    assert schema.read_text() == "mine"
    assert not (workplace.directory / "switchgear.yaml").exists()


def test_init_says_why_it_cannot_write(workplace):
    workplace.write("file", "")

    done = workplace.run("init", "file/below")

    assert done.returncode == 1
    assert done.stderr.startswith("cannot write file/below: ")
    assert len(done.stderr.splitlines()) == 1


def test_models_are_listed_without_a_gateway(workplace):
    table = workplace.run("models")
    listed = workplace.run("models", "--json")

    assert [line.rstrip().split(maxsplit=2) for line in table.stdout.splitlines()] == [
        ["model", "target", "state"],
        ["demo", "script/demo", "not running"],
        ["free", "script/demo-too", "not running"],
    ]
    assert json.loads(listed.stdout)["demo"] == [{"target": "script/demo", "state": "not running"}]


async def test_models_of_a_running_gateway_have_states(tmp_path):
    workplace = Workplace(tmp_path)
    async with running(tmp_path, CONFIG) as gateway:
        listed = await anyio.to_thread.run_sync(lambda: workplace.run("models", "--url", gateway.url, "--json"))
        workplace.write("switchgear.yaml", CONFIG.replace("port: 0", f"port: {gateway.port}"))
        found = await anyio.to_thread.run_sync(lambda: workplace.run("models"))

    assert json.loads(listed.stdout)["free"] == [{"target": "script/demo-too", "state": "ready"}]
    assert found.stdout.splitlines()[1].split() == ["demo", "script/demo", "ready"]


def test_a_gateway_that_is_not_there_is_one_line(workplace):
    done = workplace.run("models", "--url", "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "could not connect to 127.0.0.1:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1
