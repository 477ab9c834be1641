"""The schema for editors is fresh, valid, complete, and agrees with the loader."""

import json

import jsonschema
import pytest
import yaml
from referencing import Registry

from gateway.config import Settings, starter_text
from gateway.config.schema import agent_schema_text, json_schema, prompt_schema_text, schema_text
from gateway.config.shapes import KindShape, ListShape, MapShape, OptionalShape, RecordShape, fields_of, shape_of

VALIDATOR = jsonschema.Draft202012Validator(json_schema(), registry=Registry())
MINIMAL = {"providers": {"p": {"kind": "embedded", "chat_model": "x"}}, "models": {"m": "p/x"}}


def records(shape, seen):
    match shape:
        case RecordShape(cls=cls) if cls not in seen:
            seen.add(cls)
            for field in fields_of(cls).values():
                records(field.shape, seen)
        case KindShape():
            for record in shape.records.values():
                records(record, seen)
        case ListShape(item=inner) | MapShape(value=inner) | OptionalShape(inner=inner):
            records(inner, seen)
    return seen


def test_the_committed_schema_is_fresh(pytestconfig):
    # To refresh: python -m gateway.config.schema > config/switchgear.schema.json
    assert (pytestconfig.rootpath / "config/switchgear.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_committed_schema_of_agents_is_fresh(pytestconfig):
    # To refresh: python -m gateway.config.schema agent > config/agent.schema.json
    assert (pytestconfig.rootpath / "config/agent.schema.json").read_text(encoding="utf-8") == agent_schema_text()


def test_the_committed_schema_of_prompts_is_fresh(pytestconfig):
    # To refresh: python -m gateway.config.schema prompt > config/prompt.schema.json
    assert (pytestconfig.rootpath / "config/prompt.schema.json").read_text(encoding="utf-8") == prompt_schema_text()


@pytest.mark.parametrize("text", [schema_text(), agent_schema_text(), prompt_schema_text()])
def test_the_schema_is_valid_by_its_own_dialect(text):
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_the_shipped_configurations_fit_the_schema(pytestconfig):
    text = (pytestconfig.rootpath / "config/switchgear.yaml").read_text(encoding="utf-8")

    assert text.startswith("# yaml-language-server: $schema=switchgear.schema.json\n")
    for document in (text, starter_text()):
        VALIDATOR.validate(yaml.safe_load(document))


def test_every_field_of_every_section_is_described():
    bare = [
        f"{cls.__name__}.{name}"
        for cls in records(shape_of(Settings), set())
        for name, field in fields_of(cls).items()
        if not field.description
    ]

    assert bare == []


@pytest.mark.parametrize(
    "document",
    [
        {"server": {"port": 70000}},
        {"server": {"prot": 1}},
        {"server": {"keys": ["literal"]}},
        {"providers": {}},
        {"providers": {"p": {"kind": "vlm"}}},
        {"providers": {"p": {}}},
        {"providers": {"p": {"kind": "embedded", "base_url": "http://x"}}},
        {"providers": {"p": {"kind": "openai", "api_key": "sk-literal"}}},
        {"providers": {"p": {"kind": "openai_compatible"}}},
        {"providers": {"p": {"kind": "azure"}}},
        {"providers": {"p": {"kind": "litellm", "provider": "cohere"}}},
        {"providers": {"a/b": {"kind": "embedded"}}},
        {"models": {"m": "no-slash"}},
        {"models": {"m": {"targets": []}}},
        {"models": {"m": {"targets": [{"provider": "p"}]}}},
        {"models": {"two words": "p/x"}},
        {"unknown": 1},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(configuration, document):
    whole = MINIMAL | document

    assert not VALIDATOR.is_valid(whole)
    assert configuration.faults(json.dumps(whole), {"OPENAI_API_KEY": "k"})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"server": {"port": 0, "keys": ["env:K", "file:k"], "drain_timeout": 1}},
        {"telemetry": {"otlp": None}},
        {"telemetry": {"otlp": {"endpoint": "http://x:1", "headers": {"a": "b", "c": "env:K"}, "sample": 0.5}}},
        {"providers": {"p": {"kind": "openai", "api_key": "env:K", "apis": ["chat"], "base_url": None}}},
        {"providers": {"p": {"kind": "vllm", "lora": {"a": "/a"}, "headers": {"x": "file:k"}}}},
        {"models": {"m": {"targets": [{"provider": "p", "model": "x", "timeouts": {"total": 1}}]}}},
        {"prices": {"x": {"input": 1, "output": None}}},
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(configuration, tmp_path, document):
    (tmp_path / "k").write_text("key")
    whole = MINIMAL | document

    VALIDATOR.validate(whole)
    configuration.load(json.dumps(whole), {"K": "key"})
