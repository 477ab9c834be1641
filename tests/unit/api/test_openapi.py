"""The OpenAPI document tells what the server answers: neither more nor less."""

import re
from pathlib import Path

import jsonschema
import msgspec
import pytest

from gateway.api import openapi
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.openapi_admin import OPERATIONS as ADMIN_OPERATIONS
from gateway.api.openapi_schemas import ANSWERS, REQUESTS
from gateway.app import Application
from gateway.config import load
from gateway.dialects.anthropic_messages import shapes as anthropic
from gateway.dialects.openai_chat import shapes as openai_chat
from gateway.loading import Loader

DOCUMENT = openapi.document()
OPERATIONS = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
# As the OpenAPI Initiative publishes it, under the address that is its $id.
SPECIFICATION = Path(__file__).with_name("openapi-3.1.schema.json")


@pytest.fixture
def application(tmp_path):
    (tmp_path / "script.yaml").write_text("models: {demo: {answers: [{say: hello}]}}")
    config = tmp_path / "c.yaml"
    config.write_text("providers: {s: {kind: scripted, document: script.yaml}}\nmodels: {demo: s/demo}\n")

    return Application(load(config, {}), Loader(config, dict), config_path=config)


def test_the_document_lists_exactly_the_endpoints_that_are_served(application):
    served = {path.replace(":path", "") for path in application.asgi.paths}

    assert set(DOCUMENT["paths"]) == served


def test_every_admin_endpoint_is_described_with_the_methods_that_it_takes(application):
    endpoints = admin_endpoints(application.edge, application.governance.services)
    taken = {path: set(getattr(endpoint, "methods", ("GET",))) - {"HEAD"} for path, endpoint in endpoints.items()}
    taken["/admin/reload"] = {"POST"}
    told = {path: {method.upper() for method in DOCUMENT["paths"][path]} for path in taken}

    assert {"/admin/keys", "/admin/usage", "/admin/audit/export", "/admin/reload"} <= set(taken)
    assert told == taken
    assert {tuple(operation["tags"]) for path in taken for operation in DOCUMENT["paths"][path].values()} == {
        ("admin",)
    }


def test_the_document_is_openapi_as_the_specification_has_it():
    specification = msgspec.json.decode(SPECIFICATION.read_bytes())
    document = msgspec.json.decode(msgspec.json.encode(DOCUMENT))

    jsonschema.Draft202012Validator(specification).validate(document)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            parameters = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert parameters == re.findall(r"\{(\w+)\}", path)
    broken = {**document, "paths": {"no-slash": {"get": {}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(specification).validate(broken)


def test_every_reference_leads_somewhere():
    text = msgspec.json.encode(DOCUMENT).decode()
    led_to = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text))

    assert text.count('"$ref"') == text.count('"$ref":"#/components/schemas/')
    assert led_to == set(DOCUMENT["components"]["schemas"])


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
    (content,) = operation["requestBody"]["content"].values()
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
    application = Application(load(config, {}), Loader(config, dict), config_path=config)

    shown = openapi.with_models(openapi.OPERATIONS, application.live.current().routes)
    named = {operation.path: operation.body["model"] for operation in shown if operation.body is not None}

    assert named["/v1/chat/completions"] == named["/v1/messages/count_tokens"] == "words"
    assert named["/v1/embeddings"] == "vectors"
    assert named["/v1/rerank"] == "rerank"  # nothing here can: the example stays


async def test_the_page_shows_the_admin_api_too(application):
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/docs", "headers": [], "query_string": b""}
    await openapi.page_endpoint(application.edge)(scope, receive, send)
    page = sent[-1]["body"].decode()

    assert [one.path for one in ADMIN_OPERATIONS if f"{one.method.upper()} {one.path}<" not in page] == []
