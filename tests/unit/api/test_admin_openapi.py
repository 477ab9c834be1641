"""The OpenAPI document tells of the admin API what it serves, and reads what it tells."""

import jsonschema
import msgspec
import pytest

from gateway.api.admin_cache import CacheDesk
from gateway.api.admin_endpoints import admin_endpoints
from gateway.api.admin_services import Services
from gateway.api.admin_shapes import decode_body
from gateway.api.edge import Edge
from gateway.api.openapi_admin import OPERATIONS as ADMIN_OPERATIONS
from gateway.api.openapi_admin import admin_paths, shown_path
from gateway.api.openapi_knowledge import OPERATIONS as KNOWLEDGE_OPERATIONS
from gateway.api.openapi_memories import OPERATIONS as MEMORY_OPERATIONS
from gateway.api.openapi_people import OPERATIONS as PEOPLE_OPERATIONS
from gateway.api.openapi_prompts import OPERATIONS as PROMPT_OPERATIONS
from gateway.api.openapi_triggers import OPERATIONS as TRIGGER_OPERATIONS
from gateway.core.clock import SYSTEM_CLOCK
from gateway.core.ids import new_id
from gateway.routing.rollouts.conductor import Conductor
from gateway.routing.rollouts.split import Splits

# What senders of a trigger are told is no administration.
ADMIN_TRIGGER_OPERATIONS = tuple(each for each in TRIGGER_OPERATIONS if each.path.startswith("/admin/"))
OPERATIONS = (
    *ADMIN_OPERATIONS,
    *PEOPLE_OPERATIONS,
    *PROMPT_OPERATIONS,
    *KNOWLEDGE_OPERATIONS,
    *MEMORY_OPERATIONS,
    *ADMIN_TRIGGER_OPERATIONS,
)
ALL = [operation for path in admin_paths(OPERATIONS).values() for operation in path.values()]


def served():
    edge = Edge(
        current=dict,
        take_record=print,
        clock=SYSTEM_CLOCK,
        new_id=new_id,
        body_bytes=1,
        json_depth=1,
        configuration=dict,
    )
    conductor = Conductor(Splits(), SYSTEM_CLOCK, replica="r")
    found = admin_endpoints(
        edge, Services(clock=SYSTEM_CLOCK, new_id=new_id), rollouts=conductor, cache=CacheDesk(store=None)
    )
    return {shown_path(path): endpoint for path, endpoint in found.items()}


def test_every_endpoint_and_method_is_told_of_and_no_other():
    told = {path: {method.upper() for method in methods} for path, methods in admin_paths(OPERATIONS).items()}
    taken = {path: set(getattr(endpoint, "methods", ("GET",))) - {"HEAD"} for path, endpoint in served().items()}

    assert told == taken


def test_every_operation_has_an_id_of_its_own():
    ids = [operation["operationId"] for operation in ALL]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation["operationId"])
def test_every_schema_is_sound_and_stands_alone(operation):
    contents = [*operation["responses"]["200"]["content"].values()]
    schemas = [content["schema"] for content in contents]
    schemas += [parameter["schema"] for parameter in operation.get("parameters", [])]

    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
    assert b"$ref" not in msgspec.json.encode(schemas)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.body], ids=lambda one: f"{one.method} {one.path}"
)
def test_an_example_fits_its_schema_and_is_read(operation):
    described = admin_paths(OPERATIONS)[shown_path(operation.path)][operation.method]["requestBody"]["content"][
        "application/json"
    ]

    jsonschema.validate(described["example"], described["schema"])
    decode_body(msgspec.json.encode(operation.example), operation.body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**described["example"], "unknown": 1}, described["schema"])
