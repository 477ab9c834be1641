"""The bases in force: read with the configuration, taken over where nothing changed, refused as a whole."""

import anyio
import pytest

from gateway.config import ConfigError
from gateway.config.load import parse
from gateway.core.clock import SYSTEM_CLOCK
from gateway.knowledge_source import KnowledgeSource
from gateway.retrieval.library import NO_KNOWLEDGE

CONFIG = """
providers: {play: {kind: scripted, document: script.yaml}}
models: {m: play/m}
knowledge:
  one: {folder: one%s}
  two: {folder: two}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {m: {answers: [{say: hi}]}}")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text(f"# {name}\n\nzebra\n")
    return tmp_path


def settings_of(place, more=""):
    return parse((CONFIG % more).encode(), place / "switchgear.yaml", {})


def source_of(place):
    return KnowledgeSource(place / "switchgear.yaml", {}, SYSTEM_CLOCK)


async def test_a_base_whose_files_are_the_same_is_taken_over(place):
    source, settings = source_of(place), settings_of(place)
    before = source.open(settings)
    (place / "two" / "b.txt").write_text("giraffe")

    now = await source.prepare(settings, before)

    assert now.bases["one"] is before.bases["one"]
    assert now.bases["two"] is not before.bases["two"]
    assert [found.file for found in await now.bases["two"].search("giraffe", 5)] == ["b.txt"]
    assert list(await before.bases["two"].search("giraffe", 5)) == []


async def test_other_limits_cut_the_same_files_anew(place):
    source = source_of(place)
    before = source.open(settings_of(place))

    now = await source.prepare(settings_of(place, ", limits: {passage_bytes: 300}"), before)

    assert now.bases["one"] is not before.bases["one"]
    assert now.bases["two"] is before.bases["two"]


async def test_the_faults_of_all_bases_are_told_at_once(place):
    for name in ("one", "two"):
        (place / name / "bad.md").write_bytes(b"\xff")

    with pytest.raises(ConfigError) as caught:
        await source_of(place).prepare(settings_of(place), NO_KNOWLEDGE)

    assert [fault.path for fault in caught.value.faults] == ["knowledge.one", "knowledge.two"]


async def test_other_work_goes_on_while_the_texts_are_read(place):
    text = "# Head\n\n" + "\n\n".join(f"word{number} and another{number}" for number in range(20_000))
    (place / "one" / "long.md").write_text(text)
    source, settings, turns, done = source_of(place), settings_of(place), 0, anyio.Event()

    async def read():
        await source.prepare(settings, NO_KNOWLEDGE)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        while not done.is_set():
            turns += 1
            await anyio.lowlevel.checkpoint()

    # Read in this loop, there would be two.
    assert turns > 10
