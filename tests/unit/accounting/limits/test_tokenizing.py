"""Prompts are counted by their model's own tokenizer, and long ones by a part of them."""

import json
import time

import pytest
import tokenizers

from gateway.accounting.limits.estimates import count_by_length
from gateway.accounting.limits.tokenizing import SAMPLE, open_counting
from gateway.config.faults import ConfigError
from gateway.core.call import Call
from gateway.core.caller import Caller

SENTENCES = [
    "The quick brown fox jumps over the lazy dog",
    "Der schnelle braune Fuchs springt",
    "快速的棕色狐狸跳过懒狗",
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A real tokenizer, trained here: byte pairs, as most models have them."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 20, trainer)
    tokenizer.enable_truncation(8)  # as many files have it: a count must not stop there
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def call(fields):
    return Call(
        id="c", operation="generate", dialect="openai_chat", model="m", stream=False, caller=Caller(id="k"), received=0.0,
        body=json.dumps(fields, ensure_ascii=False).encode(), fields=fields, content=None,
    )  # fmt: skip


def said(*texts):
    return call({"model": "m", "messages": [{"role": "user", "content": text} for text in texts]})


@pytest.mark.parametrize("text", SENTENCES)
def test_a_short_prompt_is_counted_exactly(file, text):
    whole = tokenizers.Tokenizer.from_file(str(file))
    whole.no_truncation()
    expected = len(whole.encode(text)) + len(whole.encode("user"))

    assert open_counting("m", file)(said(text)) == expected


def test_a_long_prompt_is_counted_by_its_beginnings(file):
    texts = [(sentence + ". ") * 500 for sentence in SENTENCES]
    whole = tokenizers.Tokenizer.from_file(str(file))
    whole.no_truncation()
    exact = sum(len(whole.encode(text)) for text in texts)

    assert open_counting("m", file)(said(*texts)) == pytest.approx(exact, rel=0.1)


def test_the_time_for_a_long_prompt_has_a_bound(file):
    count = open_counting("m", file)
    texts = said("word " * 400_000)
    count(texts)
    began = time.process_time()
    count(texts)

    assert time.process_time() - began < 0.1
    assert len(texts.body) > 100 * SAMPLE


def test_pictures_and_token_ids_are_counted_too(file):
    count = open_counting("m", file)
    picture = count(said("data:image/png;base64," + "A" * 20_000))

    assert 765 <= picture <= 775
    assert count(call({"model": "m", "input": [1, 2, 3, 4]})) == 4
    assert count(call({"model": "m"})) == 0


def test_without_a_file_length_counts():
    assert open_counting("m", None) is count_by_length


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"model": {"type": "BPE"}}'])
def test_a_file_that_is_no_tokenizer_is_a_fault_with_its_place(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ConfigError) as raised:
        open_counting("small", path)

    (fault,) = raised.value.faults
    assert (fault.path, fault.file) == ("models.small.tokenizer", str(path))
