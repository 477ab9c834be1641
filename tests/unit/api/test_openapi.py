"""The OpenAPI document tells what the server answers: neither more nor less."""

import jsonschema
import msgspec
import pytest

from gateway.api import openapi
from gateway.api.openapi_schemas import ANSWERS, REQUESTS
from gateway.app import Application
from gateway.config import load
from gateway.dialects.anthropic_messages import shapes as anthropic
from gateway.dialects.openai_chat import shapes as openai_chat

OPERATIONS = [operation for path in openapi.document()["paths"].values() for operation in path.values()]


async def test_the_document_lists_exactly_the_endpoints_that_are_served(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {demo: {answers: [{say: hello}]}}")
    config = tmp_path / "c.yaml"
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")

    def settings():
        return load(config, {})

    application = Application(settings(), settings, config_path=config)
    served = {path.replace(":path", "") for path in application.asgi.paths}

    assert set(openapi.document()["paths"]) == served


def test_every_operation_has_an_id_of_its_own():
    ids = [operation["operationId"] for operation in OPERATIONS]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation["operationId"])
def test_every_body_has_a_schema_that_is_sound(operation):
    answers = operation["responses"]["200"]["content"]
    contents = [*answers.values(), *operation.get("requestBody", {}).get("content", {}).values()]

    for content in contents:
        jsonschema.Draft202012Validator.check_schema(content["schema"])
        assert content["schema"].get("properties") or content["schema"]["type"] == "string"


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if "requestBody" in one], ids=lambda operation: operation["operationId"]
)
def test_every_example_fits_its_schema_and_streams_are_asked_for_by_a_boolean(operation):
    content = operation["requestBody"]["content"]["application/json"]
    properties = content["schema"]["properties"]

    jsonschema.validate(content["example"], content["schema"])
    assert set(content["schema"]["required"]) <= set(properties)
    assert ("text/event-stream" in operation["responses"]["200"]["content"]) == ("stream" in properties)
    assert properties.get("stream", {"type": "boolean"})["type"] == "boolean"


@pytest.mark.parametrize(
    ("path", "shape"), [("/v1/chat/completions", openai_chat.Body), ("/v1/messages", anthropic.Body)]
)
def test_the_fields_of_a_request_are_fields_that_are_read(path, shape):
    assert set(REQUESTS[path]) <= {field.name for field in msgspec.structs.fields(shape)}


def test_no_schema_is_left_over():
    paths = {operation.path for operation in openapi.OPERATIONS}

    assert set(ANSWERS) == paths
    assert set(REQUESTS) == {operation.path for operation in openapi.OPERATIONS if operation.body is not None}


def test_the_pages_examples_name_configured_models_of_the_right_kind(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {vectors-embed: {}, talk: {answers: [{say: hello}]}}")
    config = tmp_path / "c.yaml"
    config.write_text(
        "providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {vectors: s/vectors-embed, words: s/talk}\n"
    )
    application = Application(load(config, {}), lambda: load(config, {}), config_path=config)

    shown = openapi.with_models(openapi.OPERATIONS, application.live.current().routes)
    named = {operation.path: operation.body["model"] for operation in shown if operation.body is not None}

    assert named["/v1/chat/completions"] == named["/v1/messages/count_tokens"] == "words"
    assert named["/v1/embeddings"] == "vectors"
    assert named["/v1/rerank"] == "rerank"  # nothing here can: the example stays
