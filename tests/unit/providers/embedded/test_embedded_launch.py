"""Commands for the child programs: any GGUF by path, one core left over, a new token each time."""

import subprocess
import sys

import pytest

from gateway.providers.embedded.launch import MissingModel, chat_command, chat_model, embedding_command


def test_a_gguf_file_is_named_by_its_stem(tmp_path):
    file = tmp_path / "Qwen3-0.6B-Q8_0.gguf"
    file.write_bytes(b"GGUF")
    model = chat_model(str(file), cores=8)

    assert (model.id, model.threads) == ("qwen3-0.6b-q8_0", 7)
    assert str(file) in chat_command(model).argv


def test_one_core_still_has_one_thread(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    assert chat_model(str(file), cores=1).threads == 1


def test_a_missing_file_is_said_before_anything_starts():
    with pytest.raises(MissingModel, match="nowhere"):
        chat_model("/nowhere/model.gguf", cores=2)


def test_a_file_of_another_format_is_said_before_anything_starts(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_text("just text")

    with pytest.raises(MissingModel, match=r"^m\.gguf is not a GGUF file\.$"):
        chat_model(str(file), cores=2)


@pytest.mark.embedded
def test_the_packaged_models_are_found_and_tokens_are_never_in_the_arguments():
    model = chat_model(None, cores=2)
    first, second = chat_command(model), chat_command(model)

    assert model.id == "smollm2-135m-instruct"
    assert first.first_line != second.first_line
    assert first.first_line not in first.argv
    assert "all-minilm-l6-v2" in embedding_command().argv


def test_the_gateway_side_loads_no_native_package():
    program = (
        "import sys, gateway.providers.embedded.launch, gateway.providers.embedded.structured\n"
        "print([name for name in ('numpy', 'onnxruntime', 'tokenizers', 'xllamacpp', 'llguidance') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
