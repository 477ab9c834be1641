"""The OpenAPI document tells what the server answers: neither more nor less."""

from gateway.api import openapi
from gateway.app import Application
from gateway.config import load


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
    ids = [operation["operationId"] for path in openapi.document()["paths"].values() for operation in path.values()]

    assert len(ids) == len(set(ids))
